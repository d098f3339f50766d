//! Choices made by the octets of an input, from its first to its last; after the last, every choice is the first.

use std::net::SocketAddr;

use arbitrary::Unstructured;

use crate::datagram::{Id, addr};
use crate::script::place;

pub(super) struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(Unstructured::new(octets))
    }

    /// Whether all octets are used.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn octet(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// 16 bits.
    pub(super) fn number(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// A number below `limit`, which is at least 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.int_in_range(0..=limit - 1).unwrap_or(0)
    }

    /// True in about one of `chances` cases.
    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == chances - 1
    }

    pub(super) fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Up to `limit` octets.
    pub(super) fn octets(&mut self, limit: usize) -> Vec<u8> {
        let len = self.below(limit + 1).min(self.0.len());
        self.0.bytes(len).unwrap_or_default().to_vec()
    }

    /// The rest of the input.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }

    /// One of some dozen points of the id space, some of them close to id 0.
    pub(super) fn id(&mut self) -> Id {
        let octet = self.octet();
        let mut id = [octet; 20];
        id[..[0, 0, 1, 3, 19][usize::from(octet) % 5]].fill(0);
        id
    }

    /// One of a few dozen addresses: mostly of the Internet, some of IPv6, some that nothing can be sent to.
    pub(super) fn addr(&mut self) -> SocketAddr {
        let which = self.octet();
        match which {
            250.. => addr(
                ["0.0.0.0:0", "255.255.255.255:5", "[ff02::1]:1", "60.0.1.1:0", "10.0.0.1:7", "127.0.0.1:5"]
                    [usize::from(which - 250)],
            ),
            200..250 => addr(&format!("[2001:db8:{}::1]:{}", which % 8, 1_000 + u16::from(which / 8))),
            _ => place((which % 40).into()),
        }
    }

    /// The same octets with a few changes, perhaps.
    pub(super) fn mutated(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
        if !self.one_in(3) {
            return octets;
        }
        for _ in 0..=self.below(3) {
            let at = usize::from(self.number()) % (octets.len() + 1);
            match self.below(5) {
                0 => octets.truncate(at),
                1 => octets.insert(at, self.octet()),
                2 => drop(octets.drain(at..(at + self.below(8)).min(octets.len()))),
                3 => drop(octets.splice(at..at, self.octets(12))),
                _ => octets.get_mut(at).into_iter().for_each(|octet| *octet = self.octet()),
            }
        }
        octets
    }
}
