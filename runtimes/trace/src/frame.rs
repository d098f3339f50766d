//! How records lie in a file: a header, and then each with its length before it and its check behind it.

use crc::{CRC_32_ISO_HDLC, Crc};
use postcard::ser_flavors::{Flavor, Size};
use serde::Serialize;

use crate::output::Output;
use crate::read::Fault;
use crate::record::{Record, VERSION};
use crate::recorded::Write;

/// Octets of a record at most, without its length and its check: the largest datagram that UDP can carry, and room for what
/// stands beside it.
pub const MAX_RECORD: usize = 65_535 + 256;

/// An octet that no text begins with, a name, and an end of line that a transfer as text would change.
const MAGIC: [u8; 7] = *b"\x89bep44\n";

/// Octets of the header: the magic ones and the version.
pub(crate) const HEADER: usize = MAGIC.len() + 1;

/// Octets of the check behind each record.
const CHECK: usize = 4;

/// The check: CRC-32 as in gzip, PNG and Ethernet.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Writes the header that a trace begins with.
///
/// # Errors
/// Those of the writer.
pub fn write_header<W: Write>(to: &mut W) -> Result<(), W::Error> {
    to.write(&MAGIC)?;
    to.write(&[VERSION])
}

/// Reads the header at the beginning of `octets`: its length, or `None` if more octets are needed.
///
/// # Errors
/// It is not that of a trace, or of another version.
pub fn header(octets: &[u8]) -> Result<Option<usize>, Fault> {
    if octets.iter().zip(&MAGIC).any(|(octet, magic)| octet != magic) {
        return Err(Fault::NotATrace);
    }
    match octets.get(MAGIC.len()) {
        None => Ok(None),
        Some(&VERSION) => Ok(Some(HEADER)),
        Some(version) => Err(Fault::Version(*version)),
    }
}

/// Writes one record.
///
/// # Errors
/// Those of the writer. The record is then cut off wherever it was.
pub fn write_record<W: Write>(to: &mut W, record: &Record<'_>) -> Result<(), W::Error> {
    let mut framing = Framing::new(to);
    framing.varint(size(record));
    framing.value(record);
    framing.close()
}

/// Writes the record of an output in full ([`OutputRecord::Full`](crate::OutputRecord::Full)) whose octets are nowhere yet,
/// without a buffer for them.
pub(crate) fn write_output<W: Write>(to: &mut W, output: &Output<'_>) -> Result<(), W::Error> {
    let len = size(output);
    let mut framing = Framing::new(to);
    framing.varint(FULL_OUTPUT.len() + size(&len) + len);
    framing.push(&FULL_OUTPUT);
    framing.varint(len);
    framing.value(output);
    framing.close()
}

/// Writes the octets of an output, and nothing else.
pub(crate) fn write_bare<W: Write>(to: &mut W, output: &Output<'_>) -> Result<(), W::Error> {
    let mut framing = Framing::new(to);
    framing.value(output);
    framing.flush();
    framing.failure.map_or(Ok(()), Err)
}

/// The variants of the record that an output in full has: the third of `Record`, the second of `OutputRecord`.
const FULL_OUTPUT: [u8; 2] = [2, 1];

fn size<T: Serialize>(value: &T) -> usize {
    // Only a type without a known length, of which there is none here, can fail.
    postcard::serialize_with_flavor(value, Size::default()).unwrap_or(0)
}

/// Gathers the octets of a record, so that the writer gets few pieces.
struct Framing<'w, W: Write> {
    to: &'w mut W,
    staged: heapless::Vec<u8, 64>,
    check: crc::Digest<'static, u32>,
    failure: Option<W::Error>,
}

impl<'w, W: Write> Framing<'w, W> {
    const fn new(to: &'w mut W) -> Self {
        Self { to, staged: heapless::Vec::new(), check: CRC.digest(), failure: None }
    }

    fn value<T: Serialize>(&mut self, value: &T) {
        // What fails is kept here: postcard has no room for it.
        let _ = postcard::serialize_with_flavor(value, Lent(self));
    }

    fn varint(&mut self, number: usize) {
        let mut left = number;
        loop {
            let low = (left & 0x7f) as u8;
            left >>= 7;
            if left == 0 {
                return self.push(&[low]);
            }
            self.push(&[low | 0x80]);
        }
    }

    fn push(&mut self, octets: &[u8]) {
        self.check.update(octets);
        self.stage(octets);
    }

    fn stage(&mut self, octets: &[u8]) {
        if self.staged.extend_from_slice(octets).is_err() {
            self.flush();
            if self.staged.extend_from_slice(octets).is_err() {
                self.write(octets);
            }
        }
    }

    fn flush(&mut self) {
        let staged = core::mem::take(&mut self.staged);
        self.write(&staged);
    }

    fn write(&mut self, octets: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.to.write(octets).err();
        }
    }

    fn close(mut self) -> Result<(), W::Error> {
        let check = self.check.clone().finalize();
        self.stage(&check.to_le_bytes());
        self.flush();
        self.failure.map_or(Ok(()), Err)
    }
}

struct Lent<'f, 'w, W: Write>(&'f mut Framing<'w, W>);

impl<W: Write> Flavor for Lent<'_, '_, W> {
    type Output = ();

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.0.push(octets);
        Ok(())
    }

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.0.push(&[octet]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// A record that is complete.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The record.
    pub record: Record<'a>,
    /// Octets that it takes, length and check included.
    pub len: usize,
}

/// Reads the record at the beginning of `octets`; `None` if more octets are needed.
///
/// # Errors
/// It is too long, its check is not right, or it says nothing that is known.
pub fn frame(octets: &[u8]) -> Result<Option<Frame<'_>>, Fault> {
    let Some(Extent { head, payload, whole }) = extent(octets)? else { return Ok(None) };
    let Some((framed, _)) = octets.split_at_checked(whole) else { return Ok(None) };
    let Some((checked, check)) = framed.split_last_chunk::<CHECK>() else { return Ok(None) };
    if CRC.checksum(checked) != u32::from_le_bytes(*check) {
        return Err(Fault::Checksum);
    }
    match postcard::take_from_bytes(checked.get(head..).unwrap_or_default()) {
        Ok((record, [])) if payload > 0 => Ok(Some(Frame { record, len: whole })),
        _ => Err(Fault::Content),
    }
}

/// Where a record ends.
pub(crate) struct Extent {
    /// Octets of its length.
    head: usize,
    /// Octets between length and check.
    payload: usize,
    /// All of its octets.
    pub(crate) whole: usize,
}

/// Reads the length of the record at the beginning of `octets`; `None` if more octets are needed.
pub(crate) fn extent(octets: &[u8]) -> Result<Option<Extent>, Fault> {
    let mut payload = 0;
    // Three octets of length are more than the largest record needs.
    for (at, octet) in octets.iter().take(3).enumerate() {
        payload |= usize::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            if payload > MAX_RECORD {
                return Err(Fault::TooLong);
            }
            return Ok(Some(Extent { head: at + 1, payload, whole: at + 1 + payload + CHECK }));
        }
    }
    if octets.len() >= 3 { Err(Fault::TooLong) } else { Ok(None) }
}
