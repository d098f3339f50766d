//! Values: how they come in, and how people read them.

use std::io::Read as _;
use std::path::Path;

use bep44::core::wire::bencode::{Reader, Value};
use bep44::{bencoded_bytes, to_hex};

use crate::args::Put;
use crate::failure::Failure;

/// What is read at most: more than fits anywhere, and enough to say how much too much it is.
const READ: u64 = 1 << 20;

/// The bencoded value that is to be stored. Whether it is within the limits is seen when it becomes an item.
pub(crate) fn of(args: &Put) -> Result<Vec<u8>, Failure> {
    let octets = match (&args.file, args.value.as_deref()) {
        (Some(path), _) => read_file(path)?,
        (None, Some("-")) => {
            let mut octets = Vec::new();
            let read = std::io::stdin().take(READ).read_to_end(&mut octets);
            read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            octets
        }
        (None, value) => value.unwrap_or_default().as_bytes().to_vec(),
    };
    Ok(if args.bencoded { octets } else { bencoded_bytes(&octets) })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(READ).read_to_end(&mut octets))
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(octets)
}

/// The text of a value that is a byte string in UTF-8.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(Reader::new(value).bytes().ok()?).ok()
}

/// A value as people read it: the text itself, or the structure with texts in quotes and other octets in hexadecimal.
pub(crate) fn shown(value: &[u8]) -> String {
    match text(value) {
        // What could move the cursor or worse is shown, not done.
        Some(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => text.to_owned(),
        _ => Reader::new(value).value().map_or_else(|_| to_hex(value), |value| structure(value, 0)),
    }
}

/// Values nest 500 deep at most; nobody reads that.
const DEPTH: usize = 32;

fn structure(value: Value<'_>, depth: usize) -> String {
    if depth == DEPTH {
        return "...".to_owned();
    }
    if let Some(bytes) = value.bytes() {
        return quoted(bytes);
    }
    if let Some(items) = value.items() {
        let items: Vec<_> = items.map_while(Result::ok).map(|item| structure(item, depth + 1)).collect();
        return format!("[{}]", items.join(", "));
    }
    if let Some(entries) = value.entries() {
        let entry = |(key, value)| format!("{}: {}", quoted(key), structure(value, depth + 1));
        let entries: Vec<_> = entries.map_while(Result::ok).map(entry).collect();
        return format!("{{{}}}", entries.join(", "));
    }
    // An integer of any number of digits.
    let raw = value.raw();
    let digits = raw.strip_prefix(b"i").and_then(|raw| raw.strip_suffix(b"e")).unwrap_or(raw);
    String::from_utf8_lossy(digits).into_owned()
}

fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("0x{}", to_hex(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_read_them() {
        assert_eq!(shown(b"5:Hello"), "Hello");
        assert_eq!(shown(b"2:\xff\x00"), "0xff00");
        assert_eq!(shown(b"4:\x1b[2J"), "0x1b5b324a");
        assert_eq!(shown(b"d1:ali1e2:\"xe1:bde1:c1:\0e"), r#"{"a": [1, "\"x"], "b": {}, "c": 0x00}"#);
        assert_eq!(shown(b"i-12345678901234567890123e"), "-12345678901234567890123");
        assert_eq!(shown(&[vec![b'l'; 500], vec![b'e'; 500]].concat()).len(), 2 * 32 + 3);
    }
}
