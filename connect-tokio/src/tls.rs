//! TLS handshakes on tokio.

use std::sync::Arc;

use connect_hyper::{
    ClientTls, ServerTls,
    tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Tokio;

impl<I> TlsAcceptor<Tokio, TokioIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, io: TokioIo<I>) -> Handshake {
        let accepting =
            tokio_rustls::TlsAcceptor::from(Arc::clone(self.config())).accept(io.into_inner());
        Box::pin(async move {
            let stream = accepting.await?;
            let session = TlsSession::from_rustls(stream.get_ref().1);
            Ok(session(Box::new(TokioIo::new(stream))))
        })
    }
}

impl<I> TlsConnector<Tokio, TokioIo<I>> for ClientTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: TokioIo<I>) -> Handshake {
        let connector = tokio_rustls::TlsConnector::from(self.config(alpn));
        let name = self.verified_name(host);
        Box::pin(async move {
            let stream = connector.connect(name?, io.into_inner()).await?;
            let session = TlsSession::from_rustls(stream.get_ref().1);
            Ok(session(Box::new(TokioIo::new(stream))))
        })
    }
}
