//! The way to a server, as a builder was told.

use std::sync::Arc;

use connect_proto::Error;

use super::{
    connector::Connector,
    proxy::{self, Proxy},
    target::Target,
};

/// How a server is reached.
#[derive(Clone, Debug, Default)]
pub(super) enum Way {
    #[default]
    Direct,
    Proxy(String),
    ProxyFromEnvironment,
    Own(Connector),
}

impl Way {
    pub(super) fn connector(self, target: &Target) -> Result<Connector, Error> {
        Ok(match self {
            Self::Direct => Connector::Direct,
            Self::Own(connector) => connector,
            Self::Proxy(uri) => Connector::Proxy(Arc::new(Proxy::parse(&uri)?)),
            Self::ProxyFromEnvironment => {
                let variable = |name: &str| std::env::var(name).ok();
                match proxy::from_environment(variable, target.is_tls(), target.host_and_port())? {
                    None => Connector::Direct,
                    Some(proxy) => Connector::Proxy(Arc::new(proxy)),
                }
            }
        })
    }
}
