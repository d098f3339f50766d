//! Commands that are typed on the console: a word, and what it is about.

use core::net::SocketAddrV4;

use crate::arguments::{address, decimal};
use crate::core::{PublicKey, Target};
use crate::published::MAX_TEXT;
use crate::{Console, hex};

/// Characters of the longest line: a put of the longest text.
const LINE: usize = 4 + MAX_TEXT;

/// What is to be done. Salts are not asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'l> {
    /// `status`
    Status,
    /// `boot ADDRESS:PORT`: another node of the network.
    Boot(SocketAddrV4),
    /// `join`: walk towards ourselves again.
    Join,
    /// `ping ADDRESS:PORT`
    Ping(SocketAddrV4),
    /// `find TARGET`: the nodes closest to it.
    Find(Target),
    /// `get TARGET`: an immutable item.
    Get(Target),
    /// `get KEY`: the newest version of a mutable item.
    GetMutable(PublicKey),
    /// `put TEXT`: as an immutable item.
    Put(&'l [u8]),
    /// `say TEXT`: as the next version of the board's own item.
    Say(&'l [u8]),
    /// `peers INFOHASH`
    Peers(Target),
    /// `announce INFOHASH PORT`
    Announce(Target, u16),
    /// `exit`
    Exit,
}

impl<'l> Command<'l> {
    fn parse(line: &'l [u8]) -> Option<Self> {
        let mut parts = line.splitn(2, |octet| *octet == b' ');
        let (word, rest) = (parts.next()?, parts.next().unwrap_or_default());
        let target = |text| hex::parse(text).map(Target::new);
        Some(match word {
            b"status" => Self::Status,
            b"boot" => Self::Boot(address(rest)?),
            b"join" => Self::Join,
            b"ping" => Self::Ping(address(rest)?),
            b"find" => Self::Find(target(rest)?),
            b"get" => match hex::parse(rest) {
                Some(key) => Self::GetMutable(PublicKey(key)),
                None => Self::Get(target(rest)?),
            },
            b"put" => Self::Put(rest),
            b"say" => Self::Say(rest),
            b"peers" => Self::Peers(target(rest)?),
            b"announce" => {
                let mut words = rest.splitn(2, |octet| *octet == b' ');
                let (info_hash, port) = (target(words.next()?)?, decimal(words.next()?)?);
                Self::Announce(info_hash, u16::try_from(port).ok()?)
            }
            b"exit" => Self::Exit,
            _ => return None,
        })
    }
}

/// The line that is being typed.
#[derive(Debug)]
pub(crate) struct Typed {
    line: heapless::Vec<u8, LINE>,
    /// It is longer than any command, and will be refused.
    too_long: bool,
}

impl Typed {
    pub(crate) const fn new() -> Self {
        Self { line: heapless::Vec::new(), too_long: false }
    }

    /// Takes what was typed, up to the end of a line; whether there is a line now.
    pub(crate) fn read(&mut self, console: &mut impl Console) -> bool {
        while let Some(octet) = console.read() {
            match octet {
                b'\n' => return true,
                b'\r' => {}
                _ => self.too_long |= self.line.push(octet).is_err(),
            }
        }
        false
    }

    /// What the line says; `None` for what is no command.
    pub(crate) fn command(&self) -> Option<Command<'_>> {
        if self.too_long { None } else { Command::parse(&self.line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn commands_are_read_and_all_else_is_none() {
        let target = "0123456789abcdef0123456789abcdef01234567";
        let is = |line: &str, command| assert_eq!(Command::parse(line.as_bytes()), command, "{line}");
        let id = Target::new(hex::parse(target.as_bytes()).unwrap());
        is("status", Some(Command::Status));
        is(&std::format!("get {target}"), Some(Command::Get(id)));
        is(&std::format!("get {}", "ab".repeat(32)), Some(Command::GetMutable(PublicKey([0xab; 32]))));
        is("put some text", Some(Command::Put(b"some text")));
        is(&std::format!("announce {target} 6881"), Some(Command::Announce(id, 6_881)));
        is("ping 127.0.0.2:6881", Some(Command::Ping("127.0.0.2:6881".parse().unwrap())));
        for wrong in ["", "get", "get 00", "ping 127.0.0.2", "announce 00 1", "boot", "statu", "peers x"] {
            is(wrong, None);
        }
    }

    /// A console on which `self` is typed.
    struct Typing(Vec<u8>);

    impl Console for Typing {
        fn write(&mut self, _: &[u8]) {}

        fn read(&mut self) -> Option<u8> {
            (!self.0.is_empty()).then(|| self.0.remove(0))
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_no_command_and_the_next_one_is() {
        let mut console = Typing([b"put ", &[b'x'; LINE][..], b"\r\nstatus\n"].concat());
        let mut typed = Typed::new();
        assert!(typed.read(&mut console));
        assert_eq!(typed.command(), None);
        typed = Typed::new();
        assert!(typed.read(&mut console));
        assert_eq!(typed.command(), Some(Command::Status));
        typed = Typed::new();
        assert!(!typed.read(&mut console));
    }
}
