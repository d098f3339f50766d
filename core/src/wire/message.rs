//! The frame that all messages share (BEP 5, "KRPC Protocol"), and what becomes of a datagram.

use super::bencode::{Dict, Writer};
use super::keys::{Fields, Key};
use super::query::Query;
use super::refusal::Refusal;
use super::reply::{RemoteError, Reply};
use crate::addr::CompactAddr;

/// A well-formed message. It borrows from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Somebody asks (`y` is `q`).
    Query(Query<'a>),
    /// Somebody answers (`y` is `r`).
    Reply(Reply<'a>),
    /// Somebody refuses (`y` is `e`).
    Error(RemoteError<'a>),
}

/// What becomes of a datagram that is not a well-formed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError<'a> {
    /// Nothing: it is not bencoded, or is no query and no usable answer, or has no transaction id to answer with.
    Drop,
    /// A query that cannot be served, but can be answered.
    Refuse {
        /// The transaction id to echo; not empty.
        transaction: &'a [u8],
        /// What to answer.
        refusal: Refusal,
    },
}

/// Reads a datagram.
///
/// Tolerated: unknown keys, keys in any order, of duplicate keys all but the first, whatever follows the message, and
/// optional keys of a wrong type, which count as absent (`v`, `ip`, `ro`, `want`, `implied_port`, and all but `id` in an
/// answer). Not tolerated in a query, and refused with 203: a wrong type, length or range of anything that decides what
/// is read or stored; a `v` that is not canonical is found last. The *sizes* of `v` and of the salt are not judged here.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(datagram: &[u8]) -> Result<Message<'_>, ParseError<'_>> {
    let mut fields = Fields::EMPTY;
    let whole = Dict::open(datagram).and_then(|dict| fields.read(dict, &KEYS));
    // `t` and `y`. Nobody could match the answer to a query without a transaction id.
    let transaction = fields.bytes(Key::Transaction).and_then(non_empty);
    let (Ok(()), Some(transaction), Some(kind)) = (whole, transaction, fields.bytes(Key::Y)) else {
        return Err(ParseError::Drop);
    };
    match kind {
        b"q" => Query::read(transaction, &fields)
            .map(Message::Query)
            .map_err(|refusal| ParseError::Refuse { transaction, refusal }),
        b"r" => Reply::read(transaction, &fields).map(Message::Reply).ok_or(ParseError::Drop),
        b"e" => RemoteError::read(transaction, &fields).map(Message::Error).ok_or(ParseError::Drop),
        _ => Err(ParseError::Drop),
    }
}

/// The keys of the top level that are looked at.
const KEYS: [Key; 8] =
    [Key::Arguments, Key::Error, Key::Ip, Key::Method, Key::Reply, Key::ReadOnly, Key::Transaction, Key::Y];

/// `ip`: where the message that is answered came from (BEP 42). Always `Some`: there is room for either length.
pub(super) fn write_observed(writer: &mut Writer<'_>, observed: Option<CompactAddr>) -> Option<()> {
    if let Some(addr) = observed {
        let mut compact = heapless::Vec::<u8, { CompactAddr::MAX_LEN }>::new();
        addr.write_compact(&mut compact)?;
        writer.entry(Key::Ip, &compact);
    }
    Some(())
}

/// Writes the last keys of a message and its end; returns the length of the whole.
pub(super) fn finish(
    mut writer: Writer<'_>,
    transaction: &[u8],
    version: Option<[u8; 4]>,
    kind: &[u8],
) -> Option<usize> {
    writer.entry(Key::Transaction, non_empty(transaction)?);
    if let Some(version) = version {
        writer.entry(Key::V, &version);
    }
    writer.entry(Key::Y, kind).end();
    writer.finish().map(<[u8]>::len)
}

pub(super) fn non_empty(octets: &[u8]) -> Option<&[u8]> {
    (!octets.is_empty()).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{NodeId, Target};
    use crate::wire::{AnnouncedPort, Code, Method, Want};
    use core::num::NonZeroU16;
    use std::vec::Vec;

    const ASKER: NodeId = NodeId::new(*b"abcdefghij0123456789");
    const TARGET: Target = Target::new(*b"mnopqrstuvwxyz123456");

    /// BEP 5's own examples, in its order, then BEP 44's forms.
    const MESSAGES: [&[u8]; 15] = [
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        b"d1:ad2:id20:abcdefghij01234567893:seqi-4e6:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q3:get2:roi1e1:t4:wxyz1:v4:BP011:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567895:token4:abcd1:vd1:ai1e1:bleee1:q3:put1:t2:aa1:y1:qe",
        b"d1:ad3:casi3e2:id20:abcdefghij01234567891:k32:ABCDEFGHIJKLMNOPQRSTUVWXYZ0123454:salt6:foobar3:seqi4e3:sig64:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz0123455:token4:abcd1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe",
        b"d2:ip6:\x01\x02\x03\x04\x05\x061:rd2:id20:mnopqrstuvwxyz1234561:k32:ABCDEFGHIJKLMNOPQRSTUVWXYZ0123455:nodes26:abcdefghij0123456789axje.u6:nodes638:abcdefghij0123456789\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe13:seqi4e3:sig64:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz0123455:token4:abcd1:v12:Hello World!e1:t2:aa1:y1:re",
        b"d1:eli302e19:seq lower than ourse1:t2:aa1:y1:ee",
    ];

    fn rewrite(message: &Message<'_>, version: Option<[u8; 4]>, buf: &mut [u8]) -> Option<usize> {
        match message {
            Message::Query(query) => query.write(version, buf),
            Message::Reply(reply) => reply.write(version, buf),
            Message::Error(_) => None,
        }
    }

    #[test]
    fn what_is_parsed_is_written_as_it_was() {
        for datagram in MESSAGES {
            if cfg!(not(feature = "ipv6")) && datagram.windows(6).any(|window| window == b"nodes6") {
                continue;
            }
            let message = parse(datagram).unwrap();
            let version = datagram.windows(4).any(|window| window == b"BP01").then_some(*b"BP01");
            let mut buf = [0; 512];
            match message {
                Message::Error(_) => {}
                // The examples with half a node in them.
                _ if datagram.windows(9).any(|window| window == b"def456...") => {}
                _ => {
                    let len = rewrite(&message, version, &mut buf).unwrap();
                    assert_eq!(&buf[..len], datagram);
                    assert_eq!(rewrite(&message, version, &mut buf[..len - 1]), None);
                }
            }
        }
    }

    #[test]
    fn bep_5_queries() {
        let methods = [
            Method::Ping,
            Method::FindNode { target: TARGET, want: Want::UNSAID },
            Method::GetPeers { info_hash: TARGET, want: Want::UNSAID },
            Method::AnnouncePeer {
                info_hash: TARGET,
                port: AnnouncedPort::Implied { fallback: 6881 },
                token: b"aoeusnth",
            },
        ];
        for (datagram, method) in [1, 3, 5, 8].map(|at| MESSAGES[at]).into_iter().zip(methods) {
            let query = Query { transaction: b"aa", sender: ASKER, read_only: false, method };
            assert_eq!(parse(datagram), Ok(Message::Query(query)));
        }
        let explicit = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
        let Ok(Message::Query(Query { method: Method::AnnouncePeer { port, .. }, .. })) = parse(explicit) else {
            panic!()
        };
        assert_eq!(port, AnnouncedPort::Explicit(NonZeroU16::new(6881).unwrap()));
    }

    #[test]
    fn bep_5_answers() {
        let Ok(Message::Error(error)) = parse(MESSAGES[0]) else { panic!() };
        assert_eq!((error.transaction, error.code, error.known()), (&b"aa"[..], 201, Some(Code::Generic)));
        assert_eq!(error.message, b"A Generic Error Ocurred");

        assert_eq!(
            parse(MESSAGES[2]),
            Ok(Message::Reply(Reply::new(b"aa", NodeId::from_slice(TARGET.as_bytes()).unwrap())))
        );

        let Ok(Message::Reply(reply)) = parse(MESSAGES[6]) else { panic!() };
        assert_eq!((reply.sender, reply.token), (ASKER, Some(&b"aoeusnth"[..])));
        let peers = [CompactAddr::V4(*b"axje", 0x2e75), CompactAddr::V4(*b"idht", 0x6e6d)];
        assert_eq!(reply.values.unwrap().iter().collect::<Vec<_>>(), peers);

        let Ok(Message::Reply(reply)) = parse(MESSAGES[7]) else { panic!() };
        assert_eq!((reply.nodes.iter().count(), reply.values), (0, None));
    }

    #[test]
    fn without_a_transaction_id_nothing_is_answered() {
        for t in ["", "1:t0:", "1:ti1e", "1:tl1:ae", "1:tde"] {
            let text = std::format!("d1:ad2:id20:abcdefghij0123456789e1:q4:ping{t}1:y1:qe");
            assert_eq!(parse(text.as_bytes()), Err(ParseError::Drop), "{t}");
        }
    }

    #[test]
    fn without_a_known_kind_nothing_is_answered() {
        for y in ["", "1:y0:", "1:y1:x", "1:y2:qq", "1:yi1e", "1:yle"] {
            let text = std::format!("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa{y}e");
            assert_eq!(parse(text.as_bytes()), Err(ParseError::Drop), "{y}");
        }
    }

    #[test]
    fn a_transaction_id_of_any_length_is_read() {
        for len in [1, 2, 4, 8, 16, 17, 255, 1000] {
            let t = "x".repeat(len);
            let text = std::format!("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t{len}:{t}1:y1:qe");
            let Ok(Message::Query(query)) = parse(text.as_bytes()) else { panic!() };
            assert_eq!(query.transaction, t.as_bytes());
            let text = std::format!("d1:t{len}:{t}1:y1:qe");
            let Err(ParseError::Refuse { transaction, .. }) = parse(text.as_bytes()) else { panic!() };
            assert_eq!(transaction, t.as_bytes());
        }
    }

    #[test]
    fn unparsable_datagrams_are_dropped() {
        for bad in [
            &b""[..],
            b"d",
            b"de",
            b"le",
            b"4:ping",
            b"i1e",
            b"hello",
            b"d1:t2:aa1:y1:q",
            b"di1e1:x1:t2:aa1:y1:qe",
            b"d1:t2:aa1:y1:q1:ze",
            b"d1:t9999999999999999999999:aa1:y1:qe",
        ] {
            assert_eq!(parse(bad), Err(ParseError::Drop), "{bad:?}");
        }
        assert_eq!(parse(&b"l".repeat(65_507)), Err(ParseError::Drop));
        assert_eq!(parse(&b"d1:a".repeat(16_000)), Err(ParseError::Drop));
    }

    #[test]
    fn what_follows_the_message_is_ignored() {
        for datagram in MESSAGES {
            let longer = [datagram, b"d1:t2:bbe junk"].concat();
            assert_eq!(parse(&longer), parse(datagram));
        }
    }

    #[test]
    fn keys_may_stand_in_any_order_and_unknown_ones_are_ignored() {
        let text = b"d1:y1:q1:zd1:yi1ee1:t2:aa1:q4:ping0:le1:ad1:z1:z2:id20:abcdefghij01234567891:ai1eee";
        assert_eq!(parse(text), parse(MESSAGES[1]));
    }

    #[test]
    fn of_duplicate_keys_the_first_counts() {
        let text = b"d1:ad2:id20:abcdefghij01234567892:idi1ee1:q4:ping1:q3:put1:t2:aa1:t2:bb1:y1:q1:y1:re";
        assert_eq!(parse(text), parse(MESSAGES[1]));
    }

    #[test]
    fn optional_keys_of_a_wrong_type_are_ignored() {
        for extra in
            ["1:vi1e", "1:v0:", "1:v20:01234567890123456789", "2:ipi1e", "2:ip3:abc", "2:role", "2:roi0e", "2:ro1:1"]
        {
            let text = std::format!("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:q{extra}e");
            assert_eq!(parse(text.as_bytes()), parse(MESSAGES[1]), "{extra}");
            let text = std::format!("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:r{extra}e");
            assert_eq!(parse(text.as_bytes()), parse(MESSAGES[2]), "{extra}");
        }
    }

    /// Uses all that can be read of a datagram.
    fn exhaust(datagram: &[u8]) {
        let mut buf = [0; 2048];
        match parse(datagram) {
            Ok(message) => {
                if let Message::Reply(reply) = message {
                    reply.nodes.iter().for_each(drop);
                    reply.values.into_iter().flatten().for_each(drop);
                }
                if let Some(len) = rewrite(&message, None, &mut buf) {
                    assert_eq!(parse(&buf[..len]), Ok(message));
                }
            }
            Err(ParseError::Refuse { transaction, refusal }) => {
                assert!(!transaction.is_empty());
                assert!(refusal.write(transaction, None, None, &mut buf).is_some());
            }
            Err(ParseError::Drop) => {}
        }
    }

    #[test]
    fn every_truncation_is_dropped() {
        for datagram in MESSAGES {
            for len in 0..datagram.len() {
                assert_eq!(parse(&datagram[..len]), Err(ParseError::Drop));
            }
        }
    }

    #[test]
    fn no_change_of_one_octet_panics() {
        for datagram in MESSAGES {
            let mut changed = datagram.to_vec();
            for at in 0..changed.len() {
                for octet in 0..=255 {
                    changed[at] = octet;
                    exhaust(&changed);
                }
                changed[at] = datagram[at];
                let mut shorter = changed.clone();
                shorter.remove(at);
                exhaust(&shorter);
            }
        }
    }

    quickcheck::quickcheck! {
        fn no_octets_panic(octets: Vec<u8>) -> bool {
            exhaust(&octets);
            exhaust(&[b"d1:t2:aa1:y1:q", &octets[..], b"e"].concat());
            exhaust(&[b"d1:t2:aa1:y1:q1:q3:put1:ad2:id20:abcdefghij0123456789", &octets[..], b"ee"].concat());
            exhaust(&[b"d1:t2:aa1:y1:r1:rd2:id20:abcdefghij0123456789", &octets[..], b"ee"].concat());
            true
        }

        fn no_change_of_several_octets_panics(which: usize, changes: Vec<(u16, u8)>) -> bool {
            let mut changed = MESSAGES[which % MESSAGES.len()].to_vec();
            for (at, octet) in changes {
                let at = usize::from(at) % changed.len();
                changed[at] = octet;
                exhaust(&changed);
            }
            true
        }

        fn no_splice_of_two_messages_panics(a: usize, b: usize, cut_a: usize, cut_b: usize) -> bool {
            let (a, b) = (MESSAGES[a % MESSAGES.len()], MESSAGES[b % MESSAGES.len()]);
            exhaust(&[&a[..cut_a % a.len()], &b[cut_b % b.len()..]].concat());
            true
        }
    }
}
