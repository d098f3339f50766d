//! Addresses as the protocol writes them: 4 or 16 octets of address and 2 of port (BEP 5, "Contact Encoding"; BEP 32).
//!
//! Without the feature `ipv6` there is one family, and whatever is said of the other is as if it was not there. What
//! there is once for each family is kept in a `PerFamily`; nothing outside of this file depends on the feature.

#[cfg(feature = "ipv6")]
use core::net::Ipv6Addr;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The two DHTs of BEP 32, which do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 (`nodes`, `n4`).
    V4,
    /// IPv6 (`nodes6`, `n6`).
    #[cfg(feature = "ipv6")]
    V6,
}

impl Family {
    /// All that there are.
    pub(crate) const ALL: PerFamily<Self> = PerFamily {
        v4: Self::V4,
        #[cfg(feature = "ipv6")]
        v6: Self::V6,
    };

    /// Whether there is another.
    pub(crate) const ARE_TWO: bool = cfg!(feature = "ipv6");

    /// Octets of an address and port in compact form: 6 or 18.
    #[must_use]
    pub const fn compact_len(self) -> usize {
        *PerFamily::new(6, 18).get(self)
    }
}

/// Something for each family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PerFamily<T> {
    v4: T,
    #[cfg(feature = "ipv6")]
    v6: T,
}

impl<T> PerFamily<T> {
    #[cfg_attr(not(feature = "ipv6"), expect(unused_variables, reason = "there is no other family"))]
    pub(crate) const fn new(v4: T, v6: T) -> Self
    where
        T: Copy,
    {
        Self {
            v4,
            #[cfg(feature = "ipv6")]
            v6,
        }
    }

    pub(crate) const fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            #[cfg(feature = "ipv6")]
            Family::V6 => &self.v6,
        }
    }

    pub(crate) const fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            #[cfg(feature = "ipv6")]
            Family::V6 => &mut self.v6,
        }
    }

    pub(crate) fn map<U>(self, mut each: impl FnMut(T) -> U) -> PerFamily<U> {
        PerFamily {
            v4: each(self.v4),
            #[cfg(feature = "ipv6")]
            v6: each(self.v6),
        }
    }
}

impl<T> From<[T; 2]> for PerFamily<T> {
    fn from([v4, v6]: [T; 2]) -> Self {
        #[cfg(not(feature = "ipv6"))]
        drop(v6);
        Self {
            v4,
            #[cfg(feature = "ipv6")]
            v6,
        }
    }
}

/// IPv4 first.
impl<T> IntoIterator for PerFamily<T> {
    type Item = T;
    #[cfg(feature = "ipv6")]
    type IntoIter = core::array::IntoIter<T, 2>;
    #[cfg(not(feature = "ipv6"))]
    type IntoIter = core::iter::Once<T>;

    fn into_iter(self) -> Self::IntoIter {
        #[cfg(feature = "ipv6")]
        return [self.v4, self.v6].into_iter();
        #[cfg(not(feature = "ipv6"))]
        return core::iter::once(self.v4);
    }
}

/// An address and port in the compact form of the wire: 20 octets in memory (without IPv6: 6) where `SocketAddr` takes
/// 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompactAddr {
    /// IPv4 address and port.
    V4([u8; 4], u16),
    /// IPv6 address and port. Flow label and scope are not kept: what needs them is not routable.
    #[cfg(feature = "ipv6")]
    V6([u8; 16], u16),
}

/// What becomes of an address block outside its own reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// This host only.
    Host,
    /// Private networks and links.
    Site,
    /// The Internet.
    Global,
}

impl CompactAddr {
    /// A place holder for empty slots; never an address that is sent to.
    pub const UNSPECIFIED: Self = Self::V4([0; 4], 0);

    /// Octets of the longest compact form.
    pub(crate) const MAX_LEN: usize = if cfg!(feature = "ipv6") { 18 } else { 6 };

    /// Which of the two DHTs the address belongs to.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::V4(..) => Family::V4,
            #[cfg(feature = "ipv6")]
            Self::V6(..) => Family::V6,
        }
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::V4(_, port) => *port,
            #[cfg(feature = "ipv6")]
            Self::V6(_, port) => *port,
        }
    }

    /// The same address with another port.
    #[must_use]
    pub const fn with_port(self, port: u16) -> Self {
        match self {
            Self::V4(ip, _) => Self::V4(ip, port),
            #[cfg(feature = "ipv6")]
            Self::V6(ip, _) => Self::V6(ip, port),
        }
    }

    /// The octets of the address, without the port: 4 or 16.
    #[must_use]
    pub const fn ip(&self) -> &[u8] {
        match self {
            Self::V4(ip, _) => ip,
            #[cfg(feature = "ipv6")]
            Self::V6(ip, _) => ip,
        }
    }

    /// Reads the compact form; its length (6 or 18) tells the family.
    #[must_use]
    pub fn from_compact(octets: &[u8]) -> Option<Self> {
        let (ip, port) = octets.split_last_chunk::<2>()?;
        let port = u16::from_be_bytes(*port);
        match ip.len() {
            4 => Some(Self::V4(ip.try_into().ok()?, port)),
            #[cfg(feature = "ipv6")]
            16 => Some(Self::V6(ip.try_into().ok()?, port)),
            _ => None,
        }
    }

    /// Appends the compact form; `None`, and nothing is written, if there is no room.
    #[must_use]
    pub fn write_compact(&self, out: &mut heapless::vec::VecView<u8>) -> Option<()> {
        if out.capacity() - out.len() < self.family().compact_len() {
            return None;
        }
        out.extend_from_slice(self.ip()).ok()?;
        out.extend_from_slice(&self.port().to_be_bytes()).ok()
    }

    fn scope(&self) -> Option<Scope> {
        match self {
            Self::V4(ip, _) => {
                let ip = Ipv4Addr::from(*ip);
                let [first, second, ..] = ip.octets();
                if first == 0 || ip.is_broadcast() || ip.is_multicast() || first >= 240 {
                    None
                } else if ip.is_loopback() {
                    Some(Scope::Host)
                } else if ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64) {
                    Some(Scope::Site)
                } else {
                    Some(Scope::Global)
                }
            }
            #[cfg(feature = "ipv6")]
            Self::V6(ip, _) => {
                let ip = Ipv6Addr::from(*ip);
                let [first, second, ..] = ip.segments();
                // BEP 32: no mapped, Teredo or 6to4 addresses; a link-local one means nothing without its scope.
                let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
                if ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.to_ipv4_mapped().is_some()
                    || tunnel
                    || ip.is_unicast_link_local()
                {
                    None
                } else if ip.is_loopback() {
                    Some(Scope::Host)
                } else if ip.is_unique_local() {
                    Some(Scope::Site)
                } else {
                    Some(Scope::Global)
                }
            }
        }
    }

    /// Whether a packet may be sent here at all: not port 0, and not an unspecified, multicast or reserved address.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.port() != 0 && self.scope().is_some()
    }

    /// Whether the address names this host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.scope() == Some(Scope::Host)
    }

    /// Whether `self`, as told by the node at `by`, is worth a packet: a node on the Internet has no business naming
    /// private addresses, and none but this host may name loopback ones.
    #[must_use]
    pub fn is_plausible(&self, by: &Self) -> bool {
        self.port() != 0 && self.scope().is_some_and(|scope| by.scope().is_some_and(|by| by <= scope))
    }

    /// The network that the address belongs to, as a number: its /24 (IPv4) or /48 (IPv6). One holder of addresses
    /// commonly has a whole such network, so quotas and budgets count by it.
    #[must_use]
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn network(&self) -> u64 {
        match self {
            Self::V4([a, b, c, _], _) => u64::from(u32::from_be_bytes([0, *a, *b, *c])),
            // The highest bit keeps the two families apart.
            #[cfg(feature = "ipv6")]
            Self::V6([a, b, c, d, e, f, ..], _) => u64::from_be_bytes([0x80, 0, *a, *b, *c, *d, *e, *f]),
        }
    }
}

/// Without the feature `ipv6`, an IPv6 address becomes [`UNSPECIFIED`](CompactAddr::UNSPECIFIED).
impl From<SocketAddr> for CompactAddr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self::V4(addr.ip().octets(), addr.port()),
            #[cfg(feature = "ipv6")]
            SocketAddr::V6(addr) => Self::V6(addr.ip().octets(), addr.port()),
            #[cfg(not(feature = "ipv6"))]
            SocketAddr::V6(_) => Self::UNSPECIFIED,
        }
    }
}

impl From<CompactAddr> for SocketAddr {
    fn from(addr: CompactAddr) -> Self {
        let ip = match addr {
            CompactAddr::V4(ip, _) => IpAddr::from(ip),
            #[cfg(feature = "ipv6")]
            CompactAddr::V6(ip, _) => IpAddr::from(ip),
        };
        Self::new(ip, addr.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the address is one of a family that there is.
    fn is_known(text: &str) -> bool {
        cfg!(feature = "ipv6") || !text.starts_with('[')
    }

    fn addr(text: &str) -> CompactAddr {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn compact_round_trip() {
        for text in ["1.2.3.4:5", "[2001:db8::1]:65535"].iter().filter(|text| is_known(text)) {
            let mut out = heapless::Vec::<u8, 18>::new();
            addr(text).write_compact(&mut out).unwrap();
            assert_eq!(out.len(), addr(text).family().compact_len());
            assert_eq!(CompactAddr::from_compact(&out), Some(addr(text)));
            assert_eq!(SocketAddr::from(addr(text)), text.parse().unwrap());
        }
        assert_eq!(CompactAddr::from_compact(&[0; 7]), None);
        assert_eq!(addr("1.2.3.4:5").write_compact(&mut heapless::Vec::<u8, 5>::new()), None);
    }

    #[test]
    fn martians_are_not_usable() {
        for text in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "1.2.3.4:0", "240.0.0.1:1"] {
            assert!(!addr(text).is_usable(), "{text}");
        }
        for text in ["[::]:1", "[ff02::1]:1", "[::ffff:1.2.3.4]:1", "[2002::1]:1", "[2001::1]:1", "[fe80::1]:1"] {
            assert!(!addr(text).is_usable(), "{text}");
        }
        for text in ["127.0.0.1:1", "10.0.0.1:1", "8.8.8.8:1", "[::1]:1", "[2001:db8::1]:1", "[fd00::1]:1"] {
            // Without IPv6, no address of it is.
            assert_eq!(addr(text).is_usable(), is_known(text), "{text}");
        }
    }

    #[test]
    fn an_address_is_plausible_only_from_within_its_reach() {
        let (host, site, global) = (addr("127.0.0.1:1"), addr("192.168.0.1:1"), addr("8.8.8.8:1"));
        assert!(host.is_plausible(&host) && site.is_plausible(&host) && global.is_plausible(&host));
        assert!(!host.is_plausible(&site) && site.is_plausible(&site) && global.is_plausible(&site));
        assert!(!host.is_plausible(&global) && !site.is_plausible(&global) && global.is_plausible(&global));
    }

    #[test]
    fn networks_are_24_and_48_bits() {
        assert_eq!(addr("1.2.3.4:5").network(), addr("1.2.3.99:6").network());
        assert_ne!(addr("1.2.3.4:5").network(), addr("1.2.4.4:5").network());
        if cfg!(feature = "ipv6") {
            assert_eq!(addr("[2001:db8:1::1]:5").network(), addr("[2001:db8:1:ffff::2]:5").network());
            assert_ne!(addr("[2001:db8:1::1]:5").network(), addr("[2001:db8:2::1]:5").network());
        }
    }
}
