//! Nodes that misbehave. Each is a real node that looks after its routing table like any other, so that others list it;
//! what it does wrong is done to what comes in and to what goes out.

use bep44_core::addr::CompactAddr;
use bep44_core::wire::{Message, Method, NodeList, Nodes, Query, Reply, parse};
use bep44_core::{MAX_DATAGRAM, Node, NodeId, Target};
use rand::RngExt as _;
use rand_pcg::Pcg32;

use super::random::Draw;
use super::scenario::{MAX_HOSTS, Scenario};
use super::wire::addr_of;

/// How a host behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Honest,
    Silent,
    Liar,
    Stale,
    WrongToken,
}

/// What a rogue does with something that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Its node takes it in.
    TakeIn,
    /// Nothing.
    Ignore,
    /// It answers so many octets that have been written, and its node never knows.
    Answer(usize),
}

impl Role {
    /// What the host with this number is.
    pub(super) fn of(scenario: &Scenario, host: u32) -> Self {
        let rogues = &scenario.rogues;
        if host < scenario.stable {
            return Self::Honest;
        }
        let mut drawn = Draw::new(scenario.seed, "role", host.into()).unit();
        let shares = [
            (rogues.silent, Self::Silent),
            (rogues.liar, Self::Liar),
            (rogues.stale, Self::Stale),
            (rogues.wrong_token, Self::WrongToken),
        ];
        for (share, role) in shares {
            if drawn < share {
                return role;
            }
            drawn -= share;
        }
        Self::Honest
    }

    /// What is done with a datagram before the node sees it.
    pub(super) fn treat(self, node: &Node<'_>, datagram: &[u8], out: &mut [u8; MAX_DATAGRAM]) -> Treatment {
        if !matches!(self, Self::Silent | Self::Stale) {
            return Treatment::TakeIn;
        }
        let Ok(Message::Query(query)) = parse(datagram) else { return Treatment::TakeIn };
        match (self, query.method) {
            (Self::Silent, Method::Get { .. } | Method::Put(_)) => Treatment::Ignore,
            (Self::Stale, Method::Put(put)) if put.mutable.is_some() && node.items().next().is_some() => {
                Reply::new(query.transaction, node.id()).write(None, out).map_or(Treatment::Ignore, Treatment::Answer)
            }
            _ => Treatment::TakeIn,
        }
    }

    /// Changes the answer, of `len` octets, that the node has given to a datagram. Returns how many there are now.
    pub(super) fn spoil(
        self,
        datagram: &[u8],
        answer: &mut [u8; MAX_DATAGRAM],
        len: usize,
        random: &mut Pcg32,
    ) -> Option<usize> {
        if !matches!(self, Self::Liar | Self::WrongToken) {
            return Some(len);
        }
        let Ok(Message::Query(query)) = parse(datagram) else { return Some(len) };
        let given = *answer;
        let Ok(Message::Reply(reply)) = parse(given.get(..len)?) else { return Some(len) };
        match (self, target_of(&query)) {
            (Self::Liar, Some(target)) => {
                let names = invented(&target, random);
                Reply { nodes: Nodes::ABSENT.with(&names), ..reply }.write(None, answer)
            }
            (Self::WrongToken, Some(_)) if reply.token.is_some() => {
                Reply { token: Some(b"not a token!"), ..reply }.write(None, answer)
            }
            _ => Some(len),
        }
    }
}

fn target_of(query: &Query<'_>) -> Option<Target> {
    match query.method {
        Method::FindNode { target, .. } | Method::Get { target, .. } => Some(target),
        Method::GetPeers { info_hash, .. } => Some(info_hash),
        _ => None,
    }
}

/// Nodes that do not exist, nearer to the target than any that does.
fn invented(target: &Target, random: &mut Pcg32) -> NodeList {
    let mut names = NodeList::new(bep44_core::addr::Family::V4);
    for _ in 0..8 {
        let mut id = *target.as_bytes();
        random.fill(&mut id[12..]);
        // Beyond all hosts, and still a public address.
        let addr = addr_of(MAX_HOSTS + random.random_range(1..100_000));
        let _ = names.push(&NodeId::new(id), CompactAddr::from(addr));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario::Rogues;
    use bep44_core::wire::Want;
    use bep44_core::{Capacity, Config, Instant, Storage};
    use rand::SeedableRng as _;

    fn asked(role: Role, method: Method<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut node = Node::new(Storage::boxed(&Capacity::tiny()), &Config::new([1; 32]), Instant::ZERO);
        let (mut question, mut answer) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
        let query = Query { transaction: b"aa", sender: NodeId::new([9; 20]), read_only: false, method };
        let len = query.write(None, &mut question).unwrap();
        let question = &question[..len];
        let len = match role.treat(&node, question, &mut answer) {
            Treatment::TakeIn => {
                let from = addr_of(7);
                let len = node.handle_datagram(Instant::ZERO, from, question, &mut answer)?.datagram.len();
                role.spoil(question, &mut answer, len, &mut Pcg32::seed_from_u64(1)).unwrap()
            }
            Treatment::Ignore => return None,
            Treatment::Answer(len) => len,
        };
        Some((question.to_vec(), answer[..len].to_vec()))
    }

    fn get(target: Target) -> Method<'static> {
        Method::Get { target, seq: None, want: Want::UNSAID }
    }

    #[test]
    fn each_is_wrong_in_its_own_way() {
        let target = Target::new([5; 20]);
        let reply_of = |role, method| {
            asked(role, method).map(|(_, answer)| {
                let Ok(Message::Reply(reply)) = parse(&answer) else { panic!("an answer") };
                let names: Vec<_> = reply.nodes.iter().map(|(id, _)| id.as_bytes()[..12] == [5; 12]).collect();
                (names, reply.token.map(<[u8]>::to_vec))
            })
        };
        let honest = reply_of(Role::Honest, get(target)).unwrap();
        assert_eq!((honest.0.len(), honest.1.as_ref().map(Vec::len)), (0, Some(12)));
        assert_eq!(reply_of(Role::Silent, get(target)), None);
        assert!(reply_of(Role::Silent, Method::Ping).is_some(), "it looks alive");
        assert_eq!(reply_of(Role::Liar, get(target)).unwrap().0, [true; 8]);
        let find = Method::FindNode { target, want: Want::UNSAID };
        assert_eq!(reply_of(Role::Liar, find).unwrap().0, [true; 8]);
        assert_eq!(reply_of(Role::WrongToken, get(target)).unwrap().1.unwrap(), b"not a token!");
    }

    #[test]
    fn roles_are_as_frequent_as_they_should_be() {
        let rogues = Rogues { silent: 0.1, liar: 0.05, stale: 0.02, wrong_token: 0.01 };
        let scenario = Scenario { rogues, stable: 10, ..Scenario::default() };
        let count = |role| (0..20_000).filter(|host| Role::of(&scenario, *host) == role).count();
        for (role, expected) in
            [(Role::Silent, 2_000), (Role::Liar, 1_000), (Role::Stale, 400), (Role::WrongToken, 200)]
        {
            let found = count(role);
            assert!(found.abs_diff(expected) < 100, "{role:?}: {found}");
        }
        assert!((0..10).all(|host| Role::of(&scenario, host) == Role::Honest));
    }
}
