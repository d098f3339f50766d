//! What a board is told at its start: words `name=value`, with blanks between.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::core::NodeId;
use crate::hex;
use bare_udp::Settings;

/// Bootstrap addresses that are taken.
const BOOTSTRAP: usize = 8;

/// What a board runs with. What is not said stays as it is here by default.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// `seed=` 64 hexadecimal digits. The default is known to everybody: a board in the wild needs its own, from a source of
    /// randomness.
    pub seed: [u8; 32],
    /// `key=` 64 hexadecimal digits: the secret key of the board's own item, made from the seed if it is not given.
    pub key: Option<[u8; 32]>,
    /// `id=` 40 hexadecimal digits: the node id; random from the seed if it is not given.
    pub id: Option<NodeId>,
    /// `mac=` 12 hexadecimal digits, `ip=`, `prefix=`, `gateway=`, `port=`: the network, by default that of QEMU's user
    /// networking.
    pub network: Settings,
    /// `boot=` address and port of a node of the network; may be given eight times.
    pub bootstrap: heapless::Vec<SocketAddrV4, BOOTSTRAP>,
    /// `say=` the text that the board publishes, without blanks: 32 characters at most.
    pub text: heapless::Vec<u8, 32>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self::new()
    }
}

impl Arguments {
    /// What a board runs with that is told nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seed: *b"not random: for trying out only!",
            key: None,
            id: None,
            network: Settings {
                mac: [0x02, 0, 0, 0, 0, 0x44],
                ip: Ipv4Addr::new(10, 0, 2, 15),
                prefix: 24,
                gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
                port: 6_881,
            },
            bootstrap: heapless::Vec::new(),
            text: heapless::Vec::new(),
        }
    }

    /// Where the board is.
    pub(crate) const fn addr(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.network.ip, self.network.port)
    }

    /// Takes the words of `text`; the first that is not understood is given back, and what it was about is not to be used.
    /// Words without `=` (the name of the program) mean nothing.
    pub fn take<'t>(&mut self, text: &'t [u8]) -> Result<(), &'t [u8]> {
        let mut text = text;
        while !text.is_empty() {
            let (word, rest) = cut(text, b' ').unwrap_or((text, &[]));
            if let Some((name, value)) = cut(word, b'=') {
                self.set(name, value).ok_or(word)?;
            }
            text = rest;
        }
        Ok(())
    }

    fn set(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let network = &mut self.network;
        // Not a `match`, which compares octet by octet, in several times the code.
        if name == b"seed" {
            hex::fill(&mut self.seed, value)?;
        } else if name == b"key" {
            self.key = Some(hex::parse(value)?);
        } else if name == b"id" {
            self.id = Some(NodeId::new(hex::parse(value)?));
        } else if name == b"mac" {
            hex::fill(&mut network.mac, value)?;
        } else if name == b"ip" {
            network.ip = ip(value)?;
        } else if name == b"gateway" {
            network.gateway = Some(ip(value)?);
        } else if name == b"prefix" {
            network.prefix = u8::try_from(decimal(value)?).ok().filter(|bits| *bits <= 32)?;
        } else if name == b"port" {
            network.port = port(value)?;
        } else if name == b"boot" {
            self.bootstrap.push(address(value)?).ok()?;
        } else if name == b"say" {
            self.text = heapless::Vec::from_slice(value).ok()?;
        } else {
            return None;
        }
        Some(())
    }
}

/// What is before the first `at` in `text`, and what is behind it.
#[inline(never)]
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(text.iter().position(|octet| *octet == at)?)?;
    Some((before, rest.get(1..)?))
}

/// A decimal number without a sign.
#[inline(never)]
pub(crate) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, digit| number.checked_mul(10)?.checked_add(char::from(*digit).to_digit(10)?))
}

fn ip(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let [first @ .., last] = &mut octets;
    let mut rest = text;
    for octet in first {
        let number;
        (number, rest) = cut(rest, b'.')?;
        *octet = u8::try_from(decimal(number)?).ok()?;
    }
    *last = u8::try_from(decimal(rest)?).ok()?;
    Some(octets.into())
}

fn port(text: &[u8]) -> Option<u16> {
    u16::try_from(decimal(text)?).ok()
}

/// `127.0.0.2:6881`.
pub(crate) fn address(text: &[u8]) -> Option<SocketAddrV4> {
    let (host, number) = cut(text, b':')?;
    Some(SocketAddrV4::new(ip(host)?, port(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_and_mistakes_are_named() {
        let mut arguments = Arguments::new();
        let text =
            b"firmware ip=192.168.1.7 prefix=16 port=7000 boot=127.0.0.2:6881 boot=1.2.3.4:5 mac=0200000000ff say=hi";
        assert_eq!(arguments.take(text), Ok(()));
        assert_eq!(arguments.network.ip, Ipv4Addr::new(192, 168, 1, 7));
        assert_eq!((arguments.network.prefix, arguments.network.port), (16, 7_000));
        assert_eq!(arguments.network.mac, [2, 0, 0, 0, 0, 255]);
        assert_eq!(arguments.bootstrap[..], ["127.0.0.2:6881".parse().unwrap(), "1.2.3.4:5".parse().unwrap()]);
        assert_eq!(arguments.text, b"hi");
        for wrong in ["ip=1.2.3", "ip=1.2.3.4.5", "ip=1.2.3.256", "port=65536", "port=", "prefix=33", "seed=00", "x=1"]
        {
            assert_eq!(arguments.take(wrong.as_bytes()), Err(wrong.as_bytes()));
        }
    }
}
