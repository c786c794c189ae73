//! How many connections each address has.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The connections of each address, up to a number.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<HashMap<IpAddr, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    connections: usize,
    /// One was refused since there was room.
    has_refused: bool,
}

/// One connection of an address, until this is dropped.
#[derive(Debug)]
pub(super) struct AddressSlot {
    address: IpAddr,
    shared: Arc<Shared>,
}

/// An address has as many connections as it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full {
    /// The first one to be refused since there was room.
    pub(super) is_first: bool,
}

impl Addresses {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            shared: Arc::default(),
        }
    }

    /// Counts one more connection.
    ///
    /// # Errors
    ///
    /// When the address has its number.
    pub(super) fn enter(&self, address: IpAddr) -> Result<AddressSlot, Full> {
        let address = network(address);
        let mut entries = self.shared.lock();
        let entry = entries.entry(address).or_default();
        if entry.connections >= self.max {
            let is_first = !std::mem::replace(&mut entry.has_refused, true);
            return Err(Full { is_first });
        }
        entry.connections += 1;
        Ok(AddressSlot {
            address,
            shared: Arc::clone(&self.shared),
        })
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut entries = self.shared.lock();
        if let Some(entry) = entries.get_mut(&self.address) {
            entry.connections -= 1;
            entry.has_refused = false;
            if entry.connections == 0 {
                entries.remove(&self.address);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Entry>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: of IPv6 the network, 64 bits, as each client has one to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_number_of_connections_and_the_first_refusal_is_told() {
        let addresses = Addresses::new(2);
        let [one, mapped, other] =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap());
        let first = addresses.enter(one).unwrap();
        let _second = addresses.enter(mapped).unwrap();
        for is_first in [true, false] {
            assert_eq!(addresses.enter(one).unwrap_err(), Full { is_first });
        }
        drop(addresses.enter(other).unwrap());
        drop(first);
        let _third = addresses.enter(one).unwrap();
        assert!(addresses.enter(one).unwrap_err().is_first);
        assert_eq!(addresses.shared.lock().len(), 1);
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let addresses = Addresses::new(1);
        let [one, neighbour, far] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|a| a.parse().unwrap());
        let _one = addresses.enter(one).unwrap();
        assert!(addresses.enter(neighbour).is_err());
        assert!(addresses.enter(far).is_ok());
    }
}
