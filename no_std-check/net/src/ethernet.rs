//! Ethernet II frames.

/// An Ethernet address.
pub type MacAddr = [u8; 6];

pub(crate) const BROADCAST: MacAddr = [0xff; 6];

/// Octets of the header: destination, source, type.
pub(crate) const ETHERNET: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EtherType {
    Ipv4,
    Arp,
}

impl EtherType {
    pub(crate) const fn octets(self) -> [u8; 2] {
        match self {
            Self::Ipv4 => [0x08, 0x00],
            Self::Arp => [0x08, 0x06],
        }
    }
}

/// Whether `mac` names one host: no group, and not nothing.
pub(crate) fn is_unicast(mac: MacAddr) -> bool {
    mac[0] & 1 == 0 && mac != MacAddr::default()
}

/// Begins `frame` with `pieces`, one after the other.
// Once for all frames: a loop takes less code than a copy for each piece.
#[inline(never)]
pub(crate) fn write(frame: &mut [u8], pieces: &[&[u8]]) {
    for (to, from) in frame.iter_mut().zip(pieces.iter().copied().flatten()) {
        *to = *from;
    }
}

/// Whom a frame is for, and what it carries; `None` for what we do not speak.
pub(crate) fn parse(frame: &[u8]) -> Option<(MacAddr, EtherType)> {
    let [a, b, c, d, e, f, _, _, _, _, _, _, kind @ ..] = frame.first_chunk::<ETHERNET>()?;
    let kind = [EtherType::Ipv4, EtherType::Arp].into_iter().find(|known| known.octets() == *kind)?;
    Some(([*a, *b, *c, *d, *e, *f], kind))
}
