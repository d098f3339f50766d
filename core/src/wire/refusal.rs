//! What a query is refused with (BEP 5, "Errors"; BEP 44, "Errors").

use super::bencode::Writer;
use super::keys::Key;
use super::message::{finish, write_observed};
use crate::addr::CompactAddr;

/// The error codes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Code {
    /// None of the others (BEP 5).
    Generic = 201,
    /// The asked node cannot, through no fault of the asker (BEP 5).
    Server = 202,
    /// A malformed query, or a bad token (BEP 5).
    Protocol = 203,
    /// No such query (BEP 5).
    UnknownMethod = 204,
    /// `v` is too big (BEP 44).
    ValueTooBig = 205,
    /// The signature is not that of `k` (BEP 44).
    InvalidSignature = 206,
    /// The salt is too big (BEP 44).
    SaltTooBig = 207,
    /// The stored sequence number is not the one in `cas` (BEP 44): read again, then write again.
    CasMismatch = 301,
    /// The sequence number is lower than the stored one (BEP 44).
    SequenceTooLow = 302,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Generic,
        Self::Server,
        Self::Protocol,
        Self::UnknownMethod,
        Self::ValueTooBig,
        Self::InvalidSignature,
        Self::SaltTooBig,
        Self::CasMismatch,
        Self::SequenceTooLow,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            201 => Self::Generic,
            202 => Self::Server,
            203 => Self::Protocol,
            204 => Self::UnknownMethod,
            205 => Self::ValueTooBig,
            206 => Self::InvalidSignature,
            207 => Self::SaltTooBig,
            301 => Self::CasMismatch,
            302 => Self::SequenceTooLow,
            _ => return None,
        })
    }
}

/// Why a query is refused, as the asker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: &'static str,
}

impl Refusal {
    /// A refusal with this code and message.
    #[must_use]
    pub const fn new(code: Code, message: &'static str) -> Self {
        Self { code, message }
    }

    /// Writes the error reply to the query with this transaction id, and returns its length; `None` if it does not fit
    /// into `buf`, or if the id is empty. `observed` is where the query came from (BEP 42), `version` the name of the program (BEP 5, "v").
    #[must_use]
    pub fn write(
        &self,
        transaction: &[u8],
        observed: Option<CompactAddr>,
        version: Option<[u8; 4]>,
        buf: &mut [u8],
    ) -> Option<usize> {
        let mut writer = Writer::new(buf);
        writer.dict().key(Key::Error).list();
        writer.integer(self.code.number().into()).bytes(self.message.as_bytes()).end();
        write_observed(&mut writer, observed)?;
        finish(writer, transaction, version, b"e")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number().into()), Some(code));
        }
        for number in [0, -1, 200, 208, 300, 303, i64::MAX, 201 + (1 << 16)] {
            assert_eq!(Code::from_number(number), None);
        }
    }

    #[test]
    fn the_error_of_bep_5() {
        let mut buf = [0; 64];
        let refusal = Refusal::new(Code::Generic, "A Generic Error Ocurred");
        let len = refusal.write(b"aa", None, None, &mut buf).unwrap();
        assert_eq!(&buf[..len], b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
        assert_eq!(refusal.write(b"aa", None, None, &mut buf[..len - 1]), None);
    }

    #[test]
    fn address_and_version_are_written_in_order() {
        let mut buf = [0; 64];
        let addr = CompactAddr::V4([1, 2, 3, 4], 0x0506);
        let len = Refusal::new(Code::Protocol, "x").write(b"a", Some(addr), Some(*b"BP01"), &mut buf).unwrap();
        assert_eq!(&buf[..len], b"d1:eli203e1:xe2:ip6:\x01\x02\x03\x04\x05\x061:t1:a1:v4:BP011:y1:ee");
    }
}
