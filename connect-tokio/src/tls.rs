//! TLS handshakes on tokio.

use std::io;

use connect_hyper::{
    runtime::BoxIo,
    tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession},
};
use connect_rustls::{ClientTls, Negotiated, ServerTls};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Tokio;

impl<I> TlsAcceptor<Tokio, TokioIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, alpn: &[&'static [u8]], io: TokioIo<I>) -> Handshake {
        let config = self.config(alpn);
        Box::pin(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(config?);
            let stream = acceptor.accept(io.into_inner()).await?;
            let tls = stream.get_ref().1;
            let negotiated = Negotiated::new(tls);
            let name = tls.server_name().map(str::to_owned);
            let io = Box::new(TokioIo::new(stream));
            let session = TlsSession::new(io).with_negotiated(negotiated);
            Ok(session.with_server_name(name.as_deref()))
        })
    }
}

impl TlsConnector<Tokio> for ClientTls {
    fn check(&self) -> io::Result<()> {
        Ok(Self::check(self)?)
    }

    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: BoxIo) -> Handshake {
        let (config, name) = (self.config(alpn), self.server_name(host));
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(config?);
            let stream = connector.connect(name?, TokioIo::new(io)).await?;
            let negotiated = Negotiated::new(stream.get_ref().1);
            let io = Box::new(TokioIo::new(stream));
            Ok(TlsSession::new(io).with_negotiated(negotiated))
        })
    }
}
