use super::*;
use crate::wire::{Message, ParseError, parse};
use quickcheck::{Arbitrary, Gen, quickcheck};
use std::{format, string::String, vec::Vec};

const ASKER: NodeId = NodeId::new(*b"abcdefghij0123456789");
const TARGET: Target = Target::new(*b"mnopqrstuvwxyz123456");
const ID: &str = "2:id20:abcdefghij0123456789";
const HASH: &str = "9:info_hash20:mnopqrstuvwxyz123456";
const TOKEN: &str = "5:token4:abcd";
const K: &str = "1:k32:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const SIG: &str = "3:sig64:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz012345";

fn query(method: &str, arguments: &str) -> String {
    format!("d1:ad{ID}{arguments}e1:q{}:{method}1:t2:aa1:y1:qe", method.len())
}

fn ok(datagram: &str) -> Query<'_> {
    match parse(datagram.as_bytes()) {
        Ok(Message::Query(query)) => query,
        other => panic!("{datagram}: {other:?}"),
    }
}

fn code(datagram: &str) -> Code {
    match parse(datagram.as_bytes()) {
        Err(ParseError::Refuse { transaction: b"aa", refusal }) => refusal.code,
        other => panic!("{datagram}: {other:?}"),
    }
}

fn all_refused(method: &str, arguments: &[String]) {
    for arguments in arguments {
        assert_eq!(code(&query(method, arguments)), Code::Protocol, "{arguments}");
    }
}

#[test]
fn a_query_without_a_method_is_refused() {
    for q in ["", "1:qi1e", "1:qle"] {
        assert_eq!(code(&format!("d1:ad{ID}e{q}1:t2:aa1:y1:qe")), Code::Protocol);
    }
}

#[test]
fn a_query_without_arguments_is_refused() {
    for a in ["", "1:ai1e", "1:ale", "1:a2:de", "1:adi1ei2ee", "1:ad1:ae"] {
        for q in ["4:ping", "3:get", "3:foo"] {
            assert_eq!(code(&format!("d{a}1:q{q}1:t2:aa1:y1:qe")), Code::Protocol);
        }
    }
}

#[test]
fn a_sender_id_that_is_missing_or_not_20_octets_is_refused() {
    for id in ["", "2:id0:", "2:id19:abcdefghij012345678", "2:id21:abcdefghij0123456789x", "2:idi1e", "2:idle"] {
        for q in ["4:ping", "3:get", "3:foo"] {
            assert_eq!(code(&format!("d1:ad{id}e1:q{q}1:t2:aa1:y1:qe")), Code::Protocol, "{id}");
        }
    }
}

#[test]
fn a_read_only_asker_says_so_with_an_integer() {
    for (ro, read_only) in
        [("i1e", true), ("i2e", true), ("i0e", false), ("1:1", false), ("le", false), ("i01e", false)]
    {
        let text = format!("d1:ad{ID}e1:q4:ping2:ro{ro}1:t2:aa1:y1:qe");
        assert_eq!(ok(&text).read_only, read_only, "{ro}");
    }
}

#[test]
fn an_unknown_method_with_a_target_is_find_node() {
    for target in ["6:target20:mnopqrstuvwxyz123456", HASH, &format!("6:targeti1e{HASH}")] {
        let text = query("vote", &format!("{target}4:wantl2:n6e"));
        assert_eq!(ok(&text).method, Method::FindNode { target: TARGET, want: Want { n4: false, n6: true } });
    }
}

#[test]
fn an_unknown_method_without_a_target_is_unknown() {
    for arguments in ["", "6:target19:mnopqrstuvwxyz12345", "9:info_hashi1e"] {
        for method in ["vote", "", "PING", "pings"] {
            assert_eq!(code(&query(method, arguments)), Code::UnknownMethod);
        }
    }
}

#[test]
fn a_target_that_is_missing_or_not_20_octets_is_refused() {
    for (key, methods) in [("6:target", &["find_node", "get"][..]), ("9:info_hash", &["get_peers", "announce_peer"])] {
        for value in ["0:", "19:mnopqrstuvwxyz12345", "21:mnopqrstuvwxyz1234567", "i1e", "le", "de"] {
            for method in methods {
                let rest = "4:porti1e5:token1:x";
                assert_eq!(code(&query(method, &format!("{key}{value}{rest}"))), Code::Protocol);
                assert_eq!(code(&query(method, rest)), Code::Protocol);
            }
        }
    }
}

#[test]
fn want_is_a_list_of_families() {
    for (want, n4, n6) in [
        ("", false, false),
        ("4:wantle", false, false),
        ("4:wantl2:n4e", true, false),
        ("4:wantl2:n6e", false, true),
        ("4:wantl2:n62:n4e", true, true),
        ("4:wantl2:n52:n6i4el2:n4ee", false, true),
        ("4:want2:n4", false, false),
        ("4:wanti4e", false, false),
        ("4:wantd2:n40:e", false, false),
    ] {
        for (method, key) in [("get", "6:target"), ("find_node", "6:target"), ("get_peers", "9:info_hash")] {
            let text = query(method, &format!("{key}20:mnopqrstuvwxyz123456{want}"));
            let (Method::Get { want: read, .. }
            | Method::FindNode { want: read, .. }
            | Method::GetPeers { want: read, .. }) = ok(&text).method
            else {
                panic!()
            };
            assert_eq!(read, Want { n4, n6 }, "{want}");
        }
    }
}

#[cfg(feature = "ipv6")]
#[test]
fn want_unsaid_is_the_family_of_the_transport() {
    let (n4, n6) = (Want { n4: true, n6: false }, Want { n4: false, n6: true });
    for transport in [Family::V4, Family::V6] {
        for family in [Family::V4, Family::V6] {
            assert_eq!(Want::UNSAID.includes(family, transport), family == transport);
            assert_eq!(n4.includes(family, transport), family == Family::V4);
            assert_eq!(n6.includes(family, transport), family == Family::V6);
            assert!(Want { n4: true, n6: true }.includes(family, transport));
        }
    }
}

#[test]
fn get_takes_a_seq_of_64_bits() {
    for (argument, seq) in [
        ("", None),
        ("3:seqi0e", Some(0)),
        ("3:seqi-7e", Some(-7)),
        ("3:seqi9223372036854775807e", Some(i64::MAX)),
        ("3:seqi-9223372036854775808e", Some(i64::MIN)),
    ] {
        let text = query("get", &format!("{argument}6:target20:mnopqrstuvwxyz123456"));
        assert_eq!(ok(&text).method, Method::Get { target: TARGET, seq, want: Want::UNSAID });
    }
}

#[test]
fn get_refuses_a_seq_that_is_not_an_integer_of_64_bits() {
    for seq in ["1:1", "le", "de", "ie", "i03e", "i-0e", "i9223372036854775808e", "i-9223372036854775809e"] {
        assert_eq!(code(&query("get", &format!("3:seq{seq}6:target20:mnopqrstuvwxyz123456"))), Code::Protocol, "{seq}");
    }
}

#[test]
fn an_announced_port_is_explicit_or_implied() {
    let explicit = |port| AnnouncedPort::Explicit(NonZeroU16::new(port).unwrap());
    let implied = |fallback| AnnouncedPort::Implied { fallback };
    for (arguments, expected) in [
        ("4:porti1e", explicit(1)),
        ("4:porti65535e", explicit(65535)),
        ("12:implied_porti0e4:porti7e", explicit(7)),
        ("12:implied_port1:14:porti7e", explicit(7)),
        ("12:implied_porti1e4:porti7e", implied(7)),
        ("12:implied_porti-1e4:porti0e", implied(0)),
        ("12:implied_porti1e4:port1:7", implied(0)),
        ("12:implied_porti2e", implied(0)),
    ] {
        let text = query("announce_peer", &format!("{HASH}{TOKEN}{arguments}"));
        let expected = Method::AnnouncePeer { info_hash: TARGET, port: expected, token: b"abcd" };
        assert_eq!(ok(&text).method, expected, "{arguments}");
    }
}

#[test]
fn an_announced_port_that_is_none_is_refused() {
    for port in ["", "4:porti0e", "4:porti65536e", "4:porti-1e", "4:port1:7", "4:portle", "12:implied_porti0e"] {
        assert_eq!(code(&query("announce_peer", &format!("{HASH}{TOKEN}{port}"))), Code::Protocol, "{port}");
    }
}

#[test]
fn a_token_that_is_missing_empty_or_not_a_string_is_refused() {
    for token in ["", "5:tokeni1e", "5:tokenle", "5:tokende", "5:token0:"] {
        assert_eq!(code(&query("put", &format!("{token}1:v1:x"))), Code::Protocol, "{token}");
        assert_eq!(code(&query("announce_peer", &format!("{HASH}4:porti1e{token}"))), Code::Protocol, "{token}");
    }
}

#[test]
fn put_refuses_a_missing_value() {
    all_refused("put", &[TOKEN.into(), format!("{TOKEN}{K}3:seqi1e{SIG}")]);
}

#[test]
fn put_takes_a_value_of_any_type_and_size_as_it_is() {
    let big = format!("2000:{}", "x".repeat(2000));
    let deep = format!("{}{}", "l".repeat(450), "e".repeat(450));
    for v in ["0:", "i0e", "i-1e", "le", "de", "12:Hello World!", "i123456789012345678901234567890e", &big, &deep] {
        let text = query("put", &format!("{TOKEN}1:v{v}"));
        let put = Put { token: b"abcd", value: v.as_bytes(), mutable: None, target: None };
        assert_eq!(ok(&text).method, Method::Put(put));
    }
}

#[test]
fn put_refuses_a_value_that_is_not_canonical() {
    for v in [
        "d1:b0:1:a0:e",
        "d1:a0:1:a0:e",
        "i03e",
        "i-0e",
        "i-03e",
        "03:abc",
        "i e",
        "i+1e",
        "ie",
        "i1ei2e",
        "1:xi2e",
        "li03ee",
        "di1ei2ee",
    ] {
        all_refused("put", &[format!("{TOKEN}1:v{v}"), format!("{K}3:seqi1e{SIG}{TOKEN}1:v{v}")]);
    }
    let deep = format!("{}{}", "l".repeat(600), "e".repeat(600));
    all_refused("put", &[format!("{TOKEN}1:v{deep}")]);
    // Here the value swallows what follows, and the transaction id with it.
    assert_eq!(parse(query("put", &format!("{TOKEN}1:v99:")).as_bytes()), Err(ParseError::Drop));
}

#[test]
fn a_value_that_is_not_canonical_is_found_last() {
    let message = |arguments: String| match parse(query("put", &arguments).as_bytes()) {
        Err(ParseError::Refuse { refusal, .. }) => refusal.message,
        other => panic!("{other:?}"),
    };
    assert_eq!(message(format!("{TOKEN}1:vi03e")), "v not canonical");
    assert_eq!(message(format!("{TOKEN}1:vi03e{SIG}")), "sig, seq or salt without k");
    assert_eq!(message("1:vi03e".into()), "token missing, empty or not a string");
}

#[test]
fn put_ignores_a_superfluous_target() {
    for target in ["6:target20:mnopqrstuvwxyz123456", "6:targeti1e", "6:target0:"] {
        let text = query("put", &format!("{TOKEN}{target}1:v1:x"));
        let put = Put { token: b"abcd", value: b"1:x", mutable: None, target: None };
        assert_eq!(ok(&text).method, Method::Put(put));
    }
}

#[test]
fn put_of_a_mutable_item() {
    let text = query("put", &format!("3:casi3e{K}4:salt6:foobar3:seqi4e{SIG}{TOKEN}1:v1:x"));
    let Method::Put(Put { mutable: Some(mutable), .. }) = ok(&text).method else { panic!() };
    assert_eq!(mutable.key, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
    assert_eq!(mutable.signature, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz012345");
    assert_eq!((mutable.salt, mutable.seq, mutable.cas), (&b"foobar"[..], 4, Some(3)));
}

#[test]
fn put_refuses_a_key_or_signature_of_another_length_or_type() {
    let text = "x".repeat(99);
    for len in [0, 31, 33, 64] {
        all_refused("put", &[format!("1:k{len}:{}3:seqi1e{SIG}{TOKEN}1:v1:x", &text[..len])]);
    }
    for len in [0, 32, 63, 65] {
        all_refused("put", &[format!("{K}3:seqi1e3:sig{len}:{}{TOKEN}1:v1:x", &text[..len])]);
    }
    all_refused("put", &[format!("1:ki1e3:seqi1e{SIG}{TOKEN}1:v1:x"), format!("{K}3:seqi1e3:sigi1e{TOKEN}1:v1:x")]);
}

#[test]
fn put_refuses_a_key_without_seq_or_signature() {
    all_refused(
        "put",
        &[
            format!("{K}{TOKEN}1:v1:x"),
            format!("{K}3:seqi1e{TOKEN}1:v1:x"),
            format!("{K}{SIG}{TOKEN}1:v1:x"),
            format!("{K}4:salt1:x3:casi1e{TOKEN}1:v1:x"),
        ],
    );
}

#[test]
fn put_refuses_signature_seq_or_salt_without_a_key() {
    for argument in [SIG, "3:seqi1e", "3:seq1:x", "4:salt1:x", "4:salti1e", "3:sig0:"] {
        all_refused("put", &[format!("{argument}{TOKEN}1:v1:x")]);
    }
}

#[test]
fn put_ignores_cas_without_a_key() {
    for argument in ["3:casi1e", "3:cas1:x", "4:salt0:"] {
        let text = query("put", &format!("{argument}{TOKEN}1:v1:x"));
        let put = Put { token: b"abcd", value: b"1:x", mutable: None, target: None };
        assert_eq!(ok(&text).method, Method::Put(put));
    }
}

#[test]
fn put_refuses_a_cas_that_is_not_an_integer_of_64_bits() {
    for cas in ["1:1", "le", "i01e", "i9223372036854775808e"] {
        all_refused("put", &[format!("3:cas{cas}{K}3:seqi1e{SIG}{TOKEN}1:v1:x")]);
    }
    let text = query("put", &format!("3:casi-1e{K}3:seqi1e{SIG}{TOKEN}1:v1:x"));
    assert!(matches!(ok(&text).method, Method::Put(Put { mutable: Some(PutMutable { cas: Some(-1), .. }), .. })));
}

#[test]
fn put_takes_a_seq_from_0_to_the_largest_of_64_bits() {
    for seq in [0, 1, i64::MAX] {
        let text = query("put", &format!("{K}3:seqi{seq}e{SIG}{TOKEN}1:v1:x"));
        let Method::Put(Put { mutable: Some(mutable), .. }) = ok(&text).method else { panic!() };
        assert_eq!(mutable.seq, seq);
    }
    for seq in ["i-1e", "i9223372036854775808e", "i-9223372036854775808e", "i-0e", "i01e", "1:1", "le"] {
        all_refused("put", &[format!("{K}3:seq{seq}{SIG}{TOKEN}1:v1:x")]);
    }
}

#[test]
fn an_empty_salt_is_no_salt_and_a_long_one_is_handed_on() {
    for (salt, len) in [("", 0), ("4:salt0:", 0), (&*format!("4:salt65:{}", "x".repeat(65)), 65)] {
        let text = query("put", &format!("{K}{salt}3:seqi1e{SIG}{TOKEN}1:v1:x"));
        let Method::Put(Put { mutable: Some(mutable), .. }) = ok(&text).method else { panic!() };
        assert_eq!(mutable.salt.len(), len);
    }
    all_refused("put", &[format!("{K}4:salti1e3:seqi1e{SIG}{TOKEN}1:v1:x")]);
}

#[test]
fn the_target_of_a_put_is_written_where_it_is_given() {
    let put = Put { token: b"abcd", value: b"1:x", mutable: None, target: Some(TARGET) };
    let query = Query { transaction: b"aa", sender: ASKER, read_only: true, method: Method::Put(put) };
    let mut buf = [0; 256];
    let len = query.write(Some(*b"BP01"), &mut buf).unwrap();
    let expected = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234565:token4:abcd1:v1:xe1:q3:put2:roi1e1:t2:aa1:v4:BP011:y1:qe";
    assert_eq!(&buf[..len], expected);
}

#[test]
fn what_no_node_would_take_is_not_written() {
    let (key, signature) = ([0; 32], [0; 64]);
    let mutable = PutMutable { key: &key, salt: b"", seq: -1, signature: &signature, cas: None };
    let put = |token, mutable| Method::Put(Put { token, value: b"1:x", mutable, target: None });
    let announce = Method::AnnouncePeer { info_hash: TARGET, port: AnnouncedPort::Implied { fallback: 0 }, token: b"" };
    let mut buf = [0; 512];
    for (transaction, method) in
        [(&b""[..], Method::Ping), (b"aa", announce), (b"aa", put(b"", None)), (b"aa", put(b"x", Some(mutable)))]
    {
        assert_eq!(Query { transaction, sender: ASKER, read_only: false, method }.write(None, &mut buf), None);
    }
}

/// What a query borrows.
#[derive(Debug, Clone)]
struct Parts {
    transaction: Vec<u8>,
    token: Vec<u8>,
    salt: Vec<u8>,
    value: Vec<u8>,
    key: [u8; 32],
    signature: [u8; 64],
    id: [u8; 20],
    numbers: [i64; 2],
    port: u16,
    flags: [bool; 5],
    method: u8,
}

impl Arbitrary for Parts {
    fn arbitrary(g: &mut Gen) -> Self {
        let some = |g: &mut Gen| {
            let mut octets = Vec::<u8>::arbitrary(g);
            octets.push(u8::arbitrary(g));
            octets
        };
        let content = Vec::<u8>::arbitrary(g);
        Self {
            transaction: some(g),
            token: some(g),
            salt: Vec::arbitrary(g),
            value: [format!("l{}:", content.len()).as_bytes(), &content, b"e"].concat(),
            key: core::array::from_fn(|_| u8::arbitrary(g)),
            signature: core::array::from_fn(|_| u8::arbitrary(g)),
            id: core::array::from_fn(|_| u8::arbitrary(g)),
            numbers: core::array::from_fn(|_| i64::arbitrary(g)),
            port: u16::arbitrary(g),
            flags: core::array::from_fn(|_| bool::arbitrary(g)),
            method: u8::arbitrary(g) % 6,
        }
    }
}

impl Parts {
    fn query(&self) -> Query<'_> {
        let [read_only, n4, n6, a, b] = self.flags;
        let [seq, cas] = self.numbers;
        let (target, want) = (Target::new(self.id), Want { n4, n6 });
        let port = match NonZeroU16::new(self.port) {
            Some(port) if a => AnnouncedPort::Explicit(port),
            _ => AnnouncedPort::Implied { fallback: self.port },
        };
        let mutable = PutMutable {
            key: &self.key,
            salt: &self.salt,
            seq: seq & i64::MAX,
            signature: &self.signature,
            cas: b.then_some(cas),
        };
        let method = match self.method {
            0 => Method::Ping,
            1 => Method::FindNode { target, want },
            2 => Method::GetPeers { info_hash: target, want },
            3 => Method::AnnouncePeer { info_hash: target, port, token: &self.token },
            4 => Method::Get { target, seq: a.then_some(seq), want },
            _ => {
                Method::Put(Put { token: &self.token, value: &self.value, mutable: a.then_some(mutable), target: None })
            }
        };
        Query { transaction: &self.transaction, sender: NodeId::new(self.id), read_only, method }
    }
}

quickcheck! {
    fn queries_round_trip(parts: Parts) -> bool {
        let query = parts.query();
        let version = parts.flags[0].then_some(*b"BP01");
        let mut buf = [0; 4096];
        let len = query.write(version, &mut buf).unwrap();
        let written = &buf[..len];
        let mut short = [0; 4096];
        is_canonical(written)
            && parse(written) == Ok(Message::Query(query))
            && query.write(version, &mut short[..len - 1]).is_none()
    }
}
