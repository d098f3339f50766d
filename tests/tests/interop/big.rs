//! One network of all: twenty nodes of ours and ten of each of theirs find what any of them has put.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bep44::core::item::immutable_target;
use serde_json::json;

use crate::network::{Source, network};
use crate::node::{Node, Write, bencoded, public_key};
use crate::pairs::fresh_seed;
use crate::peer::{Kind, Peer};
use crate::report::{Report, median, milliseconds};

const OURS: usize = 20;
const OF_EACH: usize = 10;
const ITEMS: usize = 100;

struct Item {
    seed: [u8; 32],
    text: String,
    mutable: bool,
}

impl Item {
    fn put(&self, writer: &Node) -> Result<(), String> {
        let value = json!(self.text);
        let put = if self.mutable {
            writer.put_mutable(&Write { seed: self.seed, salt: None, value, seq: 1, cas: None })
        } else {
            writer.put_immutable(&value)
        };
        put.map(drop).map_err(|failure| format!("{failure:?}"))
    }

    fn get(&self, reader: &Node) -> Result<(), String> {
        let value = bencoded(&json!(self.text));
        let (found, wanted) = if self.mutable {
            let found = reader.get_mutable(public_key(self.seed), None);
            (found, Some((1, value)))
        } else {
            let found = reader.get_immutable(immutable_target(&value));
            (found.map(|found| found.map(|value| (0, value))), Some((0, value)))
        };
        if found == Ok(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
    }
}

/// Item by item: how it ended, and how long it took.
type Outcomes = Vec<(Result<(), String>, Duration)>;

/// Lets each item be handled by the node that it falls to. Nodes of theirs work at the same time, because some wait for
/// seconds; a node does one thing after the other, and so do all of ours together, so that what is measured of them is
/// not that the machine is busy.
fn handle(nodes: &[Node], falls_to: &[usize], act: impl Fn(usize, &Node) -> Result<(), String> + Sync) -> Outcomes {
    let mut shares: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (item, node) in falls_to.iter().enumerate() {
        let share = if nodes[*node].kind() == Kind::Ours { None } else { Some(*node) };
        shares.entry(share).or_default().push(item);
    }
    let mut outcomes = vec![(Err("not done".to_owned()), Duration::ZERO); falls_to.len()];
    std::thread::scope(|scope| {
        let work = |items: Vec<usize>| {
            let timed = |item: usize| {
                let begun = Instant::now();
                let outcome = act(item, &nodes[falls_to[item]]);
                (item, (outcome, begun.elapsed()))
            };
            items.into_iter().map(timed).collect::<Vec<_>>()
        };
        let threads: Vec<_> = shares.into_values().map(|items| scope.spawn(move || work(items))).collect();
        for (item, outcome) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            outcomes[item] = outcome;
        }
    });
    outcomes
}

pub(crate) fn everybody_finds_everything(report: &mut Report) {
    let begun = Instant::now();
    let peers = Kind::THEIRS.map(Peer::start);
    // As they come in real life, mixed: each kind meets the others in all states of the network.
    let turn: [Source<'_>; 5] = [None, Some(&peers[0]), Some(&peers[1]), None, Some(&peers[2])];
    let nodes = network(turn.into_iter().cycle().take(OURS + 3 * OF_EACH));
    println!("  {} nodes know each other after {:.1} s", nodes.len(), begun.elapsed().as_secs_f64());
    let of_kind = |kind| (0..nodes.len()).filter(|node| nodes[*node].kind() == kind).collect::<Vec<_>>();
    let by_kind = Kind::ALL.map(of_kind);
    let pick = |kind: usize, number: usize| by_kind[kind][number % by_kind[kind].len()];

    let items: Vec<Item> = (0..ITEMS)
        .map(|number| Item {
            seed: fresh_seed(),
            text: format!("item {number} of {ITEMS}"),
            mutable: number >= ITEMS / 2,
        })
        .collect();
    let kinds = Kind::ALL.len();
    // Of each kind in turn, and read by each of the other kinds in turn; among those of a kind, by one after the other.
    let round = |item: usize| item / kinds;
    let writer_kind = |item: usize| item % kinds;
    let reader_kind = |item: usize| (writer_kind(item) + 1 + round(item) % (kinds - 1)) % kinds;
    let writers: Vec<_> = (0..ITEMS).map(|item| pick(writer_kind(item), round(item))).collect();
    let readers: Vec<_> = (0..ITEMS).map(|item| pick(reader_kind(item), round(item) + 3)).collect();
    // None of ours reads what it has written itself.
    let our_readers: Vec<_> = (0..ITEMS).map(|item| pick(0, round(item) + 7)).collect();

    let puts = handle(&nodes, &writers, |item, node| items[item].put(node));
    println!("  {ITEMS} items are put after {:.1} s", begun.elapsed().as_secs_f64());
    let gets_by_ours = handle(&nodes, &our_readers, |item, node| items[item].get(node));
    println!("  ours have looked for each after {:.1} s", begun.elapsed().as_secs_f64());
    let gets = handle(&nodes, &readers, |item, node| items[item].get(node));
    println!("  and another kind than the writer's after {:.1} s", begun.elapsed().as_secs_f64());

    let named = |item: usize| {
        let kind = if items[item].mutable { "mutable" } else { "immutable" };
        format!("item {item} ({kind}, put by {})", Kind::ALL[writer_kind(item)].name())
    };
    for item in 0..ITEMS {
        report.expect(&format!("{} is put", named(item)), &puts[item].0, &Ok(()));
        report.expect(&format!("{} is found by ours", named(item)), &gets_by_ours[item].0, &Ok(()));
        let reader = Kind::ALL[reader_kind(item)].name();
        report.expect(&format!("{} is found by {reader}", named(item)), &gets[item].0, &Ok(()));
    }
    let count = |outcomes: &Outcomes, chosen: &dyn Fn(usize) -> bool| {
        let chosen: Vec<_> = (0..ITEMS).filter(|item| chosen(*item)).map(|item| &outcomes[item]).collect();
        let times: Vec<_> = chosen.iter().filter(|(outcome, _)| outcome.is_ok()).map(|(_, time)| *time).collect();
        if chosen.is_empty() {
            return "-".to_owned();
        }
        format!("{} of {}, {}", times.len(), chosen.len(), milliseconds(median(&times)))
    };
    let mut head = vec!["put by".to_owned(), "put".to_owned(), "each found by ours".to_owned()];
    head.extend(Kind::ALL.map(|kind| format!("found by {}", kind.name())));
    let rows: Vec<Vec<String>> = (0..kinds)
        .map(|writer| {
            let mut row = vec![Kind::ALL[writer].name().to_owned()];
            row.push(count(&puts, &|item| writer_kind(item) == writer));
            row.push(count(&gets_by_ours, &|item| writer_kind(item) == writer));
            row.extend(
                (0..kinds)
                    .map(|reader| count(&gets, &|item| writer_kind(item) == writer && reader_kind(item) == reader)),
            );
            row
        })
        .collect();
    let title = format!("{OURS} nodes of ours and {OF_EACH} of each of theirs: how many items, and the median in ms");
    report.table(&title, &head, &rows);
}
