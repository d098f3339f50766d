//! What the firmware does, turn by turn.

use core::net::SocketAddr;

use static_cell::StaticCell;

use crate::arguments::Arguments;
use crate::command::{Command, Typed};
use crate::core::error::KeepError;
use crate::core::event::{DropReason, PutResult, Stored};
use crate::core::item::{ImmutableItem, ItemError};
use crate::core::{Config, Event, Instant, Item, Node, Outcome, QueryError, QueryHandle, Stats, Storage};
use crate::line::Line;
use crate::published::{MAX_TEXT, Published, bencode, default_key};
use crate::{Console, Machine, Network};

/// The firmware: a node, the network that it is in, and the console on which it is watched and told what to do.
#[derive(Debug)]
pub struct App<'m, N, C> {
    node: &'m mut Node<'m>,
    network: &'m mut N,
    console: C,
    typed: Typed,
    published: Option<Published>,
    /// Only of these is told who answered.
    pinging: Option<QueryHandle>,
    /// Something was asked of the node since its last turn.
    stirred: bool,
}

/// The node of a board that runs with `settings`, made in `cell`; `None` if there is one in it already.
// Its own frame: a node is made on the stack before it is moved where it stays.
#[inline(never)]
pub fn node(
    cell: &'static StaticCell<Node<'static>>,
    memory: impl Into<Storage<'static>>,
    settings: &Arguments,
) -> Option<&'static mut Node<'static>> {
    let config = Config { id: settings.id, ..Config::new(settings.seed) };
    cell.try_init_with(|| Node::new(memory, &config, Instant::ZERO))
}

impl<N: Network, C: Console> App<'static, N, C> {
    /// The firmware, made in `cell`; `None` if there is one in it already. It has yet to [`start`](Self::start).
    // Its own frame, and two steps: what makes and what signs need not be on the stack at once.
    #[inline(never)]
    pub fn new(
        cell: &'static StaticCell<Self>,
        settings: &Arguments,
        node: &'static mut Node<'static>,
        network: &'static mut N,
        console: C,
    ) -> Option<&'static mut Self> {
        cell.try_init_with(move || Self {
            node,
            network,
            console,
            typed: Typed::new(),
            published: Published::new(settings.key.unwrap_or_else(|| default_key(&settings.seed))),
            pinging: None,
            stirred: true,
        })
    }
}

impl<N: Network, C: Console> App<'_, N, C> {
    /// Starts: tells the console what is there, and the node whom to join through.
    #[inline(never)]
    pub fn start(&mut self, settings: &Arguments, machine: &mut impl Machine) {
        let mut line = Line::new(&mut self.console, "listening").hex("id", self.node.id().as_bytes());
        if let Some(published) = &self.published {
            line = line.hex("public_key", &published.key().0);
        }
        drop(line.address("addr", SocketAddr::from((settings.network.ip, settings.network.port))));
        self.say(&settings.text);
        for addr in &settings.bootstrap {
            self.boot((*addr).into());
        }
        self.join(now(machine));
    }

    /// Runs until the console says that it is enough.
    pub fn run(&mut self, machine: &mut impl Machine) {
        while self.turn(machine) {
            machine.sleep();
        }
    }

    /// One turn; false if it was the last.
    pub fn turn(&mut self, machine: &mut impl Machine) -> bool {
        let now = now(machine);
        if self.typed.read(&mut self.console) && !self.obey(now, machine) {
            return false;
        }
        if self.published.as_ref().is_some_and(Published::is_due) {
            self.publish(now);
        }
        let due = self.stirred || self.node.poll_timeout().is_some_and(|at| at <= now);
        if due || self.network.wants_turn(now) {
            self.stirred = false;
            self.network.turn(now, self.node);
            self.tell();
        }
        true
    }

    #[inline(never)]
    fn boot(&mut self, addr: SocketAddr) {
        if let Err(error) = self.node.add_bootstrap(addr) {
            refused(&mut self.console, "boot", error);
        }
    }

    #[inline(never)]
    fn join(&mut self, now: Instant) {
        let started = self.node.bootstrap(now);
        self.started("join", started);
    }

    fn say(&mut self, text: &[u8]) {
        if self.published.as_mut().is_some_and(|published| !published.say(text)) {
            drop(Line::new(&mut self.console, "error").text("command", "say").text("message", "the text is too long"));
        }
    }

    fn publish(&mut self, now: Instant) {
        self.stirred = true;
        match self.published.as_mut().map(|published| published.keep(now, self.node)) {
            Some(Ok(seq)) => drop(Line::new(&mut self.console, "signed").signed("seq", seq)),
            // With the next number, at the next turn.
            Some(Err(KeepError::Item(ItemError::SequenceTooLow { .. }))) | None => {}
            Some(Err(_)) => {
                drop(Line::new(&mut self.console, "error").text("command", "say").text("message", "not kept"))
            }
        }
    }

    #[inline(never)]
    fn started(&mut self, command: &str, query: Result<QueryHandle, QueryError>) {
        self.stirred = true;
        match query {
            Ok(query) => {
                drop(of_query(&mut self.console, "asked", query).text("command", command));
            }
            Err(error) => refused(&mut self.console, command, error),
        }
    }

    /// Does what the line says that was typed; false if that is to end.
    #[inline(never)]
    fn obey(&mut self, now: Instant, machine: &impl Machine) -> bool {
        // Taken out, so that it may be lent while the rest is changed; the next line begins.
        let typed = core::mem::replace(&mut self.typed, Typed::new());
        let Some(command) = typed.command() else {
            drop(Line::new(&mut self.console, "error").text("message", "no such command"));
            return true;
        };
        let (command, query) = match command {
            Command::Exit => return false,
            Command::Status => {
                self.status(now, machine);
                return true;
            }
            Command::Boot(addr) => {
                self.boot(addr.into());
                return true;
            }
            Command::Join => {
                self.join(now);
                return true;
            }
            Command::Say(text) => {
                self.say(text);
                return true;
            }
            Command::Ping(addr) => {
                let query = self.node.ping(now, addr.into());
                self.pinging = query.ok();
                ("ping", query)
            }
            Command::Find(target) => ("find", self.node.find_node(now, target)),
            Command::Get(target) => ("get", self.node.get(now, target)),
            Command::GetMutable(key) => ("get", self.node.get_mutable(now, &key, &[], None)),
            Command::Put(text) => ("put", self.put(now, text)),
            Command::Peers(info_hash) => ("peers", self.node.get_peers(now, info_hash)),
            Command::Announce(info_hash, port) => ("announce", self.node.announce(now, info_hash, Some(port))),
        };
        self.started(command, query);
        true
    }

    #[inline(never)]
    fn put(&mut self, now: Instant, text: &[u8]) -> Result<QueryHandle, QueryError> {
        let mut value = heapless::Vec::<u8, { MAX_TEXT + 3 }>::new();
        bencode(text, &mut value);
        let item = ImmutableItem::new(&value).map_err(QueryError::Item)?;
        drop(Line::new(&mut self.console, "putting").hex("target", item.target().as_bytes()));
        self.node.put(now, &Item::Immutable(item), None)
    }

    #[inline(never)]
    fn status(&mut self, now: Instant, machine: &impl Machine) {
        let node = &*self.node;
        let Stats {
            ignored,
            queries,
            over_budget,
            served,
            refused,
            verified,
            asked,
            answered,
            timed_out,
            unsolicited,
            ..
        } = node.stats();
        let count = |number: usize| number as u64;
        drop(
            Line::new(&mut self.console, "status")
                .number("up_ms", now.as_micros() / 1_000)
                .number("contacts", count(node.contacts().count()))
                .number("items", count(node.items().count()))
                .number("item_octets", count(node.item_octets()))
                .number("peers", count(node.peers().count()))
                .number("ignored", *ignored)
                .number("queries", *queries)
                .number("over_budget", *over_budget)
                .number("served", *served)
                .counts("refused", refused.iter().map(|(code, count)| (code.number().into(), count)))
                .number("verified", *verified)
                .number("asked", *asked)
                .number("answered", *answered)
                .number("timed_out", *timed_out)
                .number("unsolicited", *unsolicited)
                .number("stack", count(machine.stack_used())),
        );
    }

    /// Tells on the console what has happened.
    #[inline(never)]
    fn tell(&mut self) {
        while let Some(event) = self.node.poll_event() {
            let console = &mut self.console;
            match event {
                Event::ItemStored(stored) => item(console, "stored", &stored),
                Event::ItemReplaced(stored) => item(console, "replaced", &stored),
                Event::ItemRefreshed(stored) => item(console, "refreshed", &stored),
                Event::ItemDropped { target, mutable, reason } => {
                    let reason = match reason {
                        DropReason::Evicted => "evicted",
                        _ => "expired",
                    };
                    let line = Line::new(console, "dropped").hex("target", target.as_bytes());
                    drop(line.flag("mutable", mutable).text("reason", reason));
                }
                Event::Answered { query, node, addr, round_trip, .. } if self.pinging == Some(query) => {
                    let line = of_query(console, "answered", query).hex("id", node.as_bytes()).address("addr", addr);
                    drop(line.number("round_trip_us", u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX)));
                }
                Event::Found { query, item } => {
                    drop(described(of_query(console, "found", query), &item).hex("value_hex", item.value()));
                }
                Event::Equivocation { query, seq } => {
                    drop(of_query(console, "equivocation", query).signed("seq", seq));
                }
                Event::Peers { query, peers } => {
                    for peer in peers {
                        drop(of_query(console, "peer", query).address("addr", peer));
                    }
                }
                Event::Put { query, node, addr, result } => {
                    let line = of_query(console, "put", query).hex("id", node.as_bytes()).address("addr", addr);
                    drop(match result {
                        PutResult::Accepted => line.text("result", "accepted"),
                        PutResult::Refused(code) => line.text("result", "refused").signed("code", code),
                        PutResult::Silent => line.text("result", "silent"),
                        PutResult::Skipped => line.text("result", "skipped"),
                    });
                }
                Event::Ended { query, outcome } => ended(console, query, &outcome),
                Event::Announced { target, seq, skipped, outcome, .. } => {
                    let line = Line::new(console, "published").signed("seq", seq.unwrap_or(0));
                    let line = line.number("accepted", outcome.accepted.into()).number("copies", outcome.copies.into());
                    drop(line.flag("skipped", skipped).hex("target", target.as_bytes()));
                }
                Event::Adopted(stored) => {
                    item(console, "adopted", &stored);
                    if let (Some(published), Some(item)) = (&mut self.published, stored.item.as_mutable()) {
                        published.adopted(item);
                    }
                }
                _ => {}
            }
        }
    }
}

fn now(machine: &mut impl Machine) -> Instant {
    Instant::from_millis(machine.millis())
}

fn of_query<'c, C: Console>(console: &'c mut C, event: &str, query: QueryHandle) -> Line<'c, C> {
    Line::new(console, event).number("query", query.to_bits())
}

#[inline(never)]
fn described<'c, C: Console>(line: Line<'c, C>, item: &Item<'_>) -> Line<'c, C> {
    let line = line.hex("target", item.target().as_bytes());
    match item.as_mutable() {
        Some(item) => line.hex("public_key", &item.key().0).signed("seq", item.seq()),
        None => line,
    }
}

#[inline(never)]
fn item(console: &mut impl Console, event: &str, stored: &Stored<'_>) {
    drop(described(Line::new(console, event), &stored.item));
}

#[inline(never)]
fn ended(console: &mut impl Console, query: QueryHandle, outcome: &Outcome) {
    let mut line = of_query(console, "ended", query)
        .number("asked", outcome.asked.into())
        .number("answered", outcome.answered.into())
        .number("copies", outcome.copies.into())
        .number("accepted", outcome.accepted.into())
        .number("silent", outcome.silent.into())
        .number("hops", outcome.hops.into())
        .counts("rejected", outcome.rejected.iter().map(|one| (one.code.unsigned_abs(), one.count.into())));
    if let Some(newest) = outcome.newest {
        line = line.signed("newest", newest);
    }
    drop(line);
}

#[inline(never)]
fn refused(console: &mut impl Console, command: &str, error: QueryError) {
    let message = match error {
        QueryError::Busy => "busy",
        QueryError::NobodyToAsk => "nobody to ask",
        QueryError::UnusableAddress => "unusable address",
        QueryError::Item(_) => "no item",
        _ => "refused",
    };
    drop(Line::new(console, "error").text("command", command).text("message", message));
}
