//! A node that writes down what it is told and what it says.

use core::net::SocketAddr;
use core::ops::Deref;

use bep44_core::time::Duration;
use bep44_core::{
    Capacity, Config, Event, Instant, Item, ItemError, KeepError, MAX_DATAGRAM, Node, NodeId, PublicKey, QueryError,
    QueryHandle, Storage, Target, Transmit,
};

use crate::call::Call;
use crate::digest::{Digest, state};
use crate::frame::{write_header, write_output, write_record};
use crate::output::Output;
use crate::record::{Addr, End, OutputRecord, Outputs, Record, Start};

/// Where a trace goes: a file, a serial line, a piece of memory.
pub trait Write {
    /// Why nothing more can be written.
    type Error;

    /// Takes all of `octets`.
    ///
    /// # Errors
    /// They were not all taken. Nothing more is written then.
    fn write(&mut self, octets: &[u8]) -> Result<(), Self::Error>;

    /// Passes on what it has gathered, if it gathers anything.
    ///
    /// # Errors
    /// It could not be passed on. Nothing more is written then.
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<W: Write + ?Sized> Write for &mut W {
    type Error = W::Error;

    fn write(&mut self, octets: &[u8]) -> Result<(), W::Error> {
        (**self).write(octets)
    }

    fn flush(&mut self) -> Result<(), W::Error> {
        (**self).flush()
    }
}

/// What a recorder can say about a trace beyond what the node is told. Changes nothing in a replay, but for
/// [`outputs`](Self::outputs).
#[derive(Debug, Clone, Copy, Default)]
pub struct About {
    /// How outputs are written.
    pub outputs: Outputs,
    /// The time of the start in microseconds since 1970.
    pub unix_micros: Option<u64>,
    /// The node's own IPv4 address.
    pub local: Option<SocketAddr>,
    /// Its own IPv6 address.
    pub local6: Option<SocketAddr>,
}

/// A [`Node`] with the same calls, each of which is written to a trace: the call before it is made, so that one that ends
/// in a panic is the last of the trace, and what it returned afterwards. What only reads is reached through the node that
/// this dereferences to.
///
/// The node behaves as without it. When the trace cannot be written any more, the recording ends, [`failure`](Self::failure)
/// tells why, and the node goes on.
///
/// [`poll_timeout`](Self::poll_timeout) is written as well, and so takes `&mut self` here. Buffers beyond
/// [`MAX_DATAGRAM`] octets are used up to that length, which no packet exceeds.
#[derive(Debug)]
pub struct Recorded<'m, W: Write> {
    node: Node<'m>,
    tape: Option<Tape<W>>,
    failure: Option<W::Error>,
}

impl<'m, W: Write> Recorded<'m, W> {
    /// Makes a node, as [`Node::new`] does, and begins its trace.
    pub fn start(storage: impl Into<Storage<'m>>, config: &Config, now: Instant, about: &About, to: W) -> Self {
        let storage = storage.into();
        let start = Start {
            software: concat!("bep44 ", env!("CARGO_PKG_VERSION")),
            unix_micros: about.unix_micros,
            local: about.local.map(Addr::from),
            local6: about.local6.map(Addr::from),
            outputs: about.outputs,
            now: now.as_micros(),
            config: config.clone(),
            capacity: capacity(&storage),
        };
        let mut tape = Tape { to, outputs: about.outputs, now, calls: 0, written: 0, digest: Digest::NONE };
        let begun = write_header(&mut tape.to).and_then(|()| write_record(&mut tape.to, &Record::Start(start)));
        let mut recorded = Self { node: Node::new(storage, config, now), tape: Some(tape), failure: None };
        recorded.heed(begun);
        Self::note(&mut recorded.tape, &mut recorded.failure, &Output::of_node(&recorded.node));
        recorded
    }

    /// A node that is not recorded, for a host that decides at run time.
    #[must_use]
    pub const fn unrecorded(node: Node<'m>) -> Self {
        Self { node, tape: None, failure: None }
    }

    /// Whether the trace is still written.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.tape.is_some()
    }

    /// Why the recording has ended by itself; told once.
    pub const fn failure(&mut self) -> Option<W::Error> {
        self.failure.take()
    }

    /// Where the trace goes, as long as it is written: to flush it, for instance.
    pub fn writer(&mut self) -> Option<&mut W> {
        self.tape.as_mut().map(|tape| &mut tape.to)
    }

    /// Lets the writer pass on what it has gathered.
    pub fn flush(&mut self) {
        let flushed = self.tape.as_mut().map_or(Ok(()), |tape| tape.to.flush());
        self.heed(flushed);
    }

    /// Ends the recording at once, without the record that says that the trace is complete. The node goes on without.
    pub fn stop(&mut self) -> Option<W> {
        self.tape.take().map(|tape| tape.to)
    }

    /// Ends the trace with a record that says that it is complete, and gives back where it went; `None` if it was not
    /// recorded any more. The node goes on without.
    pub fn finish(&mut self) -> Option<W> {
        let end = self.tape.as_ref().map(|tape| End {
            calls: tape.calls,
            outputs: tape.written,
            digest: tape.digest.octets(),
            state: state(&self.node, tape.now),
        })?;
        let written = self.tape.as_mut().map_or(Ok(()), |tape| {
            write_record(&mut tape.to, &Record::End(end))?;
            tape.to.flush()
        });
        self.heed(written);
        self.tape.take().map(|tape| tape.to)
    }

    // --- the calls of the node ---

    /// [`Node::handle_datagram`].
    #[must_use = "the answer is to be sent"]
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        buf: &'b mut [u8],
    ) -> Option<Transmit<'b>> {
        let (buf, room) = bounded(buf);
        self.call(Some(now), &Call::HandleDatagram { from: from.into(), datagram, room });
        let packet = self.node.handle_datagram(now, from, datagram, buf);
        self.came(packet.as_ref().map(Output::of_packet));
        packet
    }

    /// [`Node::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.call(Some(now), &Call::HandleTimeout);
        self.node.handle_timeout(now);
    }

    /// [`Node::handle_unreachable`].
    pub fn handle_unreachable(&mut self, now: Instant, to: SocketAddr) {
        self.call(Some(now), &Call::HandleUnreachable { to: to.into() });
        self.node.handle_unreachable(now, to);
    }

    /// [`Node::poll_transmit`].
    #[must_use = "the packet is to be sent"]
    pub fn poll_transmit<'b>(&mut self, now: Instant, buf: &'b mut [u8]) -> Option<Transmit<'b>> {
        let (buf, room) = bounded(buf);
        self.call(Some(now), &Call::PollTransmit { room });
        let packet = self.node.poll_transmit(now, buf);
        self.came(packet.as_ref().map(Output::of_packet));
        packet
    }

    /// [`Node::poll_event`].
    #[must_use = "an event is told once"]
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        self.call(None, &Call::PollEvent);
        let event = self.node.poll_event();
        if let Some(event) = &event {
            Self::note(&mut self.tape, &mut self.failure, &Output::of_event(event));
        }
        event
    }

    /// [`Node::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.call(None, &Call::PollTimeout);
        let deadline = self.node.poll_timeout();
        self.came(Output::of_deadline(deadline));
        deadline
    }

    /// [`Node::add_bootstrap`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn add_bootstrap(&mut self, addr: SocketAddr) -> Result<(), QueryError> {
        self.call(None, &Call::AddBootstrap { addr: addr.into() });
        let result = self.node.add_bootstrap(addr);
        self.came(Output::of_done(result));
        result
    }

    /// [`Node::bootstrap`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn bootstrap(&mut self, now: Instant) -> Result<QueryHandle, QueryError> {
        self.command(now, &Call::Bootstrap, |node| node.bootstrap(now))
    }

    /// [`Node::find_node`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn find_node(&mut self, now: Instant, target: Target) -> Result<QueryHandle, QueryError> {
        self.command(now, &Call::FindNode { target: *target.as_bytes() }, |node| node.find_node(now, target))
    }

    /// [`Node::get`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn get(&mut self, now: Instant, target: Target) -> Result<QueryHandle, QueryError> {
        self.command(now, &Call::Get { target: *target.as_bytes() }, |node| node.get(now, target))
    }

    /// [`Node::get_mutable`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn get_mutable(
        &mut self,
        now: Instant,
        key: &PublicKey,
        salt: &[u8],
        newer_than: Option<i64>,
    ) -> Result<QueryHandle, QueryError> {
        let call = Call::GetMutable { key: key.0, salt, newer_than };
        self.command(now, &call, |node| node.get_mutable(now, key, salt, newer_than))
    }

    /// [`Node::put`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn put(&mut self, now: Instant, item: &Item<'_>, cas: Option<i64>) -> Result<QueryHandle, QueryError> {
        self.command(now, &Call::Put { item: item.into(), cas }, |node| node.put(now, item, cas))
    }

    /// [`Node::get_peers`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn get_peers(&mut self, now: Instant, info_hash: Target) -> Result<QueryHandle, QueryError> {
        let call = Call::GetPeers { info_hash: *info_hash.as_bytes() };
        self.command(now, &call, |node| node.get_peers(now, info_hash))
    }

    /// [`Node::announce`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn announce(&mut self, now: Instant, info_hash: Target, port: Option<u16>) -> Result<QueryHandle, QueryError> {
        let call = Call::Announce { info_hash: *info_hash.as_bytes(), port };
        self.command(now, &call, |node| node.announce(now, info_hash, port))
    }

    /// [`Node::ping`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn ping(&mut self, now: Instant, addr: SocketAddr) -> Result<QueryHandle, QueryError> {
        self.command(now, &Call::Ping { addr: addr.into() }, |node| node.ping(now, addr))
    }

    /// [`Node::cancel`].
    pub fn cancel(&mut self, query: QueryHandle) {
        self.call(None, &Call::Cancel { query: query.to_bits() });
        self.node.cancel(query);
    }

    /// [`Node::restore_item`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn restore_item(&mut self, now: Instant, item: &Item<'_>, remaining: Duration) -> Result<bool, ItemError> {
        self.call(Some(now), &Call::RestoreItem { item: item.into(), remaining });
        let result = self.node.restore_item(now, item, remaining);
        self.came(Some(Output::of_restored(result)));
        result
    }

    /// [`Node::restore_peer`].
    pub fn restore_peer(
        &mut self,
        now: Instant,
        info_hash: Target,
        addr: SocketAddr,
        seed: bool,
        remaining: Duration,
    ) -> bool {
        let call = Call::RestorePeer { info_hash: *info_hash.as_bytes(), addr: addr.into(), seed, remaining };
        self.call(Some(now), &call);
        let taken = self.node.restore_peer(now, info_hash, addr, seed, remaining);
        self.came(Some(Output::of_taken(taken)));
        taken
    }

    /// [`Node::restore_contact`].
    pub fn restore_contact(&mut self, now: Instant, id: NodeId, addr: SocketAddr) -> bool {
        self.call(Some(now), &Call::RestoreContact { id: *id.as_bytes(), addr: addr.into() });
        let taken = self.node.restore_contact(now, id, addr);
        self.came(Some(Output::of_taken(taken)));
        taken
    }

    /// [`Node::keep`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn keep(&mut self, now: Instant, item: &Item<'_>) -> Result<(), KeepError> {
        self.call(Some(now), &Call::Keep { item: item.into() });
        let result = self.node.keep(now, item);
        self.came(Output::of_kept(result));
        result
    }

    /// [`Node::forget`].
    pub fn forget(&mut self, now: Instant, target: &Target) -> bool {
        self.call(Some(now), &Call::Forget { target: *target.as_bytes() });
        let taken = self.node.forget(now, target);
        self.came(Some(Output::of_taken(taken)));
        taken
    }

    /// [`Node::restore_kept`].
    ///
    /// # Errors
    /// Those of the node.
    pub fn restore_kept(&mut self, now: Instant, item: &Item<'_>, until_next: Duration) -> Result<(), KeepError> {
        self.call(Some(now), &Call::RestoreKept { item: item.into(), until_next });
        let result = self.node.restore_kept(now, item, until_next);
        self.came(Output::of_kept(result));
        result
    }

    /// Makes a call that a trace names, and records it. `None`: it returned nothing.
    ///
    /// # Errors
    /// What should be put or restored is no item; nothing was called.
    pub fn make<'r>(
        &'r mut self,
        now: Instant,
        call: &Call<'_>,
        buf: &'r mut [u8],
    ) -> Result<Option<Output<'r>>, ItemError> {
        // Judged first, so that nothing is recorded that was not done.
        if let Call::Put { item, .. }
        | Call::RestoreItem { item, .. }
        | Call::Keep { item }
        | Call::RestoreKept { item, .. } = call
        {
            item.to_item()?;
        }
        self.call(call.has_now().then_some(now), call);
        let output = call.apply(&mut self.node, now, buf)?;
        if let Some(output) = &output {
            Self::note(&mut self.tape, &mut self.failure, output);
        }
        Ok(output)
    }

    // --- the tape ---

    fn command(
        &mut self,
        now: Instant,
        call: &Call<'_>,
        make: impl FnOnce(&mut Node<'m>) -> Result<QueryHandle, QueryError>,
    ) -> Result<QueryHandle, QueryError> {
        self.call(Some(now), call);
        let result = make(&mut self.node);
        self.came(Some(Output::of_query(result)));
        result
    }

    fn call(&mut self, now: Option<Instant>, call: &Call<'_>) {
        if let Some(tape) = &mut self.tape {
            let written = tape.call(now, call);
            self.heed(written);
        }
    }

    fn came(&mut self, output: Option<Output<'_>>) {
        if let Some(output) = output {
            Self::note(&mut self.tape, &mut self.failure, &output);
        }
    }

    /// Writes an output. (Not a method, as an output may borrow the node.)
    fn note(tape: &mut Option<Tape<W>>, failure: &mut Option<W::Error>, output: &Output<'_>) {
        if let Some(running) = tape
            && let Err(error) = running.output(output)
        {
            *tape = None;
            *failure = Some(error);
        }
    }

    fn heed(&mut self, written: Result<(), W::Error>) {
        if let Err(error) = written {
            self.tape = None;
            self.failure = Some(error);
        }
    }
}

impl<'m, W: Write> Deref for Recorded<'m, W> {
    type Target = Node<'m>;

    fn deref(&self) -> &Node<'m> {
        &self.node
    }
}

/// A trace as it is written.
#[derive(Debug)]
struct Tape<W> {
    to: W,
    outputs: Outputs,
    /// Of the last call that had one.
    now: Instant,
    calls: u64,
    written: u64,
    digest: Digest,
}

impl<W: Write> Tape<W> {
    fn call(&mut self, now: Option<Instant>, call: &Call<'_>) -> Result<(), W::Error> {
        let now = now.unwrap_or(self.now);
        let after = now.as_micros().wrapping_sub(self.now.as_micros()).cast_signed();
        self.now = now;
        self.calls += 1;
        write_record(&mut self.to, &Record::Call { after, call: *call })
    }

    fn output(&mut self, output: &Output<'_>) -> Result<(), W::Error> {
        self.digest = self.digest.after_output(self.calls, output);
        self.written += 1;
        match self.outputs {
            Outputs::Digests => write_record(&mut self.to, &Record::Output(OutputRecord::Digest(self.digest.short()))),
            Outputs::Full => write_output(&mut self.to, output),
        }
    }
}

/// The sizes of the tables in `storage`.
pub(crate) fn capacity(storage: &Storage<'_>) -> Capacity {
    let Storage { contacts, contacts6, transactions, queries, items, values, peers } = storage;
    Capacity {
        contacts: contacts.len(),
        contacts6: contacts6.len(),
        transactions: transactions.len(),
        queries: queries.len(),
        items: items.len(),
        values: values.len(),
        peers: peers.len(),
    }
}

/// At most [`MAX_DATAGRAM`] octets of `buf`, and how many if there are fewer.
fn bounded(buf: &mut [u8]) -> (&mut [u8], Option<u16>) {
    let len = buf.len().min(MAX_DATAGRAM);
    let room = if len < MAX_DATAGRAM { u16::try_from(len).ok() } else { None };
    (buf.split_at_mut(len).0, room)
}
