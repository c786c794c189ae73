//! The endpoints of a channel, as a builder was told.

use std::{sync::Arc, time::Duration};

use connect_proto::Error;

use super::{
    address::EndpointAddress,
    balance::{Balance, Ejection, PickFirst},
    endpoint::Endpoint,
    endpoints::Endpoints,
    group::{Group, GroupSettings},
    health_check::HealthCheck,
    resolve::{Dns, Fixed, Resolve},
    shared::Shared,
};
use crate::runtime::Runtime;

/// Where they come from, and how they are chosen.
pub(super) struct EndpointOptions {
    pub(super) source: Option<EndpointSource>,
    pub(super) balance: Option<Box<dyn Balance>>,
    pub(super) ejection: Option<Ejection>,
    pub(super) health_check: Option<HealthCheck>,
    pub(super) resolve_interval: Option<Duration>,
}

pub(super) enum EndpointSource {
    List(Result<Arc<[EndpointAddress]>, String>),
    Resolver(Arc<dyn Resolve>),
}

/// How old a list of endpoints becomes, unless set.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            source: None,
            balance: None,
            ejection: None,
            health_check: None,
            resolve_interval: Some(RESOLVE_INTERVAL),
        }
    }
}

impl EndpointOptions {
    pub(super) fn endpoints<R: Runtime>(
        self,
        shared: &Arc<Shared<R>>,
    ) -> Result<Endpoints<R>, Error> {
        let resolver: Arc<dyn Resolve> = match (self.source, &self.balance) {
            (None, None) if self.health_check.is_some() => return Err(no_health_check()),
            (None, None) => {
                let address = shared.target.address().clone();
                let endpoint = Endpoint::new(Arc::clone(shared), address);
                return Ok(Endpoints::One(Arc::new(endpoint)));
            }
            (None, Some(_)) => match shared.target.address() {
                EndpointAddress::Host(..) => Arc::new(Dns(shared.runtime.clone())),
                address => Arc::new(Fixed(Arc::new([address.clone()]))),
            },
            (Some(EndpointSource::Resolver(resolver)), _) => resolver,
            (Some(EndpointSource::List(list)), _) => {
                let list = list.map_err(Error::invalid_argument)?;
                if list.is_empty() {
                    let text = "a channel needs an endpoint: with_endpoints was given none";
                    return Err(Error::invalid_argument(text));
                }
                Arc::new(Fixed(list))
            }
        };
        let balance = self.balance.unwrap_or_else(|| Box::new(PickFirst));
        if self.health_check.is_some() && !balance.connects_to_all() {
            return Err(no_health_check());
        }
        let settings = GroupSettings {
            resolver,
            balance,
            ejection: self.ejection,
            health_check: self.health_check,
            resolve_interval: self.resolve_interval,
        };
        Ok(Endpoints::Many(Group::new(Arc::clone(shared), settings)))
    }
}

/// gRFC A17: a balancer that stays with what it has does not ask for health.
fn no_health_check() -> Error {
    Error::invalid_argument(
        "with_health_check needs a balancer that connects to all endpoints: with_balance(RoundRobin::new()), for example",
    )
}
