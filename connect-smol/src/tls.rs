//! TLS handshakes on `futures-io` streams, for smol and async-std.

use std::sync::Arc;

use connect_hyper::{
    ClientTls, ServerTls,
    tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession},
};
use smol::io::{AsyncRead, AsyncWrite};

use crate::{FuturesIo, Smol};

impl<I> TlsAcceptor<Smol, FuturesIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, io: FuturesIo<I>) -> Handshake {
        accept(self, io)
    }
}

impl<I> TlsConnector<Smol, FuturesIo<I>> for ClientTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: FuturesIo<I>) -> Handshake {
        connect(self, host, alpn, io)
    }
}

pub(crate) fn accept<I>(tls: &ServerTls, io: FuturesIo<I>) -> Handshake
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let acceptor = futures_rustls::TlsAcceptor::from(Arc::clone(tls.config()));
    let accepting = acceptor.accept(io.into_inner());
    Box::pin(async move {
        let stream = accepting.await?;
        let session = TlsSession::from_rustls(stream.get_ref().1);
        Ok(session(Box::new(FuturesIo::new(stream))))
    })
}

pub(crate) fn connect<I>(
    tls: &ClientTls,
    host: &str,
    alpn: &[&'static [u8]],
    io: FuturesIo<I>,
) -> Handshake
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connector = futures_rustls::TlsConnector::from(tls.config(alpn));
    let name = tls.verified_name(host);
    Box::pin(async move {
        let stream = connector.connect(name?, io.into_inner()).await?;
        let session = TlsSession::from_rustls(stream.get_ref().1);
        Ok(session(Box::new(FuturesIo::new(stream))))
    })
}
