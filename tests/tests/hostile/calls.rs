//! Any order of calls, of which a host may think.

use super::strangers::Strangers;
use super::*;

/// One call of a clumsy host.
#[derive(Debug, Clone)]
enum Call {
    Datagram(SocketAddr, Vec<u8>, usize),
    Timeout,
    Unreachable(SocketAddr),
    Command(usize, Id),
    PutMutable(i64, Option<i64>),
    Ping(SocketAddr),
    Cancel(usize),
    Bootstrap(SocketAddr),
    Restore(u8, u64),
    HonestPut(SocketAddr, Value),
    Transmit(usize),
    Event,
    Look,
}

/// What came of it: all that a host can see.
type Seen = (Option<(SocketAddr, Vec<u8>)>, Option<Told>, String);

fn call(node: &mut Node<'_>, now: Instant, call: &Call, handles: &mut Vec<QueryHandle>) -> Seen {
    let mut buf = [0; 2_000];
    let mut text = String::new();
    let mut packet = None;
    let mut told = None;
    match call {
        Call::Datagram(from, datagram, room) => {
            let answer = node.handle_datagram(now, *from, datagram, &mut buf[..*room]);
            packet = answer.map(|answer| (answer.to, answer.datagram.to_vec()));
        }
        Call::Timeout => node.handle_timeout(now),
        Call::Unreachable(to) => node.handle_unreachable(now, *to),
        Call::Command(which, target) => handles.extend(command(node, now, *which, *target)),
        Call::PutMutable(seq, cas) => {
            let secret = SecretKey::from_seed([1; 32]).unwrap();
            let item = MutableItem::sign(&secret, b"salt", *seq, b"1:a").map(Item::Mutable).unwrap();
            handles.extend(node.put(now, &item, *cas));
        }
        Call::Ping(to) => handles.extend(node.ping(now, *to)),
        Call::Cancel(which) => {
            if let Some(handle) = handles.get(*which) {
                node.cancel(*handle);
            }
        }
        Call::Bootstrap(at) => text = format!("{:?}", node.add_bootstrap(*at)),
        Call::Restore(number, seconds) => {
            let value = Value::Int((*number).into()).encode();
            let item = Item::Immutable(ImmutableItem::new(&value).unwrap());
            text = format!("{:?}", node.restore_item(now, &item, Duration::from_secs(*seconds)));
        }
        Call::HonestPut(from, item) => packet = honest_put(node, now, *from, item).map(|answer| (*from, answer)),
        Call::Transmit(room) => {
            let sent = node.poll_transmit(now, &mut buf[..*room]);
            packet = sent.map(|sent| (sent.to, sent.datagram.to_vec()));
        }
        Call::Event => told = node.poll_event().map(Told::from),
        Call::Look => {
            text = format!(
                "{:?} {:?} {:?} {:?} {:?} {:?}",
                node.stats(),
                node.poll_timeout(),
                node.round_trip(),
                node.contacts().collect::<Vec<_>>(),
                node.items().map(|stored| Kept::from(&stored)).collect::<Vec<_>>(),
                node.peers().collect::<Vec<_>>(),
            );
        }
    }
    if handles.len() > 64 {
        handles.remove(0);
    }
    (packet, told, text)
}

fn any_call(strangers: &mut Strangers) -> Call {
    let room = match strangers.dice.below(6) {
        0 => strangers.dice.below(200),
        1 => strangers.dice.below(2_000),
        _ => MAX_DATAGRAM,
    };
    match strangers.dice.below(24) {
        0..8 => {
            let (from, datagram) = strangers.datagram();
            Call::Datagram(from, datagram, room)
        }
        8 => Call::Timeout,
        9 => Call::Unreachable(strangers.addr()),
        10 | 11 => Call::Command(strangers.dice.below(8), strangers.dice.id()),
        12 => {
            let cas = strangers.dice.one_in(2).then_some(1);
            // Signing and verifying take long.
            match strangers.dice.below(8) {
                0 => Call::PutMutable(2, cas),
                1 => Call::HonestPut(strangers.addr(), strangers.item()),
                _ => Call::HonestPut(strangers.addr(), immutable(&string_of(20, strangers.dice.below(256) as u8))),
            }
        }
        13 => Call::Ping(strangers.addr()),
        14 => Call::Cancel(strangers.dice.below(64)),
        15 => Call::Bootstrap(strangers.addr()),
        16 => Call::Restore(strangers.dice.below(256) as u8, strangers.dice.next() % 10_000),
        17..21 => Call::Transmit(room),
        21 | 22 => Call::Event,
        _ => Call::Look,
    }
}

/// Does the same to both nodes; whatever one does, the other must do.
fn same_calls(one: &mut Node<'_>, two: &mut Node<'_>, limits: &Capacity, seed: u64, calls: usize) {
    let mut strangers = Strangers::new(seed);
    let (mut handles, mut others) = (Vec::new(), Vec::new());
    let mut now = Instant::from_secs(1_000);
    for count in 0..calls {
        match strangers.dice.below(20) {
            0..10 => now = now + Duration::from_micros(strangers.dice.next() % 50_000),
            10 => now = Instant::from_micros(now.as_micros().saturating_sub(strangers.dice.next() % 10_000_000)),
            11 if strangers.dice.one_in(40) => now = now + Duration::from_secs(strangers.dice.next() % 10_000),
            12 => now = one.poll_timeout().unwrap_or(now).max(now),
            _ => {}
        }
        let next = any_call(&mut strangers);
        let seen = call(one, now, &next, &mut handles);
        let also = call(two, now, &next, &mut others);
        assert_eq!(seen, also, "call number {count} of seed {seed}: {next:?}");
        if let Some((to, packet)) = &seen.0 {
            strangers.note(*to, packet);
        }
        if count % 64 == 0 {
            limits_are_kept(one, limits);
        }
    }
}

fn any_calls(limits: &Capacity, config: &Config, seed: u64) {
    let calls = if cfg!(debug_assertions) { 1_500 } else { 20_000 };
    let mut one = Node::new(Storage::boxed(limits), config, Instant::ZERO);
    let mut two = Node::new(Storage::boxed(limits), config, Instant::ZERO);
    same_calls(&mut one, &mut two, limits, seed, calls);
}

#[test]
fn any_order_of_calls_is_harmless_and_repeatable() {
    let none = Capacity { contacts: 0, contacts6: 0, transactions: 0, queries: 0, items: 0, values: 0, peers: 0 };
    let one = Capacity { contacts: 1, contacts6: 1, transactions: 1, queries: 1, items: 1, values: 1_200, peers: 1 };
    for (seed, limits) in [
        capacity(),
        Capacity::tiny(),
        none,
        one,
        Capacity { values: 5, ..one },
        Capacity { contacts6: 0, transactions: 3, ..capacity() },
        Capacity { contacts: 0, ..capacity() },
        Capacity { queries: 0, ..capacity() },
        Capacity { transactions: 0, ..capacity() },
        Capacity { items: 0, ..capacity() },
        Capacity { values: 0, ..capacity() },
        Capacity { contacts: 0, contacts6: 0, ..capacity() },
    ]
    .into_iter()
    .enumerate()
    {
        any_calls(&limits, &config(), seed as u64);
        any_calls(&limits, &Config::new([9; 32]), 100 + seed as u64);
    }
}

#[test]
fn any_order_of_calls_is_harmless_whatever_the_settings() {
    let nothing = Duration::ZERO;
    for (seed, config) in [
        Config { read_only: true, ..config() },
        Config { item_lifetime: nothing, peer_lifetime: nothing, ..config() },
        Config { item_lifetime: Duration::MAX, peer_lifetime: Duration::MAX, ..config() },
        Config { queries: Rate { per_second: 1, burst: 0 }, ..config() },
        Config { queries: Rate { per_second: u32::MAX, burst: u32::MAX }, ..config() },
        Config { verifications: Rate { per_second: 1, burst: 1 }, report_items: false, ..config() },
        Config { version: None, superfluous_target: false, id: Some(NodeId::new([0xff; 20])), ..config() },
    ]
    .into_iter()
    .enumerate()
    {
        any_calls(&capacity(), &config, 200 + seed as u64);
    }
}

#[test]
fn lent_and_boxed_memory_make_no_difference_nor_does_what_was_in_it() {
    let micro = Capacity { contacts: 16, contacts6: 0, transactions: 8, queries: 1, items: 2, values: 2_304, peers: 0 };
    let config = Config { id: Some(NodeId::ZERO), ..config() };
    let mut memory = Box::new(MicroMemory::new());
    for seed in 300..306 {
        // The second time, the lent memory is full of what the node before it left there.
        let mut lent = Node::new(&mut *memory, &config, Instant::ZERO);
        let mut boxed = Node::new(Storage::boxed(&micro), &config, Instant::ZERO);
        same_calls(&mut lent, &mut boxed, &micro, seed, if cfg!(debug_assertions) { 800 } else { 20_000 });
    }
    // And with tables of one.
    let mut memory = Box::new(Memory::<1, 1, 1, 1, 1, 1_200, 1>::new());
    let one = Capacity { contacts: 1, contacts6: 1, transactions: 1, queries: 1, items: 1, values: 1_200, peers: 1 };
    for seed in 310..313 {
        let mut lent = Node::new(&mut *memory, &config, Instant::ZERO);
        let mut boxed = Node::new(Storage::boxed(&one), &config, Instant::ZERO);
        same_calls(&mut lent, &mut boxed, &one, seed, if cfg!(debug_assertions) { 800 } else { 20_000 });
    }
}

#[test]
fn another_seed_gives_other_secrets() {
    let mut tokens = Vec::new();
    for seed in 0..8 {
        let mut script = Script::with(&capacity(), &Config { seed: [seed; 32], ..config() });
        tokens.push((*script.node.id().as_bytes(), script.token(addr("203.0.113.5:5"), [1; 20])));
    }
    tokens.sort();
    tokens.dedup_by(|a, b| a.0 == b.0 || a.1 == b.1);
    assert_eq!(tokens.len(), 8);
}
