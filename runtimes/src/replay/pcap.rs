//! The packets of a trace as a file for Wireshark.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bep44_trace::{Call, Output};
use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError};

use super::play::{Played, Player, Until};
use super::read::TraceError;

/// Hops that a packet could still make; any number would do.
const HOPS: u8 = 64;

/// Why packets could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PcapWriteError {
    /// The system does not let us write.
    #[error("cannot write the packets: {0}")]
    Io(#[source] io::Error),
    /// The trace cannot be replayed.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl From<PcapError> for PcapWriteError {
    fn from(error: PcapError) -> Self {
        Self::Io(match error {
            PcapError::IoError(error) => error,
            error => io::Error::other(error),
        })
    }
}

/// Writes the packets of a trace as they are replayed, in the format of libpcap, as IP packets without a link layer: those
/// that came in, and those that went out, as the core says them now. The node's own side has the address that the recorder
/// knew; what it did not know is 0.
#[derive(Debug)]
pub struct PacketWriter<W: Write> {
    to: PcapWriter<W>,
    /// When the trace started, since 1970.
    epoch: Duration,
    local: SocketAddr,
    local6: SocketAddr,
    packets: u64,
}

impl<W: Write> PacketWriter<W> {
    /// Writes the head of the file.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn new(to: W) -> Result<Self, PcapWriteError> {
        let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
        Ok(Self {
            to: PcapWriter::with_header(to, header)?,
            epoch: Duration::ZERO,
            local: (Ipv4Addr::UNSPECIFIED, 0).into(),
            local6: (Ipv6Addr::UNSPECIFIED, 0).into(),
            packets: 0,
        })
    }

    /// Writes the packets that belong to an input: none, one, or one each way.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn write(&mut self, played: &Played) -> Result<(), PcapWriteError> {
        if let Some(start) = played.input.start() {
            self.epoch = start.unix_micros.map(Duration::from_micros).unwrap_or_default();
            self.local = start.local.map_or(self.local, SocketAddr::from);
            self.local6 = start.local6.map_or(self.local6, SocketAddr::from);
        }
        let time = self.epoch.saturating_add(played.time);
        if let Some(Call::HandleDatagram { from, datagram, .. }) = played.input.call() {
            let from = SocketAddr::from(from);
            self.packet(time, from, self.own(from), datagram)?;
        }
        if let Some(Output::Packet { to, datagram }) = played.output() {
            let to = SocketAddr::from(to);
            self.packet(time, self.own(to), to, datagram)?;
        }
        Ok(())
    }

    /// Writes out what waits in memory.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn finish(self) -> Result<(), PcapWriteError> {
        self.to.into_writer().flush().map_err(PcapWriteError::Io)
    }

    /// Packets so far.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Our side of an exchange with `other`.
    const fn own(&self, other: SocketAddr) -> SocketAddr {
        if other.is_ipv4() { self.local } else { self.local6 }
    }

    fn packet(
        &mut self,
        time: Duration,
        from: SocketAddr,
        to: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), PcapWriteError> {
        let builder = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
            (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOPS),
            // Both were made of one address.
            _ => return Ok(()),
        };
        let builder = builder.udp(from.port(), to.port());
        let mut octets = Vec::with_capacity(builder.size(datagram.len()));
        // A datagram that fits into no IP packet has not come in one.
        if builder.write(&mut octets, datagram).is_ok()
            && let Ok(len) = u32::try_from(octets.len())
        {
            self.to.write_packet(&PcapPacket::new(time, len, &octets))?;
            self.packets += 1;
        }
        Ok(())
    }
}

/// Replays a trace up to its end, its first difference or `until`, and writes its packets. How many they are.
///
/// # Errors
/// Nothing can be written, or the trace cannot be replayed.
pub fn write_pcap<R: io::Read, W: Write>(
    player: &mut Player<R>,
    until: Option<Until>,
    to: W,
) -> Result<u64, PcapWriteError> {
    let mut writer = PacketWriter::new(to)?;
    let mut failure = None;
    player.run(until, |played| {
        if failure.is_none() {
            failure = writer.write(played).err();
        }
    })?;
    let packets = writer.packets();
    failure.map_or_else(|| writer.finish(), Err)?;
    Ok(packets)
}
