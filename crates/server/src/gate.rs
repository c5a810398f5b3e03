//! How many connections are let in, all together and by client

use crate::config::Limits;
use crate::shutdown::Shutdown;
use mailwright_filter::client_network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts connections, all together and by address.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    all: Arc<Semaphore>,
    most: u32,
    of_address: Arc<OfAddress>,
}

/// Counts connections by address.
#[derive(Debug)]
struct OfAddress {
    most: u32,
    /// Bits of an IPv6 address that make one client.
    prefix: u8,
    /// The most of one network.
    most_of_network: u32,
    open: Mutex<Open>,
}

/// How many there are of each that has any.
#[derive(Debug, Default)]
struct Open {
    clients: HashMap<IpAddr, u32>,
    networks: HashMap<IpAddr, u32>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    _place: OwnedSemaphorePermit,
    /// Where it is counted, if its address is known.
    address: Mutex<Option<IpAddr>>,
    of_address: Arc<OfAddress>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections as usize)),
            most: limits.connections,
            of_address: Arc::new(OfAddress {
                most: limits.connections_per_address,
                prefix: limits.ipv6_prefix,
                most_of_network: limits.connections_per_network,
                open: Mutex::default(),
            }),
        }
    }

    /// Lets a connection in, if there is room; its address may be told [later](Pass::comes_from).
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Option<Pass> {
        let pass = Pass {
            _place: self.all.clone().try_acquire_owned().ok()?,
            address: Mutex::default(),
            of_address: self.of_address.clone(),
        };
        address
            .is_none_or(|address| pass.comes_from(address))
            .then_some(pass)
    }

    /// Waits until all connections have ended; after `grace` they are ended.
    pub(crate) async fn wait_empty(&self, shutdown: &Shutdown, grace: Duration) {
        let empty = self.all.acquire_many(self.most);
        if tokio::time::timeout(grace, empty).await.is_err() {
            let left = self.most as usize - self.all.available_permits();
            tracing::warn!(connections = left, "some connections did not end by themselves");
            shutdown.end();
            let _ = self.all.acquire_many(self.most).await;
        }
    }
}

impl Pass {
    /// Counts the connection as one from `address`, and no more where it was counted before; whether there is room
    /// for it.
    pub(crate) fn comes_from(&self, address: IpAddr) -> bool {
        let mut counted = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = counted.take() {
            self.of_address.leave(before);
        }
        *counted = self.of_address.enter(address);
        counted.is_some()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let counted = self.address.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = counted.take() {
            self.of_address.leave(address);
        }
    }
}

impl OfAddress {
    /// Counts one more; where it is counted, if there is room.
    fn enter(&self, address: IpAddr) -> Option<IpAddr> {
        let client = client_of(address, self.prefix);
        let network = self.network(client);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |counts: &HashMap<IpAddr, u32>, key| counts.get(&key).copied().unwrap_or(0);
        let is_full = count(&open.clients, client) >= self.most
            || network.is_some_and(|network| count(&open.networks, network) >= self.most_of_network);
        if is_full {
            return None;
        }
        *open.clients.entry(client).or_insert(0) += 1;
        if let Some(network) = network {
            *open.networks.entry(network).or_insert(0) += 1;
        }
        Some(client)
    }

    fn leave(&self, client: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        one_less(&mut open.clients, client);
        if let Some(network) = self.network(client) {
            one_less(&mut open.networks, network);
        }
    }

    /// The network of a client; this machine has none.
    fn network(&self, client: IpAddr) -> Option<IpAddr> {
        let v6 = self.prefix.min(NETWORK_V6);
        (!client.is_loopback()).then(|| client_network(client, NETWORK_V4, v6))
    }
}

fn one_less(counts: &mut HashMap<IpAddr, u32>, key: IpAddr) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// How many bits of an address make a network.
const NETWORK_V4: u8 = 24;
const NETWORK_V6: u8 = 48;

/// The address that all of one client are counted under: who has one IPv6 address has its whole network.
fn client_of(address: IpAddr, prefix: u8) -> IpAddr {
    client_network(address, 32, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let gate = gate(3, 2);
        let [a, b, c] = [1, 2, 3].map(|n| Some(IpAddr::from([127, 0, 0, n])));
        let first = gate.enter(a);
        let second = gate.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(a).is_none(), "a third one of the same address");
        let third = gate.enter(b);
        assert!(third.is_some() && gate.enter(c).is_none(), "a fourth one of all");
        drop(first);
        assert!(gate.enter(a).is_some());
        drop((second, third));
        assert!(gate.of_address.open.lock().unwrap().clients.is_empty());
    }

    fn gate(connections: u32, per_address: u32) -> Gate {
        let mut limits = Limits::default();
        (limits.connections, limits.connections_per_address) = (connections, per_address);
        Gate::new(&limits)
    }

    #[test]
    fn a_connection_through_a_proxy_is_counted_once_its_client_is_known() {
        let (gate, client) = (gate(10, 1), IpAddr::from([192, 0, 2, 1]));
        let passes = [gate.enter(None), gate.enter(None), gate.enter(None)].map(Option::unwrap);
        assert!(passes[0].comes_from(client) && !passes[1].comes_from(client));
        // XCLIENT may tell another one later.
        assert!(passes[0].comes_from(IpAddr::from([192, 0, 2, 2])) && passes[2].comes_from(client));
        drop(passes);
        assert!(gate.of_address.open.lock().unwrap().clients.is_empty());
    }

    #[test]
    fn networks_are_counted_beside_their_addresses() {
        let mut limits = Limits::default();
        (limits.connections_per_address, limits.connections_per_network) = (2, 3);
        let gate = Gate::new(&limits);
        let enter = |text: &str| gate.enter(Some(text.parse().unwrap()));
        let passes = ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(|address| enter(address).unwrap());
        assert!(enter("192.0.2.3").is_none(), "the network has three");
        let others = [
            "198.51.100.1",
            "2001:db8:1:1::1",
            "2001:db8:1:2::1",
            "2001:db8:1:3::1",
        ]
        .map(|address| enter(address).unwrap());
        assert!(enter("2001:db8:1:4::1").is_none(), "a /48 has three");
        let near: Vec<_> = (1..=5).map(|n| enter(&format!("127.0.0.{n}")).unwrap()).collect();
        drop((passes, others, near));
        assert!(enter("192.0.2.3").is_some());
        let open = gate.of_address.open.lock().unwrap();
        assert!(open.clients.is_empty() && open.networks.is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (a, b) = (ip("2001:db8:1:2::3"), ip("2001:db8:1:2:ffff::1"));
        assert_eq!(client_of(a, 64), client_of(b, 64));
        assert_ne!(client_of(a, 64), client_of(ip("2001:db8:1:3::3"), 64));
        assert_ne!(client_of(a, 128), client_of(b, 128));
        assert_eq!(client_of(a, 0), ip("::"));
        assert_eq!(client_of(ip("::ffff:192.0.2.1"), 64), ip("192.0.2.1"));
        let gate = gate(10, 1);
        let first = gate.enter(Some(a));
        assert!(first.is_some() && gate.enter(Some(b)).is_none());
    }
}
