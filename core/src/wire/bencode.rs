//! Bencoding (BEP 3, "Bencoding"): a reader that borrows, a judge of canonical form, and a writer into a lent buffer.
//!
//! The reader is lenient where peers are sloppy and nothing is signed (unsorted keys, leading zeros of a length, what an
//! integer that is only skipped looks like); [`is_canonical`] is not.

use core::fmt;

/// How deep lists and dicts may nest in a canonical value, the outermost counted as 1. The deepest value that fits into
/// the 1,000 octets of BEP 44 has 500 levels.
pub const MAX_DEPTH: usize = 512;

/// Octets of the largest list or dict that can be canonical: more than a datagram holds.
pub const MAX_NESTED_LEN: usize = u16::MAX as usize;

/// What was read is not bencoded, or not of the type that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed bencoding")
    }
}

impl core::error::Error for Malformed {}

/// A cursor over bencoded values that follow one another. A call that fails consumes nothing.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `octets`.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads a byte string. Leading zeros of its length are tolerated.
    ///
    /// # Errors
    /// [`Malformed`] if no whole byte string stands here.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = split_bytes(self.rest).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads an integer: no leading zeros, no plus, no `-0`.
    ///
    /// # Errors
    /// [`Malformed`] if no well-formed integer stands here, or one that does not fit into 64 bits (which [`skip`] can
    /// pass over).
    ///
    /// [`skip`]: Self::skip
    pub fn integer(&mut self) -> Result<i64, Malformed> {
        let (digits, rest) = split_integer(self.rest).ok_or(Malformed)?;
        let value = parse_integer(digits).ok_or(Malformed)?;
        self.rest = rest;
        Ok(value)
    }

    /// Passes over one whole value of any type and nesting, and returns its octets. Only the frame is looked at: where
    /// the value ends. What stands between `i` and `e`, and whether the keys of a dict are strings, is not, so that a
    /// query with a bad value in it can still be answered.
    ///
    /// # Errors
    /// [`Malformed`] if no whole value stands here.
    pub fn skip(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.rest;
        let mut rest = start;
        let mut depth = 0_usize;
        loop {
            let (&kind, after) = rest.split_first().ok_or(Malformed)?;
            match kind {
                b'0'..=b'9' => (_, rest) = split_bytes(rest).ok_or(Malformed)?,
                b'i' => (_, rest) = split_integer(rest).ok_or(Malformed)?,
                b'l' | b'd' => (depth, rest) = (depth.saturating_add(1), after),
                b'e' => (depth, rest) = (depth.checked_sub(1).ok_or(Malformed)?, after),
                _ => return Err(Malformed),
            }
            if depth == 0 {
                break;
            }
        }
        let raw = start.get(..start.len().saturating_sub(rest.len())).ok_or(Malformed)?;
        self.rest = rest;
        Ok(raw)
    }

    /// Reads one whole value of any type.
    ///
    /// # Errors
    /// [`Malformed`] if no whole value stands here.
    pub fn value(&mut self) -> Result<Value<'a>, Malformed> {
        self.skip().map(Value)
    }
}

/// One whole value of any type, as octets; what is inside is read when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value as it stood on the wire.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// The content, if this is a byte string.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        Reader::new(self.0).bytes().ok()
    }

    /// The number, if this is a well-formed integer that fits into 64 bits.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        Reader::new(self.0).integer().ok()
    }

    /// The values in it, if this is a list.
    #[must_use]
    pub fn items(self) -> Option<List<'a>> {
        List::open(self.0).ok()
    }

    /// The keys and values in it, if this is a dict.
    #[must_use]
    pub fn entries(self) -> Option<Dict<'a>> {
        Dict::open(self.0).ok()
    }
}

/// The values of a list, in order. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct List<'a> {
    /// `None` when the end, or an error, has been reached.
    rest: Option<Reader<'a>>,
}

impl<'a> List<'a> {
    /// The list at the start of `octets`. What follows it is not looked at.
    ///
    /// # Errors
    /// [`Malformed`] if no list begins here.
    pub fn open(octets: &'a [u8]) -> Result<Self, Malformed> {
        let rest = octets.strip_prefix(b"l").ok_or(Malformed)?;
        Ok(Self { rest: Some(Reader::new(rest)) })
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Result<Value<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.rest.take()?;
        if reader.rest().first() == Some(&b'e') {
            return None;
        }
        let value = reader.value();
        self.rest = value.is_ok().then_some(reader);
        Some(value)
    }
}

/// The keys and values of a dict as they stand, sorted or not, with every duplicate: the caller decides which counts
/// (messages take the first). After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Dict<'a> {
    /// `None` when the end, or an error, has been reached.
    rest: Option<Reader<'a>>,
}

impl<'a> Dict<'a> {
    /// The dict at the start of `octets`. What follows it is not looked at.
    ///
    /// # Errors
    /// [`Malformed`] if no dict begins here.
    pub fn open(octets: &'a [u8]) -> Result<Self, Malformed> {
        let rest = octets.strip_prefix(b"d").ok_or(Malformed)?;
        Ok(Self { rest: Some(Reader::new(rest)) })
    }
}

impl<'a> Iterator for Dict<'a> {
    type Item = Result<(&'a [u8], Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.rest.take()?;
        if reader.rest().first() == Some(&b'e') {
            return None;
        }
        let entry = reader.bytes().and_then(|key| Ok((key, reader.value()?)));
        self.rest = entry.is_ok().then_some(reader);
        Some(entry)
    }
}

/// Whether `value` is exactly one value in the only form that BEP 44 allows to be signed and hashed: keys of dicts
/// strictly ascending as raw octets, no leading zeros, no `-0`, nothing missing and nothing after it. Integers may have
/// any number of digits. A value deeper than [`MAX_DEPTH`] or a list or dict over [`MAX_NESTED_LEN`] octets is not
/// canonical.
///
/// Takes time linear in the length; a list or dict takes 1 KiB of stack.
#[must_use]
pub fn is_canonical(value: &[u8]) -> bool {
    match value.first() {
        Some(b'l' | b'd') => value.len() <= MAX_NESTED_LEN && check_nested(value).is_some(),
        _ => split_canonical_scalar(value).is_some_and(<[u8]>::is_empty),
    }
}

/// Writes bencoded values one after another into a lent buffer. The first write that does not fit, and every one after
/// it, writes nothing: only [`finish`](Self::finish) need be checked.
///
/// The caller balances [`dict`](Self::dict) and [`list`](Self::list) with [`end`](Self::end), and writes the keys of a
/// dict in ascending order.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut [u8],
    /// `None` once something did not fit.
    written: Option<usize>,
}

impl<'b> Writer<'b> {
    /// Nothing written yet.
    #[must_use]
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, written: Some(0) }
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // `usize` has at most 64 bits on every target there is.
        self.decimal(bytes.len() as u64).raw(b":").raw(bytes)
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) -> &mut Self {
        self.raw(if value < 0 { b"i-" } else { b"i" }).decimal(value.unsigned_abs()).raw(b"e")
    }

    /// Begins a dict.
    pub fn dict(&mut self) -> &mut Self {
        self.raw(b"d")
    }

    /// Begins a list.
    pub fn list(&mut self) -> &mut Self {
        self.raw(b"l")
    }

    /// Ends a dict or a list.
    pub fn end(&mut self) -> &mut Self {
        self.raw(b"e")
    }

    /// Octets that are bencoded already.
    pub fn raw(&mut self, octets: &[u8]) -> &mut Self {
        self.written = self.written.and_then(|written| {
            // Cut in two steps, so that the compiler sees both sides of the copy to be of one length.
            self.buf.get_mut(written..)?.get_mut(..octets.len())?.copy_from_slice(octets);
            written.checked_add(octets.len())
        });
        self
    }

    /// What was written; `None` if it did not fit.
    #[must_use]
    pub fn finish(self) -> Option<&'b [u8]> {
        let buf: &'b [u8] = self.buf;
        buf.get(..self.written?)
    }

    fn decimal(&mut self, mut value: u64) -> &mut Self {
        // 2^64 - 1 has 20 digits.
        let mut digits = [0; 20];
        let mut start = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' | (value % 10) as u8;
            value /= 10;
            start = start.saturating_sub(1);
            if value == 0 {
                break;
            }
        }
        self.raw(digits.get(start..).unwrap_or_default())
    }
}

/// Splits a length and its colon from what follows.
fn split_length(octets: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = octets.split_first()?;
    let mut len = digit(first)?;
    loop {
        let (&next, after) = rest.split_first()?;
        rest = after;
        if next == b':' {
            return Some((len, rest));
        }
        len = len.checked_mul(10)?.checked_add(digit(next)?)?;
    }
}

fn digit(octet: u8) -> Option<usize> {
    octet.is_ascii_digit().then_some(usize::from(octet & 0x0f))
}

/// Splits a byte string from what follows.
fn split_bytes(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = split_length(octets)?;
    rest.split_at_checked(len)
}

/// Splits what stands between `i` and the next `e`, whatever it is, from what follows.
fn split_integer(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = octets.strip_prefix(b"i")?;
    let (digits, rest) = rest.split_at_checked(rest.iter().position(|&octet| octet == b'e')?)?;
    Some((digits, rest.strip_prefix(b"e")?))
}

/// Whether the octets between `i` and `e` are the one way to write a number.
fn is_canonical_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn parse_integer(text: &[u8]) -> Option<i64> {
    if !is_canonical_integer(text) {
        return None;
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    // Summed up below zero, where there is one number more.
    let sum = digits.iter().try_fold(0_i64, |sum, octet| sum.checked_mul(10)?.checked_sub(i64::from(octet & 0x0f)))?;
    if negative { Some(sum) } else { sum.checked_neg() }
}

/// Splits a canonical byte string from what follows.
fn split_canonical_bytes(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let leading_zero = octets.starts_with(b"0") && octets.get(1) != Some(&b':');
    if leading_zero { None } else { split_bytes(octets) }
}

/// What follows a canonical byte string or integer.
fn split_canonical_scalar(octets: &[u8]) -> Option<&[u8]> {
    if octets.first() == Some(&b'i') {
        let (text, rest) = split_integer(octets)?;
        is_canonical_integer(text).then_some(rest)
    } else {
        split_canonical_bytes(octets).map(|(_, rest)| rest)
    }
}

/// The state of an open list. Not an offset of a key: that is below [`MAX_NESTED_LEN`].
const LIST: u16 = u16::MAX;
/// The state of an open dict before its first key. Not an offset of a key: at 0 stands the outermost `l` or `d`.
const DICT: u16 = 0;

/// Splits the first octet of a list or dict from what follows; returns its state.
fn open(octets: &[u8]) -> Option<(u16, &[u8])> {
    match octets.split_first()? {
        (b'l', rest) => Some((LIST, rest)),
        (b'd', rest) => Some((DICT, rest)),
        _ => None,
    }
}

/// Whether `value`, of at most [`MAX_NESTED_LEN`] octets, is exactly one canonical list or dict. Apart, so that the
/// stack of levels is not set up for plain strings and integers.
#[inline(never)]
fn check_nested(value: &[u8]) -> Option<()> {
    // The state of a level: `LIST`, `DICT`, or where in `value` the last key of a dict stands.
    let mut parents = [0_u16; MAX_DEPTH - 1];
    let mut depth = 0_usize;
    let (mut level, mut rest) = open(value)?;
    loop {
        if let Some(after) = rest.strip_prefix(b"e") {
            rest = after;
            let Some(above) = depth.checked_sub(1) else {
                return rest.is_empty().then_some(());
            };
            depth = above;
            level = *parents.get(depth)?;
            continue;
        }
        if level != LIST {
            let at = u16::try_from(value.len().checked_sub(rest.len())?).ok()?;
            let (key, after) = split_canonical_bytes(rest)?;
            if level != DICT {
                let (last, _) = split_bytes(value.get(usize::from(level)..)?)?;
                if last >= key {
                    return None;
                }
            }
            (level, rest) = (at, after);
        }
        match rest.first()? {
            b'l' | b'd' => {
                *parents.get_mut(depth)? = level;
                depth = depth.checked_add(1)?;
                (level, rest) = open(rest)?;
            }
            _ => rest = split_canonical_scalar(rest)?,
        }
    }
}

#[cfg(test)]
mod tests {
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
}
