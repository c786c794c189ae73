//! TLS handshakes on tokio.

use connect_hyper::tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession};
use connect_rustls::{ClientTls, Negotiated, ServerTls};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Tokio;

impl<I> TlsAcceptor<Tokio, TokioIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, alpn: &[&'static [u8]], io: TokioIo<I>) -> Handshake {
        let acceptor = tokio_rustls::TlsAcceptor::from(self.config(alpn));
        let accepting = acceptor.accept(io.into_inner());
        Box::pin(async move {
            let stream = accepting.await?;
            let negotiated = Negotiated::new(stream.get_ref().1);
            let io = Box::new(TokioIo::new(stream));
            Ok(TlsSession::new(io).with_negotiated(negotiated))
        })
    }
}

impl<I> TlsConnector<Tokio, TokioIo<I>> for ClientTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: TokioIo<I>) -> Handshake {
        let connector = tokio_rustls::TlsConnector::from(self.config(alpn));
        let name = self.server_name(host);
        Box::pin(async move {
            let stream = connector.connect(name?, io.into_inner()).await?;
            let negotiated = Negotiated::new(stream.get_ref().1);
            let io = Box::new(TokioIo::new(stream));
            Ok(TlsSession::new(io).with_negotiated(negotiated))
        })
    }
}
