use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that stands for a client: the first `v4` bits (0 to 32) of an IPv4 address, the first `v6` bits (0 to
/// 128) of an IPv6 address. An IPv4 address in IPv6 clothes is an IPv4 address.
pub fn client_network(address: IpAddr, v4: u8, v6: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}
