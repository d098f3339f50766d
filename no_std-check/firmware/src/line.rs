//! Lines of JSON on the console: one object a line. Written as they are made, without `core::fmt`, which alone would be
//! larger than the network stack. Nothing here is inlined: each call is one of some hundred.

use core::net::SocketAddr;

use crate::Console;
use crate::hex;

/// A line that is being written: one object of JSON. It ends when it is dropped.
#[derive(Debug)]
pub struct Line<'c, C: Console> {
    console: &'c mut C,
}

impl<'c, C: Console> Line<'c, C> {
    /// Begins the line of `event`.
    #[inline(never)]
    pub fn new(console: &'c mut C, event: &str) -> Self {
        console.write(b"{\"event\":\"");
        console.write(event.as_bytes());
        console.write(b"\"");
        Self { console }
    }

    #[inline(never)]
    fn name(&mut self, name: &str) {
        self.console.write(b",\"");
        self.console.write(name.as_bytes());
        self.console.write(b"\":");
    }

    /// A text of the firmware's own: it needs no escapes.
    #[inline(never)]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.name(name);
        self.console.write(b"\"");
        self.console.write(text.as_bytes());
        self.console.write(b"\"");
        self
    }

    /// Yes or no.
    #[inline(never)]
    pub fn flag(mut self, name: &str, flag: bool) -> Self {
        self.name(name);
        self.console.write(if flag { b"true" } else { b"false" });
        self
    }

    /// A number that is not below zero.
    #[inline(never)]
    pub fn number(mut self, name: &str, number: u64) -> Self {
        self.name(name);
        decimal(self.console, number);
        self
    }

    /// A number that may be below zero.
    #[inline(never)]
    pub fn signed(mut self, name: &str, number: i64) -> Self {
        self.name(name);
        if number < 0 {
            self.console.write(b"-");
        }
        decimal(self.console, number.unsigned_abs());
        self
    }

    /// Octets, as hexadecimal digits.
    #[inline(never)]
    pub fn hex(mut self, name: &str, octets: &[u8]) -> Self {
        self.name(name);
        self.console.write(b"\"");
        for octet in octets {
            self.console.write(&hex::digits(*octet));
        }
        self.console.write(b"\"");
        self
    }

    /// IPv4 only, as the network is: another address is shown by its port.
    #[inline(never)]
    pub fn address(mut self, name: &str, addr: SocketAddr) -> Self {
        self.name(name);
        self.console.write(b"\"");
        if let SocketAddr::V4(addr) = addr {
            for (number, octet) in addr.ip().octets().into_iter().enumerate() {
                if number > 0 {
                    self.console.write(b".");
                }
                decimal(self.console, octet.into());
            }
        }
        self.console.write(b":");
        decimal(self.console, addr.port().into());
        self.console.write(b"\"");
        self
    }

    /// Several numbers under one name.
    #[inline(never)]
    pub fn counts(mut self, name: &str, counts: impl Iterator<Item = (u64, u64)>) -> Self {
        self.name(name);
        self.console.write(b"{");
        for (number, (key, count)) in counts.enumerate() {
            self.console.write(if number > 0 { b",\"" } else { b"\"" });
            decimal(self.console, key);
            self.console.write(b"\":");
            decimal(self.console, count);
        }
        self.console.write(b"}");
        self
    }
}

impl<C: Console> Drop for Line<'_, C> {
    #[inline(never)]
    fn drop(&mut self) {
        self.console.write(b"}\n");
    }
}

#[inline(never)]
fn decimal(console: &mut impl Console, mut number: u64) {
    // Digits from the last to the first; 2^64 has twenty.
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    console.write(digits.get(20 - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    impl Console for Vec<u8> {
        fn write(&mut self, octets: &[u8]) {
            self.extend_from_slice(octets);
        }

        fn read(&mut self) -> Option<u8> {
            None
        }
    }

    #[test]
    fn a_line_is_an_object_of_json() {
        let mut out = Vec::new();
        Line::new(&mut out, "try")
            .text("name", "x")
            .flag("yes", true)
            .number("most", u64::MAX)
            .number("none", 0)
            .signed("least", i64::MIN)
            .hex("id", &[0, 0xab])
            .address("at", ([127, 0, 0, 2], 6_881).into())
            .counts("codes", [(203, 1), (301, 20)].into_iter());
        let expected = r#"{"event":"try","name":"x","yes":true,"most":18446744073709551615,"none":0,"#;
        let expected = std::format!(
            "{expected}{}\n",
            r#""least":-9223372036854775808,"id":"00ab","at":"127.0.0.2:6881","codes":{"203":1,"301":20}}"#
        );
        assert_eq!(std::string::String::from_utf8(out).unwrap(), expected);
    }
}
