//! TLS handshakes on `futures-io` streams, for smol and async-std.

use std::io;

use connect_hyper::{
    runtime::BoxIo,
    tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession},
};
use connect_rustls::{ClientTls, Negotiated, ServerTls};
use smol::io::{AsyncRead, AsyncWrite};

use crate::{FuturesIo, Smol, io::HyperIo};

impl<I> TlsAcceptor<Smol, FuturesIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, alpn: &[&'static [u8]], io: FuturesIo<I>) -> Handshake {
        accept(self, alpn, io)
    }
}

impl TlsConnector<Smol> for ClientTls {
    fn check(&self) -> io::Result<()> {
        Ok(Self::check(self)?)
    }

    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: BoxIo) -> Handshake {
        connect(self, host, alpn, io)
    }
}

pub(crate) fn accept<I>(tls: &ServerTls, alpn: &[&'static [u8]], io: FuturesIo<I>) -> Handshake
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = tls.config(alpn);
    Box::pin(async move {
        let acceptor = futures_rustls::TlsAcceptor::from(config?);
        let stream = acceptor.accept(io.into_inner()).await?;
        let tls = stream.get_ref().1;
        let negotiated = Negotiated::new(tls);
        let name = tls.server_name().map(str::to_owned);
        let io = Box::new(FuturesIo::new(stream));
        let session = TlsSession::new(io).with_negotiated(negotiated);
        Ok(session.with_server_name(name.as_deref()))
    })
}

pub(crate) fn connect(tls: &ClientTls, host: &str, alpn: &[&'static [u8]], io: BoxIo) -> Handshake {
    let (config, name) = (tls.config(alpn), tls.server_name(host));
    Box::pin(async move {
        let connector = futures_rustls::TlsConnector::from(config?);
        let stream = connector.connect(name?, HyperIo(io)).await?;
        let negotiated = Negotiated::new(stream.get_ref().1);
        let io = Box::new(FuturesIo::new(stream));
        Ok(TlsSession::new(io).with_negotiated(negotiated))
    })
}
