//! The firmware on a serial console: shows what happens, one JSON object a line, and takes commands, one a line.

use core::net::SocketAddrV4;

use crate::command::{Command, Typed};
use crate::core::error::KeepError;
use crate::core::event::{DropReason, PutResult, Stored};
use crate::core::item::ImmutableItem;
use crate::core::{Event, Instant, Item, Node, NodeId, Outcome, PublicKey, QueryError, QueryHandle, Stats};
use crate::line::Line;
use crate::operator::{Operator, Order};
use crate::published::{Published, Value, bencode};
use crate::{Console, Machine};

/// An [`Operator`] at a console.
#[derive(Debug)]
pub struct Terminal<C> {
    console: C,
    typed: Typed,
    /// Only of these is told who answered.
    pinging: Option<QueryHandle>,
}

impl<C: Console> Terminal<C> {
    /// Nothing has been typed on `console` yet.
    #[must_use]
    pub const fn new(console: C) -> Self {
        Self { console, typed: Typed::new(), pinging: None }
    }

    /// Does what the line says that was typed.
    #[inline(never)]
    fn obey(
        &mut self,
        now: Instant,
        node: &mut Node<'_>,
        published: &mut Published,
        machine: &impl Machine,
    ) -> Option<Order> {
        // Taken out, so that it may be lent while the rest is changed; the next line begins.
        let typed = core::mem::replace(&mut self.typed, Typed::new());
        let Some(command) = typed.command() else {
            drop(Line::new(&mut self.console, "error").text("message", "no such command"));
            return None;
        };
        let (command, query) = match command {
            Command::Exit => return Some(Order::Exit),
            Command::Status => {
                self.status(now, node, machine);
                return None;
            }
            Command::Boot(addr) => {
                if let Err(error) = node.add_bootstrap(addr.into()) {
                    self.refused("boot", error);
                }
                return Some(Order::Done);
            }
            Command::Say(text) => {
                if !published.say(text) {
                    self.refused_text("the text is too long");
                }
                return Some(Order::Done);
            }
            Command::Join => ("join", node.bootstrap(now)),
            Command::Ping(addr) => {
                let query = node.ping(now, addr.into());
                self.pinging = query.ok();
                ("ping", query)
            }
            Command::Find(target) => ("find", node.find_node(now, target)),
            Command::Get(target) => ("get", node.get(now, target)),
            Command::GetMutable(key) => ("get", node.get_mutable(now, &key, &[], None)),
            Command::Put(text) => ("put", self.put(now, node, text)),
            Command::Peers(info_hash) => ("peers", node.get_peers(now, info_hash)),
            Command::Announce(info_hash, port) => ("announce", node.announce(now, info_hash, Some(port))),
        };
        match query {
            Ok(query) => drop(of_query(&mut self.console, "asked", query).text("command", command)),
            Err(error) => self.refused(command, error),
        }
        Some(Order::Done)
    }

    #[inline(never)]
    fn put(&mut self, now: Instant, node: &mut Node<'_>, text: &[u8]) -> Result<QueryHandle, QueryError> {
        let mut value = Value::new();
        bencode(text, &mut value);
        let item = ImmutableItem::new(&value).map_err(QueryError::Item)?;
        drop(Line::new(&mut self.console, "putting").hex("target", item.target().as_bytes()));
        node.put(now, &Item::Immutable(item), None)
    }

    #[inline(never)]
    fn status(&mut self, now: Instant, node: &Node<'_>, machine: &impl Machine) {
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

    #[inline(never)]
    fn refused(&mut self, command: &str, error: QueryError) {
        let message = match error {
            QueryError::Busy => "busy",
            QueryError::NobodyToAsk => "nobody to ask",
            QueryError::UnusableAddress => "unusable address",
            QueryError::Item(_) => "no item",
            _ => "refused",
        };
        drop(Line::new(&mut self.console, "error").text("command", command).text("message", message));
    }

    fn refused_text(&mut self, message: &str) {
        drop(Line::new(&mut self.console, "error").text("command", "say").text("message", message));
    }
}

impl<C: Console> Operator for Terminal<C> {
    fn started(&mut self, id: &NodeId, key: &PublicKey, addr: SocketAddrV4) {
        let line = Line::new(&mut self.console, "listening").hex("id", id.as_bytes()).hex("public_key", &key.0);
        drop(line.address("addr", addr.into()));
    }

    fn order(
        &mut self,
        now: Instant,
        node: &mut Node<'_>,
        published: &mut Published,
        machine: &impl Machine,
    ) -> Option<Order> {
        if self.typed.read(&mut self.console) { self.obey(now, node, published, machine) } else { None }
    }

    fn published(&mut self, seq: Result<i64, KeepError>) {
        match seq {
            Ok(seq) => drop(Line::new(&mut self.console, "signed").signed("seq", seq)),
            Err(_) => self.refused_text("not kept"),
        }
    }

    #[inline(never)]
    fn told(&mut self, event: &Event<'_>) {
        let console = &mut self.console;
        match event {
            Event::ItemStored(stored) => item(console, "stored", stored),
            Event::ItemReplaced(stored) => item(console, "replaced", stored),
            Event::ItemRefreshed(stored) => item(console, "refreshed", stored),
            Event::Adopted(stored) => item(console, "adopted", stored),
            Event::ItemDropped { target, mutable, reason } => {
                let reason = match reason {
                    DropReason::Evicted => "evicted",
                    _ => "expired",
                };
                let line = Line::new(console, "dropped").hex("target", target.as_bytes());
                drop(line.flag("mutable", *mutable).text("reason", reason));
            }
            Event::Answered { query, node, addr, round_trip, .. } if self.pinging == Some(*query) => {
                let line = of_query(console, "answered", *query).hex("id", node.as_bytes()).address("addr", *addr);
                drop(line.number("round_trip_us", u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX)));
            }
            Event::Found { query, item } => {
                drop(described(of_query(console, "found", *query), item).hex("value_hex", item.value()));
            }
            Event::Equivocation { query, seq } => {
                drop(of_query(console, "equivocation", *query).signed("seq", *seq));
            }
            Event::Peers { query, peers } => {
                for peer in peers.clone() {
                    drop(of_query(console, "peer", *query).address("addr", peer));
                }
            }
            Event::Put { query, node, addr, result } => {
                let line = of_query(console, "put", *query).hex("id", node.as_bytes()).address("addr", *addr);
                drop(match result {
                    PutResult::Accepted => line.text("result", "accepted"),
                    PutResult::Refused(code) => line.text("result", "refused").signed("code", *code),
                    PutResult::Silent => line.text("result", "silent"),
                    PutResult::Skipped => line.text("result", "skipped"),
                });
            }
            Event::Ended { query, outcome } => ended(console, *query, outcome),
            Event::Announced { target, seq, skipped, outcome, .. } => {
                let line = Line::new(console, "published").signed("seq", seq.unwrap_or(0));
                let line = line.number("accepted", outcome.accepted.into()).number("copies", outcome.copies.into());
                drop(line.flag("skipped", *skipped).hex("target", target.as_bytes()));
            }
            _ => {}
        }
    }
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
