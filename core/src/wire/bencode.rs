//! Bencoding (BEP 3, "Bencoding"): a reader that borrows, a judge of canonical form, and a writer into a lent buffer.
//!
//! The reader is lenient where peers are sloppy and nothing is signed (unsorted keys, leading zeros of a length, what an
//! integer that is only skipped looks like); [`is_canonical`] is not.

use core::fmt;

use crate::divide::by_ten;

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
    #[cfg_attr(feature = "opt-size", inline(never))]
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
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn dict(&mut self) -> &mut Self {
        self.raw(b"d")
    }

    /// Begins a list.
    pub fn list(&mut self) -> &mut Self {
        self.raw(b"l")
    }

    /// Ends a dict or a list.
    #[cfg_attr(feature = "opt-size", inline(never))]
    pub fn end(&mut self) -> &mut Self {
        self.raw(b"e")
    }

    /// Octets that are bencoded already.
    #[cfg_attr(feature = "opt-size", inline(never))]
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
            let (rest, last) = by_ten(value);
            *digit = b'0' | last;
            value = rest;
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
    // What fits has up to 19 digits, and what has no more fits into 64 bits without a sign.
    if digits.len() > 19 {
        return None;
    }
    let add = |sum: u64, octet: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(octet & 0x0f));
    let sum = digits.iter().fold(0, add);
    if negative { 0_i64.checked_sub_unsigned(sum) } else { i64::try_from(sum).ok() }
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
mod tests;
