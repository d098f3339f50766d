//! Two firmwares on one wire, in virtual time: what takes hours on a board.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bare_udp::MAX_FRAME;
use firmware::core::TinyMemory;
use firmware::{App, Arguments, Bare, Card, Console, Machine, Operator, Quiet, Terminal};
use static_cell::StaticCell;

type Queue<T> = Rc<RefCell<VecDeque<T>>>;

/// Time that only the test moves.
#[derive(Clone, Default)]
struct Virtual(Rc<Cell<u64>>);

impl Machine for Virtual {
    fn millis(&mut self) -> u64 {
        self.0.get()
    }

    fn sleep(&mut self) {}

    fn stack_used(&self) -> usize {
        0
    }
}

/// One end of a wire, which may be cut.
struct End {
    incoming: Queue<Vec<u8>>,
    outgoing: Queue<Vec<u8>>,
    cut: Rc<Cell<bool>>,
}

impl Card for End {
    fn set_address(&mut self, _: [u8; 6]) {}

    fn waiting(&mut self) -> bool {
        !self.incoming.borrow().is_empty()
    }

    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let arrived = self.incoming.borrow_mut().pop_front()?;
        frame[..arrived.len()].copy_from_slice(&arrived);
        Some(arrived.len())
    }

    fn send(&mut self, frame: &[u8]) {
        assert!(frame.len() >= 60);
        if !self.cut.get() {
            self.outgoing.borrow_mut().push_back(frame.to_vec());
        }
    }
}

/// A console: what is typed on it, and what it shows.
#[derive(Clone, Default)]
struct Screen {
    typed: Queue<u8>,
    shown: Rc<RefCell<Vec<u8>>>,
}

impl Console for Screen {
    fn write(&mut self, octets: &[u8]) {
        self.shown.borrow_mut().extend_from_slice(octets);
    }

    fn read(&mut self) -> Option<u8> {
        self.typed.borrow_mut().pop_front()
    }
}

impl Screen {
    fn type_in(&self, line: &str) {
        self.typed.borrow_mut().extend(line.bytes().chain([b'\n']));
    }

    /// What was shown since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.shown.borrow_mut())).unwrap()
    }
}

type Firmware<O> = &'static mut App<'static, Bare<End>, O>;

/// Two boards, of which the second has a console.
struct Boards<O: 'static> {
    apps: (Firmware<O>, Firmware<Terminal<Screen>>),
    screens: [Screen; 2],
    wire: [Queue<Vec<u8>>; 2],
    time: Virtual,
    cut: Rc<Cell<bool>>,
}

fn cell<T>() -> &'static StaticCell<T> {
    Box::leak(Box::new(StaticCell::new()))
}

/// The board at 10.0.2.`number`, before its first turn. The first is told of the second.
fn firmware<O: Operator>(number: u8, end: End, operator: O, text: &str) -> Firmware<O> {
    let mut settings = Arguments::new();
    let seed = format!("0{number}").repeat(32);
    let mut words = format!("ip=10.0.2.{number} mac=02000000000{number} seed={seed} say={text}");
    if number == 1 {
        words.push_str(" boot=10.0.2.2:6881");
    }
    settings.take(words.as_bytes()).unwrap();
    let memory = Box::leak(Box::new(TinyMemory::new()));
    let node = firmware::node(cell(), memory, &settings).unwrap();
    let network = Bare::start(cell(), end, settings.network).unwrap();
    let app = App::new(cell(), &settings, node, network, operator).unwrap();
    app.start(&settings).unwrap();
    app
}

/// The first of them with whatever is watching it.
fn boards_of<O: Operator + 'static>(operator: impl FnOnce(Screen) -> O) -> Boards<O> {
    let (wire, cut) = ([Queue::default(), Queue::default()], Rc::default());
    let (time, screens) = (Virtual::default(), [Screen::default(), Screen::default()]);
    let apps = (
        firmware(1, end(&wire, 0, &cut), operator(screens[0].clone()), "first"),
        firmware(2, end(&wire, 1, &cut), Terminal::new(screens[1].clone()), "second"),
    );
    Boards { apps, screens, wire, time, cut }
}

fn boards() -> Boards<Terminal<Screen>> {
    boards_of(Terminal::new)
}

fn end(wire: &[Queue<Vec<u8>>; 2], number: usize, cut: &Rc<Cell<bool>>) -> End {
    End { incoming: Rc::clone(&wire[number]), outgoing: Rc::clone(&wire[1 - number]), cut: Rc::clone(cut) }
}

impl<O: Operator + 'static> Boards<O> {
    /// Runs for so many milliseconds, in steps of ten.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.time.0.set(self.time.0.get() + 10);
            assert!(self.apps.0.turn(&mut self.time.clone()));
            assert!(self.apps.1.turn(&mut self.time.clone()));
        }
    }
}

const HOUR: u64 = 3_600_000;

#[test]
fn an_item_is_put_again_every_hour_and_outlives_the_two_that_a_node_keeps_it() {
    let mut boards = boards();
    boards.run(5_000);
    let [one, two] = [boards.screens[0].take(), boards.screens[1].take()];
    assert!(one.contains(r#""event":"published","seq":1,"accepted":1"#), "{one}");
    assert!(two.contains(r#""event":"stored""#), "{two}");
    let mut refreshed = 0;
    for hour in 1..=5 {
        boards.run(HOUR);
        let two = boards.screens[1].take();
        assert!(!two.contains(r#""event":"dropped""#), "hour {hour}: {two}");
        refreshed += two.matches(r#""event":"refreshed""#).count();
    }
    assert!(refreshed >= 4, "refreshed {refreshed} times in five hours");
    boards.screens[0].type_in("exit");
    assert!(!boards.apps.0.turn(&mut boards.time.clone()));
}

#[test]
fn a_board_without_a_console_does_the_same_and_shows_its_start_only() {
    let mut boards = boards_of(Quiet::new);
    // What is typed is not looked at.
    boards.screens[0].type_in("exit");
    boards.run(5_000);
    let (one, two) = (boards.screens[0].take(), boards.screens[1].take());
    let start = r#"{"event":"listening","id":""#;
    assert!(one.starts_with(start) && one.matches('\n').count() == 1, "{one}");
    let key = &one[one.find("public_key").unwrap()..one.len() - 2];
    assert!(two.contains(r#""event":"stored""#) && two.contains(key), "{two}");
    for hour in 1..=3 {
        boards.run(HOUR);
        let two = boards.screens[1].take();
        assert!(two.contains(r#""event":"refreshed""#) && !two.contains(r#""event":"dropped""#), "hour {hour}: {two}");
    }
    assert_eq!(boards.screens[0].take(), "");
    // It takes the number after one that the network remembers, too.
    let end = end(&boards.wire, 0, &boards.cut);
    boards.apps.0 = firmware(1, end, Quiet::new(boards.screens[0].clone()), "anew");
    boards.run(20_000);
    let two = boards.screens[1].take();
    assert!(two.contains(r#""event":"replaced""#) && two.contains(r#""seq":2"#), "{two}");
}

#[test]
fn a_board_whose_cable_was_pulled_publishes_when_it_is_back() {
    let mut boards = boards();
    boards.cut.set(true);
    boards.run(60_000);
    assert!(!boards.screens[0].take().contains(r#""accepted":1"#));
    boards.cut.set(false);
    // It tries again after five minutes.
    boards.run(6 * 60_000);
    let one = boards.screens[0].take();
    assert!(one.contains(r#""event":"published","seq":1,"accepted":1"#), "{one}");
}

#[test]
fn a_board_that_has_forgotten_its_number_takes_the_next_one() {
    let mut boards = boards();
    for text in ["say two", "say three"] {
        boards.run(5_000);
        boards.screens[0].type_in(text);
    }
    boards.run(5_000);
    assert!(boards.screens[1].take().contains(r#""seq":3"#));
    // The first one restarts, and begins to count at one.
    let end = end(&boards.wire, 0, &boards.cut);
    boards.apps.0 = firmware(1, end, Terminal::new(boards.screens[0].clone()), "anew");
    boards.run(20_000);
    let (one, two) = (boards.screens[0].take(), boards.screens[1].take());
    assert!(one.contains(r#""event":"published","seq":4,"accepted":1"#), "{one}");
    assert!(two.contains(r#""event":"replaced""#) && two.contains(r#""seq":4"#), "{two}");
}

#[test]
fn a_dead_neighbour_blocks_nobody_for_long() {
    let mut boards = boards();
    boards.run(5_000);
    boards.screens[0].take();
    boards.screens[0].type_in("ping 10.0.2.77:6881");
    boards.run(100);
    boards.screens[0].type_in("ping 10.0.2.2:6881");
    boards.run(5_000);
    let one = boards.screens[0].take();
    assert!(one.contains(r#""event":"answered""#) && one.contains(r#""addr":"10.0.2.2:6881""#), "{one}");
}
