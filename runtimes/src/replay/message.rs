//! A datagram as people read it: one field a line, by its path in the message.

use std::net::SocketAddr;

use bep44_core::addr::CompactAddr;
use bep44_core::id::ID_LEN;
use bep44_core::wire::bencode::{Dict, Reader, Value};

use crate::hex::to_hex;

/// How deep a value is taken apart; what lies deeper is shown as it stands.
const DEPTH: usize = 8;

/// What a line shows: a name and a value.
pub(crate) type Field = (String, String);

/// The fields of a datagram; one with all of its octets, if it is no message.
pub(crate) fn fields(datagram: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut reader = Reader::new(datagram);
    match reader.value() {
        Ok(message) if message.entries().is_some() => {
            walk("", message, DEPTH, &mut fields);
            if !reader.rest().is_empty() {
                fields.push(("(after it)".to_owned(), octets(reader.rest())));
            }
        }
        _ => fields.push(("(no message)".to_owned(), octets(datagram))),
    }
    fields
}

/// What kind of message it is, in a word or two.
pub(crate) fn kind(datagram: &[u8]) -> String {
    match text_of(datagram, b"y") {
        Some(b"q") => {
            let method = text_of(datagram, b"q").unwrap_or_default();
            format!("query {}", String::from_utf8_lossy(method).escape_debug())
        }
        Some(b"r") => "answer".to_owned(),
        Some(b"e") => "error".to_owned(),
        _ => "no message".to_owned(),
    }
}

/// The byte string of this name in a message.
pub(crate) fn text_of<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut entries = Dict::open(message).ok()?.map_while(Result::ok);
    entries.find(|(key, _)| *key == name).and_then(|(_, value)| value.bytes())
}

fn walk(path: &str, value: Value<'_>, depth: usize, fields: &mut Vec<Field>) {
    let name = path.rsplit('.').next().unwrap_or(path);
    // What is stored is anybody's: it is shown as it is signed, in one piece.
    if let Some(entries) = value.entries().filter(|_| depth > 0 && name != "v") {
        for entry in entries {
            let Ok((key, value)) = entry else {
                fields.push((format!("{path} (malformed)"), octets(value.raw())));
                break;
            };
            let key = text(key).unwrap_or_else(|| to_hex(key));
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            walk(&path, value, depth - 1, fields);
        }
    } else if let Some(items) = value.items().filter(|_| depth > 0 && name != "v") {
        for (number, item) in items.map_while(Result::ok).enumerate() {
            walk(&format!("{path}[{number}]"), item, depth - 1, fields);
        }
    } else if let Some(each) = node_len(name)
        && let Some(nodes) = value.bytes().filter(|nodes| nodes.len().is_multiple_of(each))
    {
        for (number, node) in nodes.chunks_exact(each).enumerate() {
            let (id, addr) = node.split_at(ID_LEN);
            fields.push((format!("{path}[{number}]"), format!("{} at {}", to_hex(id), compact(addr))));
        }
    } else {
        fields.push((path.to_owned(), scalar(name, value)));
    }
}

/// Octets of one entry of a list of nodes in one string.
fn node_len(name: &str) -> Option<usize> {
    match name {
        "nodes" => Some(ID_LEN + 6),
        "nodes6" => Some(ID_LEN + 18),
        _ => None,
    }
}

fn scalar(name: &str, value: Value<'_>) -> String {
    if name == "v" && value.bytes().is_none() {
        return octets(value.raw());
    }
    if let Some(number) = value.integer() {
        return number.to_string();
    }
    match value.bytes() {
        Some(addr) if name == "ip" || name.starts_with("values[") => compact(addr),
        // These are never text, even if all of their octets happen to be letters.
        Some(key) if matches!(name, "id" | "target" | "info_hash" | "token" | "t" | "k" | "sig") => to_hex(key),
        Some(other) => octets(other),
        None => octets(value.raw()),
    }
}

fn compact(octets: &[u8]) -> String {
    CompactAddr::from_compact(octets).map_or_else(|| to_hex(octets), |addr| SocketAddr::from(addr).to_string())
}

/// As text in quotation marks, if it is one; otherwise hexadecimal.
pub(crate) fn octets(octets: &[u8]) -> String {
    text(octets).map_or_else(|| to_hex(octets), |text| format!("{text:?}"))
}

fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn a_message_is_shown_field_by_field() {
        let mut datagram = b"d1:rd2:id20:".to_vec();
        datagram.extend([0xaa; 20]);
        datagram.extend(b"5:nodes26:");
        datagram.extend([0xbb; 20]);
        datagram.extend([127, 0, 0, 1, 0x1a, 0xe1]);
        datagram.extend(b"3:seqi4e6:valuesl6:\x7f\0\0\x01\x1a\xe1e1:vd1:ai1eee1:t4:abcd1:y1:re");
        let shown: Vec<_> = fields(&datagram).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            format!("r.id={}", "aa".repeat(20)),
            format!("r.nodes[0]={} at 127.0.0.1:6881", "bb".repeat(20)),
            "r.seq=4".to_owned(),
            "r.values[0]=127.0.0.1:6881".to_owned(),
            "r.v=\"d1:ai1ee\"".to_owned(),
            "t=61626364".to_owned(),
            "y=\"r\"".to_owned(),
        ];
        assert_eq!(shown, expected);
        assert_eq!(kind(&datagram), "answer");
        assert_eq!(kind(b"d1:q4:ping1:y1:qe"), "query ping");
        assert_eq!(fields(b"\x01\x02"), [("(no message)".to_owned(), "0102".to_owned())]);
    }

    quickcheck! {
        fn anything_can_be_shown(octets: Vec<u8>) -> bool {
            let dict = [b"d1:a".as_slice(), &octets, b"e"].concat();
            kind(&octets).len() < 4 * octets.len() + 20 && !fields(&octets).is_empty() && fields(&dict).len() <= dict.len()
        }
    }
}
