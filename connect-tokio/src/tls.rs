//! TLS handshakes on tokio.

use std::{io, sync::Arc};

use connect_hyper::{
    ClientTls, ServerTls,
    tls::{Handshake, TlsAcceptor, TlsConnector, TlsSession},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::CommonState;

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
            let describe = describe(stream.get_ref().1);
            Ok(describe(TlsSession::new(Box::new(TokioIo::new(stream)))))
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
            let name = name.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            let stream = connector.connect(name, io.into_inner()).await?;
            let describe = describe(stream.get_ref().1);
            Ok(describe(TlsSession::new(Box::new(TokioIo::new(stream)))))
        })
    }
}

/// Tells a session what the handshake agreed on.
fn describe(connection: &CommonState) -> impl FnOnce(TlsSession) -> TlsSession + use<> {
    let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
    let chain: Vec<Vec<u8>> = connection
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.to_vec())
        .collect();
    move |session| {
        session
            .with_alpn(alpn.as_deref())
            .with_peer_certificates(chain)
    }
}
