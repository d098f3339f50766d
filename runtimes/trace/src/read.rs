//! Reading a trace record by record, up to its end or to where it is damaged.

use core::fmt;

use crate::frame::{HEADER, MAX_RECORD, extent, frame, header};
use crate::record::{Record, VERSION};

/// What is wrong with a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It does not begin as a trace does.
    NotATrace,
    /// It has this version, which is not ours.
    Version(u8),
    /// It ends in the middle of a record: the recorder was stopped as it wrote, or the rest was cut off.
    CutOff,
    /// A record is longer than any can be ([`MAX_RECORD`]).
    TooLong,
    /// A record is longer than the buffer that it should be read into.
    NoRoom,
    /// The check behind a record is not right: an octet of it has changed.
    Checksum,
    /// A record says nothing that is known, though its check is right: it was written by something else.
    Content,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrace => f.write_str("it does not begin as a trace does"),
            Self::Version(version) => {
                write!(f, "it has version {version} of the format, and this program reads version {VERSION}")
            }
            Self::CutOff => f.write_str("it ends in the middle of a record"),
            Self::TooLong => write!(f, "a record says that it has more than {MAX_RECORD} octets, which none has"),
            Self::NoRoom => f.write_str("a record is longer than the buffer to read it into"),
            Self::Checksum => f.write_str("the check of a record is not right: some of its octets have changed"),
            Self::Content => f.write_str("a record has a right check, but says nothing that is known"),
        }
    }
}

impl core::error::Error for Fault {}

/// Where a trace is damaged. Everything before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// At which octet of the trace the record begins that cannot be read.
    pub offset: u64,
    /// How many records were read before.
    pub records: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged at octet {}, after {} records: {}", self.offset, self.records, self.fault)
    }
}

impl core::error::Error for Damage {}

/// A record, and where in the trace it lies.
#[derive(Debug, Clone)]
pub struct Traced<'a> {
    /// The record.
    pub record: Record<'a>,
    /// Its first octet's place in the trace.
    pub offset: u64,
    /// Octets that it takes there.
    pub len: usize,
}

/// The records of a trace that is in memory. After an error nothing follows.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    offset: u64,
    records: u64,
}

impl<'a> Records<'a> {
    /// The records of `trace`.
    ///
    /// # Errors
    /// It does not begin as a trace of our version does.
    pub fn new(trace: &'a [u8]) -> Result<Self, Damage> {
        let begins = header(trace).and_then(|len| len.ok_or(Fault::CutOff));
        match begins {
            Ok(len) => Ok(Self { rest: trace.get(len..).unwrap_or_default(), offset: len as u64, records: 0 }),
            Err(fault) => Err(Damage { offset: 0, records: 0, fault }),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Traced<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.offset;
        match frame(self.rest).and_then(|frame| frame.ok_or(Fault::CutOff)) {
            Ok(frame) => {
                self.rest = self.rest.get(frame.len..).unwrap_or_default();
                self.offset += frame.len as u64;
                self.records += 1;
                Some(Ok(Traced { record: frame.record, offset, len: frame.len }))
            }
            Err(fault) => {
                self.rest = &[];
                Some(Err(Damage { offset, records: self.records, fault }))
            }
        }
    }
}

/// Where octets come from: a file, a serial line.
pub trait Read {
    /// Why nothing can be read.
    type Error;

    /// Reads some octets into `buf`, which is not empty; 0 at the end.
    ///
    /// # Errors
    /// The octets cannot be had.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error>;
}

impl<R: Read + ?Sized> Read for &mut R {
    type Error = R::Error;

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, R::Error> {
        (**self).read(buf)
    }
}

/// Why a stream gives no further record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamError<E> {
    /// The trace is damaged.
    Damage(Damage),
    /// The octets cannot be had.
    Read(E),
}

/// The records of a trace that does not fit into memory, read through a buffer that has room for the longest of them: one
/// of 2 KiB for what a node in an ordinary network receives, [`MAX_RECORD`] and 7 octets for anything.
#[derive(Debug)]
pub struct Stream<B, R> {
    from: R,
    buf: B,
    /// What is in the buffer and was not given out.
    start: usize,
    end: usize,
    offset: u64,
    records: u64,
    ended: bool,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, R: Read> Stream<B, R> {
    /// The records that `from` has, read through `buf`: a slice that is lent, or anything that owns one.
    #[must_use]
    pub const fn new(from: R, buf: B) -> Self {
        Self { from, buf, start: 0, end: 0, offset: 0, records: 0, ended: false }
    }

    /// The next record; none at the end, and after an error.
    ///
    /// # Errors
    /// The trace is damaged, or the octets cannot be had.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Result<Option<Traced<'_>>, StreamError<R::Error>> {
        if self.ended {
            return Ok(None);
        }
        let len = match self.fill() {
            Ok(Some(len)) => len,
            Ok(None) => {
                self.ended = true;
                return Ok(None);
            }
            Err(error) => {
                self.ended = true;
                return Err(error);
            }
        };
        let (offset, first, records) = (self.offset, self.start, self.records);
        self.start += len;
        self.offset += len as u64;
        self.records += 1;
        let octets = self.buf.as_ref().get(first..self.end).unwrap_or_default();
        match frame(octets).and_then(|frame| frame.ok_or(Fault::CutOff)) {
            Ok(frame) => Ok(Some(Traced { record: frame.record, offset, len })),
            Err(fault) => {
                self.ended = true;
                Err(StreamError::Damage(Damage { offset, records, fault }))
            }
        }
    }

    /// Reads until a whole record is in the buffer, and tells its length; `None` at the end.
    fn fill(&mut self) -> Result<Option<usize>, StreamError<R::Error>> {
        loop {
            let octets = self.buf.as_ref().get(self.start..self.end).unwrap_or_default();
            let needed = if self.offset == 0 {
                match header(octets) {
                    Ok(Some(len)) => {
                        self.start += len;
                        self.offset += len as u64;
                        continue;
                    }
                    Ok(None) => HEADER,
                    Err(fault) => return Err(self.damage(fault)),
                }
            } else {
                match extent(octets) {
                    Ok(Some(extent)) if extent.whole <= octets.len() => return Ok(Some(extent.whole)),
                    Ok(Some(extent)) => extent.whole,
                    Ok(None) => octets.len() + 1,
                    Err(fault) => return Err(self.damage(fault)),
                }
            };
            if needed > self.buf.as_ref().len() {
                return Err(self.damage(Fault::NoRoom));
            }
            let is_empty = octets.is_empty();
            if self.start + needed > self.buf.as_ref().len() {
                self.buf.as_mut().copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            let room = self.buf.as_mut().get_mut(self.end..).unwrap_or_default();
            match self.from.read(room).map_err(StreamError::Read)? {
                0 if is_empty && self.offset > 0 => return Ok(None),
                0 => return Err(self.damage(Fault::CutOff)),
                read => self.end = (self.end + read).min(self.buf.as_ref().len()),
            }
        }
    }

    const fn damage(&self, fault: Fault) -> StreamError<R::Error> {
        StreamError::Damage(Damage { offset: self.offset, records: self.records, fault })
    }
}
