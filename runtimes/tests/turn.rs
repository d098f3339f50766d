//! The turn that all drivers share, by itself: nodes in memory, packets carried by hand, and a clock that is set.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use async_channel::{Receiver, unbounded};
use bep44::core::{Instant, Node, Storage};
use bep44::turn::{Command, NodeEvent, Progress, Step, Ticket, Turn, Want};
use bep44::{AnyItem, Capacity, Config, Error, Immutable, QueryError, Target};

const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes, and the packets between them.
struct World {
    now: Instant,
    turns: BTreeMap<SocketAddr, Turn>,
    packets: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Packets sent to where nobody is.
    lost: usize,
}

impl World {
    /// Nodes that have all been told of the first one.
    fn new(nodes: u8) -> Self {
        let now = Instant::from_secs(1);
        let turns = (0..nodes).map(|number| {
            let config = Config { read_only: number + 1 == nodes, ..Config::new([number + 1; 32]) };
            let mut node = Node::new(Storage::boxed(&Capacity::tiny()), &config, now);
            if number > 0 {
                node.add_bootstrap(addr(0)).unwrap();
            }
            (addr(number), Turn::new(node, PATIENCE))
        });
        let mut world = Self { now, turns: turns.collect(), packets: VecDeque::new(), lost: 0 };
        world.settle();
        world
    }

    /// Gives everybody their turn, in the order that a driver keeps, until nobody has anything to send.
    fn settle(&mut self) {
        loop {
            for (from, turn) in &mut self.turns {
                while let Step::Send(packet) = turn.next(self.now) {
                    self.packets.push_back((*from, packet.to, packet.datagram.to_vec()));
                }
            }
            let Some((from, to, datagram)) = self.packets.pop_front() else { return };
            self.now = self.now + Duration::from_micros(10);
            let Some(turn) = self.turns.get_mut(&to) else {
                self.lost += 1;
                continue;
            };
            if let Some(answer) = turn.on_datagram(self.now, from, &datagram) {
                self.packets.push_back((to, answer.to, answer.datagram.to_vec()));
            }
        }
    }

    /// Lets time pass until somebody's deadline.
    fn wait(&mut self) {
        let now = self.now;
        let deadlines = self.turns.values_mut().filter_map(|turn| match turn.next(now) {
            Step::Wait(deadline) => deadline,
            step => panic!("{step:?}"),
        });
        self.now = deadlines.min().unwrap().max(now);
        self.turns.values_mut().for_each(|turn| turn.on_timeout(self.now));
        self.settle();
    }

    fn start(&mut self, node: u8, ticket: u64, want: Want, steps: bool) -> Receiver<Progress> {
        let (reply, progress) = unbounded();
        let command = Command::Start { ticket: Ticket(ticket), want, steps, reply };
        self.turns.get_mut(&addr(node)).unwrap().on_command(self.now, command);
        progress
    }
}

fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1_000 + u16::from(number)))
}

fn told(progress: &Receiver<Progress>) -> Vec<Progress> {
    std::iter::from_fn(|| progress.try_recv().ok()).collect()
}

#[test]
fn a_query_tells_its_result_once_or_each_step() {
    let mut world = World::new(10);
    let item = Immutable::text("in memory").unwrap();
    let put = world.start(9, 1, Want::Put { item: AnyItem::Immutable(item.clone()), cas: None }, false);
    world.settle();
    match &told(&put)[..] {
        [Progress::Put(nodes), Progress::Ended(outcome)] => assert_eq!((nodes.len(), outcome.accepted), (8, 8)),
        other => panic!("{other:?}"),
    }
    assert!(put.is_closed(), "nothing follows");

    let get = world.start(9, 2, Want::Get(item.target()), false);
    world.settle();
    let found = Progress::Found(AnyItem::Immutable(item.clone()));
    assert!(matches!(&told(&get)[..], [first, Progress::Ended(_)] if *first == found));

    let walk = world.start(9, 3, Want::Get(item.target()), true);
    world.settle();
    let steps = told(&walk);
    assert!(steps.iter().any(|step| matches!(step, Progress::Answered(_))) && steps.contains(&found), "{steps:?}");
    assert!(matches!(steps.last(), Some(Progress::Ended(_))));
}

#[test]
fn a_cancelled_query_sends_and_tells_nothing_more() {
    let mut world = World::new(10);
    let get = world.start(9, 1, Want::Get(Target::ZERO), true);
    let turn = world.turns.get_mut(&addr(9)).unwrap();
    turn.on_command(world.now, Command::Cancel(Ticket(1)));
    turn.on_command(world.now, Command::Cancel(Ticket(1)));
    assert!(matches!(turn.next(world.now), Step::Wait(_)));
    assert!(told(&get).is_empty() && get.is_closed());
}

#[test]
fn what_takes_too_long_is_given_up_at_its_deadline() {
    let mut world = World::new(2);
    // Nobody is there any more.
    world.turns.retain(|at, _| *at == addr(1));
    let patience = Duration::from_millis(150);
    let mut node = Node::new(Storage::boxed(&Capacity::tiny()), &Config::new([9; 32]), world.now);
    node.add_bootstrap(addr(0)).unwrap();
    world.turns.insert(addr(1), Turn::new(node, patience));
    let start = world.now;
    let get = world.start(1, 1, Want::Get(Target::ZERO), false);
    world.settle();
    assert!(world.lost > 0);
    while !get.is_closed() {
        world.wait();
    }
    assert_eq!(told(&get), [Progress::Failed(Error::TimedOut(patience))]);
    assert_eq!(world.now.since(start), patience);
}

#[test]
fn what_cannot_start_says_so() {
    let mut world = World::new(1);
    let get = world.start(0, 1, Want::Get(Target::ZERO), false);
    assert_eq!(told(&get), [Progress::Failed(Error::Query(QueryError::NobodyToAsk))]);
}

#[test]
fn a_slow_subscriber_learns_how_much_it_has_lost() {
    let mut world = World::new(3);
    let (events, heard) = async_channel::bounded(2);
    world.turns.get_mut(&addr(1)).unwrap().on_command(world.now, Command::Subscribe(events));
    for number in 0..5_u64 {
        let item = AnyItem::Immutable(Immutable::text(&number.to_string()).unwrap());
        let _put = world.start(2, number, Want::Put { item, cas: None }, false);
        world.settle();
        if number == 3 {
            assert!(matches!(heard.try_recv(), Ok(NodeEvent::ItemStored(_))));
            assert!(matches!(heard.try_recv(), Ok(NodeEvent::ItemStored(_))));
        }
    }
    assert_eq!(heard.try_recv(), Ok(NodeEvent::Lagged(2)));
    assert!(matches!(heard.try_recv(), Ok(NodeEvent::ItemStored(_))));
}

#[test]
fn a_shut_down_turn_ends_and_lets_go_of_who_waits() {
    let mut world = World::new(2);
    let get = world.start(1, 1, Want::Get(Target::ZERO), false);
    let mut turn = world.turns.remove(&addr(1)).unwrap();
    turn.on_command(world.now, Command::Shutdown);
    assert!(matches!(turn.next(world.now), Step::End));
    drop(turn);
    assert!(get.is_closed());

    let (commands, waiting) = unbounded();
    let (reply, progress) = unbounded();
    let want = Want::Get(Target::ZERO);
    commands.try_send(Command::Start { ticket: Ticket(2), want, steps: false, reply }).unwrap();
    Turn::close(&waiting);
    assert!(progress.is_closed(), "nobody waits for an answer that will not come");
}
