//! How many instructions a node takes for each datagram: two nodes in one board's memory ask each other, and the system
//! timer counts. Only meaningful on an emulator whose time is its instructions (`-icount`); what a step of the timer is in
//! instructions is told by a loop of known length.
#![no_std]
#![no_main]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use firmware::Line;
use firmware::core::item::{ImmutableItem, Item, MutableItem};
use firmware::core::{Config, Instant, MAX_DATAGRAM, MicroMemory, Node, SecretKey};
use lm3s6965::{Uart, exit, spin};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: [ConstStaticCell<MicroMemory>; 2] = [const { ConstStaticCell::new(MicroMemory::new()) }; 2];
static NODES: [StaticCell<Node<'static>>; 2] = [const { StaticCell::new() }; 2];
static BUFFERS: ConstStaticCell<[[u8; MAX_DATAGRAM]; 2]> = ConstStaticCell::new([[0; MAX_DATAGRAM]; 2]);
static VALUE: ConstStaticCell<[u8; 1_000]> = ConstStaticCell::new([0; 1_000]);

/// The timer counts down from here, again and again.
const MOST: u32 = 0x00ff_ffff;

/// Instructions of the loop that tells what a step of the timer is.
const LOOP: u32 = 2_000_000;

/// Where the two nodes are.
const ADDRESSES: [SocketAddr; 2] = [address(1), address(2)];

const fn address(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)), 6_881)
}

#[entry]
fn main() -> ! {
    exit(run().is_some())
}

fn run() -> Option<()> {
    let mut cost = Cost::start()?;
    let value = VALUE.try_take()?;
    value.fill(b'x');
    *value.first_chunk_mut()? = *b"996:";
    let secret = cost.of("key from a seed", || SecretKey::from_seed([9; 32]))?;
    let item = cost.of("signature of 1,000 octets", || MutableItem::sign(&secret, b"", 1, value)).ok()?;

    let [client, server] = [node(0)?, node(1)?];
    client.add_bootstrap(ADDRESSES[1]).ok()?;
    let now = Instant::from_secs(1);
    client.bootstrap(now).ok()?;
    cost.talk(now, "", client, server);
    client.ping(now, ADDRESSES[1]).ok()?;
    cost.talk(now, "", client, server);
    let immutable = Item::Immutable(ImmutableItem::new(value).ok()?);
    client.put(now, &immutable, None).ok()?;
    cost.talk(now, "immutable, 1,000 octets, new: ", client, server);
    client.put(now, &Item::Mutable(item), None).ok()?;
    cost.talk(now, "mutable, 1,000 octets, new: ", client, server);
    client.put(now, &Item::Mutable(item), None).ok()?;
    cost.talk(now, "mutable, 1,000 octets, known: ", client, server);
    client.announce(now, immutable.target(), Some(1)).ok()?;
    cost.talk(now, "peers: ", client, server);
    cost.of("a turn with nothing to do", || server.handle_timeout(now));
    Some(())
}

#[inline(never)]
fn node(number: u8) -> Option<&'static mut Node<'static>> {
    let memory = MEMORY.get(usize::from(number))?.try_take()?;
    let config = Config { joins: false, ..Config::new([number + 1; 32]) };
    NODES.get(usize::from(number))?.try_init_with(|| Node::new(memory, &config, Instant::ZERO))
}

/// What `work` gives, and the steps of the timer that it took.
#[inline(never)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, u32) {
    let before = SYST::get_current();
    let result = work();
    (result, before.wrapping_sub(SYST::get_current()) & MOST)
}

struct Cost {
    /// Steps of the timer for `LOOP` instructions.
    steps: u32,
    uart: Uart,
    buffers: &'static mut [[u8; MAX_DATAGRAM]; 2],
}

impl Cost {
    fn start() -> Option<Self> {
        let mut timer = cortex_m::Peripherals::take()?.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(MOST);
        timer.clear_current();
        timer.enable_counter();
        let ((), steps) = timed(|| spin(LOOP / 2));
        Some(Self { steps: steps.max(1), uart: Uart::start(), buffers: BUFFERS.try_take()? })
    }

    fn of<T>(&mut self, what: &str, work: impl FnOnce() -> T) -> T {
        let (result, steps) = timed(work);
        self.tell("", what, steps);
        result
    }

    fn tell(&mut self, on: &str, what: &str, steps: u32) {
        let instructions = u64::from(steps) * u64::from(LOOP) / u64::from(self.steps);
        drop(Line::new(&mut self.uart, "cost").text("on", on).text("what", what).number("instructions", instructions));
    }

    /// Carries datagrams between two nodes until neither has more to ask.
    fn talk(&mut self, now: Instant, on: &str, client: &mut Node<'_>, server: &mut Node<'_>) {
        let [one, two] = ADDRESSES;
        while self.ask(now, on, (&mut *client, one), (&mut *server, two))
            || self.ask(now, "asked back: ", (&mut *server, two), (&mut *client, one))
        {
            while client.poll_event().is_some() || server.poll_event().is_some() {}
        }
    }

    /// Carries one question and its answer; false if there is none to ask.
    fn ask(
        &mut self,
        now: Instant,
        on: &str,
        (asking, here): (&mut Node<'_>, SocketAddr),
        (asked, there): (&mut Node<'_>, SocketAddr),
    ) -> bool {
        let [question, answer] = &mut *self.buffers;
        let Some(len) = asking.poll_transmit(now, question).map(|packet| packet.datagram.len()) else { return false };
        let Some(question) = question.get(..len) else { return false };
        let what = method(question);
        let (answered, steps) =
            timed(|| asked.handle_datagram(now, here, question, answer).map(|packet| packet.datagram.len()));
        let (answer, taken) = match answered.and_then(|len| answer.get(..len)) {
            // The question's buffer is free now, and what follows an answer is asked later.
            Some(answer) => timed(|| asking.handle_datagram(now, there, answer, &mut []).is_some()),
            None => (false, 0),
        };
        let _ = answer;
        self.tell(on, what, steps);
        self.tell("answer to ", what, taken);
        true
    }
}

/// What a question asks for.
fn method(question: &[u8]) -> &'static str {
    let methods = ["ping", "find_node", "get_peers", "announce_peer", "get", "put"];
    // After the key `q`, which no argument is called.
    let at = question.windows(3).position(|key| key == b"1:q").map_or(question.len(), |key| key + 3);
    let named = question.get(at..).unwrap_or_default();
    let is = |method: &&&str| {
        named.split(|octet| *octet == b':').nth(1).is_some_and(|rest| rest.starts_with(method.as_bytes()))
    };
    methods.iter().find(is).copied().unwrap_or("another")
}
