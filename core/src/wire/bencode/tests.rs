use super::*;
use quickcheck::{Arbitrary, Gen, quickcheck};
use std::{boxed::Box, format, vec, vec::Vec};

#[test]
fn byte_strings() {
    let mut reader = Reader::new(b"4:spam0:03:abcrest");
    assert_eq!(reader.bytes(), Ok(&b"spam"[..]));
    assert_eq!(reader.bytes(), Ok(&b""[..]));
    assert_eq!(reader.bytes(), Ok(&b"abc"[..]), "leading zeros of a length are tolerated");
    assert_eq!(reader.rest(), b"rest");
    assert_eq!(reader.bytes(), Err(Malformed));
    assert_eq!(reader.rest(), b"rest", "a failure consumes nothing");
    for bad in [&b""[..], b"1", b"1:", b":", b"-1:a", b"2:a", b"1a", b"1 :a", b"i1e"] {
        assert_eq!(Reader::new(bad).bytes(), Err(Malformed), "{bad:?}");
    }
}

#[test]
fn a_length_that_overflows_is_malformed() {
    for len in ["18446744073709551615", "18446744073709551616", "99999999999999999999999999", "4294967296"] {
        let text = format!("{len}:abc");
        assert_eq!(Reader::new(text.as_bytes()).bytes(), Err(Malformed));
        assert_eq!(Reader::new(text.as_bytes()).skip(), Err(Malformed));
        assert!(!is_canonical(text.as_bytes()));
    }
}

#[test]
fn integers() {
    for value in [0, 1, -1, 10, 42, -42, i64::MAX, i64::MIN] {
        assert_eq!(Reader::new(format!("i{value}e").as_bytes()).integer(), Ok(value));
    }
    for bad in [
        &b"i03e"[..],
        b"i-0e",
        b"i-03e",
        b"i+1e",
        b"ie",
        b"i-e",
        b"i e",
        b"i 1e",
        b"i1",
        b"i",
        b"i1.5e",
        b"i--1e",
        b"00",
        b"i9223372036854775808e",
        b"i-9223372036854775809e",
        b"i123456789012345678901234567890e",
    ] {
        assert_eq!(Reader::new(bad).integer(), Err(Malformed), "{bad:?}");
    }
}

#[test]
fn an_integer_beyond_64_bits_can_be_skipped_and_is_canonical() {
    let text = b"i123456789012345678901234567890e";
    assert_eq!(Reader::new(text).skip(), Ok(&text[..]));
    assert!(is_canonical(text));
    assert!(is_canonical(b"i-123456789012345678901234567890e"));
    assert!(is_canonical(b"i18446744073709551615e"));
    assert!(!is_canonical(b"i0123456789012345678901234567890e"));
}

#[test]
fn skip_finds_the_end_of_any_value() {
    for value in [&b"0:"[..], b"1:e", b"i0e", b"le", b"de", b"ld1:al1:eeei5ee", b"d1:ai03e1:bi+1ee"] {
        let mut text = value.to_vec();
        text.extend_from_slice(b"i7e");
        let mut reader = Reader::new(&text);
        assert_eq!(reader.skip(), Ok(value));
        assert_eq!(reader.rest(), b"i7e");
        for len in 0..value.len() {
            assert_eq!(Reader::new(&value[..len]).skip(), Err(Malformed));
        }
    }
    assert_eq!(Reader::new(b"e").skip(), Err(Malformed));
}

#[test]
fn dicts_may_be_unsorted_and_have_duplicates() {
    let entries: Vec<_> = Dict::open(b"d1:b1:x1:ai1e1:ble").unwrap().collect();
    assert_eq!(entries.len(), 4, "three entries, and the missing end");
    assert_eq!(entries[3], Err(Malformed));
    let entries: Result<Vec<_>, _> = Dict::open(b"d1:b1:x1:ai1e1:bleejunk").unwrap().collect();
    let entries: Vec<_> = entries.unwrap().into_iter().map(|(key, value)| (key, value.raw())).collect();
    assert_eq!(entries, [(&b"b"[..], &b"1:x"[..]), (b"a", b"i1e"), (b"b", b"le")]);
    let bad: Vec<_> = Dict::open(b"di1ei2ee").unwrap().collect();
    assert_eq!(bad, [Err(Malformed)], "a key must be a string");
    let bad: Vec<_> = Dict::open(b"d1:ae").unwrap().collect();
    assert_eq!(bad, [Err(Malformed)], "a key must have a value");
}

#[test]
fn canonical_values() {
    for good in [
        &b"0:"[..],
        b"i0e",
        b"i-1e",
        b"le",
        b"de",
        b"12:Hello World!",
        b"d0:0:1:a0:2:aa0:1:b0:e",
        b"d1:ad1:b0:1:c0:e1:b0:e",
        b"ld1:b0:ed1:a0:ee",
        b"d1:\x7f0:1:\x800:1:\xff0:e",
    ] {
        assert!(is_canonical(good), "{good:?}");
    }
    for bad in [
        &b""[..],
        b"e",
        b"i03e",
        b"i-0e",
        b"i-03e",
        b"i e",
        b"i+1e",
        b"ie",
        b"03:abc",
        b"00:",
        b"1:",
        b"1:ab",
        b"i1ei2e",
        b"lee",
        b"dee",
        b"l",
        b"d",
        b"li03ee",
        b"l03:abce",
        b"d1:b0:1:a0:e",
        b"d1:a0:1:a0:e",
        b"d1:a0:0:0:e",
        b"d1:ae",
        b"d1:a",
        b"di1e0:e",
        b"d01:a0:e",
        b"d1:ad1:b0:1:b0:ee",
        b"d1:\x800:1:\x7f0:e",
        b"x",
    ] {
        assert!(!is_canonical(bad), "{bad:?}");
    }
}

fn nested(levels: usize) -> Vec<u8> {
    [vec![b'l'; levels], vec![b'e'; levels]].concat()
}

#[test]
fn nesting_is_bounded_and_needs_no_recursion() {
    for levels in [1, 450, 500, MAX_DEPTH] {
        assert!(is_canonical(&nested(levels)), "{levels}");
    }
    assert!(!is_canonical(&nested(MAX_DEPTH + 1)));
    assert!(!is_canonical(&nested(30_000)));
    assert_eq!(Reader::new(&nested(30_000)).skip().map(<[u8]>::len), Ok(60_000));
    let dicts = [b"d1:a".repeat(200), b"de".to_vec(), vec![b'e'; 200]].concat();
    assert!(is_canonical(&dicts));
}

#[test]
fn a_list_beyond_a_datagram_is_not_canonical() {
    let list = |len: usize| [&b"l"[..], &b"0:".repeat(len / 2 - 1), b"e"].concat();
    assert!(!is_canonical(&list(MAX_NESTED_LEN + 1)));
    assert!(is_canonical(&[b"l".as_slice(), b"1:x", &b"0:".repeat(32_765), b"e"].concat()));
}

#[test]
fn the_writer_writes_and_its_overflow_is_sticky() {
    let mut buf = [0; 64];
    let mut writer = Writer::new(&mut buf);
    writer.dict().bytes(b"a").integer(i64::MIN).bytes(b"b").list().integer(0).bytes(b"").end();
    writer.bytes(b"c").raw(b"de").end();
    let expected = b"d1:ai-9223372036854775808e1:bli0e0:e1:cdee";
    assert_eq!(writer.finish(), Some(&expected[..]));

    let mut buf = [0; 4];
    let mut writer = Writer::new(&mut buf);
    writer.bytes(b"abc").integer(1).raw(b"");
    assert_eq!(writer.finish(), None);
    let mut writer = Writer::new(&mut buf);
    writer.bytes(b"ab");
    assert_eq!(writer.finish(), Some(&b"2:ab"[..]));
}

/// A value that may or may not be canonical.
#[derive(Debug, Clone)]
enum Tree {
    Bytes(Vec<u8>),
    Text(&'static str),
    List(Vec<Self>),
    Dict(Vec<(Vec<u8>, Self)>),
}

impl Tree {
    fn generate(g: &mut Gen, depth: usize) -> Self {
        let short = |g: &mut Gen| -> Vec<u8> {
            let len = usize::arbitrary(g) % 4;
            (0..len).map(|_| *g.choose(b"ab:e0\xff").unwrap()).collect()
        };
        let count = usize::arbitrary(g) % 5;
        match if depth == 0 { u8::arbitrary(g) % 2 } else { u8::arbitrary(g) % 4 } {
            0 => Self::Bytes(short(g)),
            1 => Self::Text(g.choose(&["i0e", "i-1e", "i12e", "i99999999999999999999e", "i-0e", "0:"]).unwrap()),
            2 => Self::List((0..count).map(|_| Self::generate(g, depth - 1)).collect()),
            _ => {
                let mut entries: Vec<_> = (0..count).map(|_| (short(g), Self::generate(g, depth - 1))).collect();
                if u8::arbitrary(g) % 8 != 0 {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                    entries.dedup_by(|(a, _), (b, _)| a == b);
                }
                Self::Dict(entries)
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Bytes(content) => bytes(out, content),
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    bytes(out, key);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Encoded(Vec<u8>);

impl Arbitrary for Encoded {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut out = Vec::new();
        Tree::generate(g, 4).write(&mut out);
        Self(out)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Self))
    }
}

/// The rest after one canonical value; the obvious way.
fn reference(octets: &[u8]) -> Option<&[u8]> {
    fn string(octets: &[u8]) -> Option<(&[u8], &[u8])> {
        let colon = octets.iter().position(|&octet| octet == b':')?;
        let digits = core::str::from_utf8(&octets[..colon]).ok()?;
        let len: usize = digits.parse().ok()?;
        if format!("{len}") != digits || octets.len() < colon + 1 + len {
            return None;
        }
        Some(octets[colon + 1..].split_at(len))
    }
    match octets.first()? {
        b'i' => {
            let end = octets.iter().position(|&octet| octet == b'e')?;
            let digits = octets[1..end].strip_prefix(b"-").unwrap_or(&octets[1..end]);
            let ok = !digits.is_empty()
                && digits.iter().all(u8::is_ascii_digit)
                && (digits[0] != b'0' || &octets[1..end] == b"0");
            ok.then_some(&octets[end + 1..])
        }
        b'l' => {
            let mut rest = &octets[1..];
            while *rest.first()? != b'e' {
                rest = reference(rest)?;
            }
            Some(&rest[1..])
        }
        b'd' => {
            let mut rest = &octets[1..];
            let mut keys = Vec::new();
            while *rest.first()? != b'e' {
                let (key, after) = string(rest)?;
                keys.push(key);
                rest = reference(after)?;
            }
            keys.windows(2).all(|pair| pair[0] < pair[1]).then_some(&rest[1..])
        }
        _ => string(octets).map(|(_, rest)| rest),
    }
}

fn agrees(octets: &[u8]) -> bool {
    is_canonical(octets) == reference(octets).is_some_and(<[u8]>::is_empty)
}

/// What is canonical is read back whole by the lenient reader.
fn reads(octets: &[u8]) -> bool {
    !is_canonical(octets) || Reader::new(octets).skip() == Ok(octets)
}

quickcheck! {
    fn canonical_agrees_with_the_reference(value: Encoded) -> bool {
        agrees(&value.0) && reads(&value.0)
    }

    fn canonical_agrees_with_the_reference_after_changes(value: Encoded, at: usize, octet: u8) -> bool {
        b"0123456789ilde:-ab".iter().chain([&octet]).all(|&octet| {
            let mut changed = value.0.clone();
            let at = at % changed.len();
            changed[at] = octet;
            let mut longer = value.0.clone();
            longer.insert(at, octet);
            let mut shorter = value.0.clone();
            shorter.remove(at);
            [changed, longer, shorter].iter().all(|octets| agrees(octets) && reads(octets))
        })
    }

    fn canonical_agrees_with_the_reference_on_noise(choices: Vec<u8>) -> bool {
        let alphabet = b"0123456789ilde:-a";
        let octets: Vec<_> = choices.iter().map(|&at| alphabet[usize::from(at) % alphabet.len()]).collect();
        agrees(&octets) && reads(&octets) && agrees(&choices)
    }

    fn integers_round_trip(value: i64) -> bool {
        let mut buf = [0; 22];
        let mut writer = Writer::new(&mut buf);
        writer.integer(value);
        let text = writer.finish().unwrap();
        is_canonical(text) && Reader::new(text).integer() == Ok(value)
    }

    fn byte_strings_round_trip(value: Vec<u8>) -> bool {
        let mut buf = [0; 1024];
        let mut writer = Writer::new(&mut buf);
        writer.bytes(&value);
        let text = writer.finish().unwrap();
        is_canonical(text) && Reader::new(text).bytes() == Ok(&value)
    }
}
