//! Answers (BEP 5, BEP 44) and refusals by others.

use super::bencode::{Value, Writer};
use super::keys::{Fields, Key};
use super::message::{finish, non_empty, write_observed};
use super::nodes::{Nodes, Values};
use super::refusal::Code;
use crate::addr::{CompactAddr, Family, PerFamily};
use crate::id::NodeId;

/// An answer to any query: what it means depends on the question, which only the asker knows. After parsing, a field of
/// a wrong type or length is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The transaction id of the query; not empty.
    pub transaction: &'a [u8],
    /// The id of the node that answers.
    pub sender: NodeId,
    /// What a later write must bring along; not empty.
    pub token: Option<&'a [u8]>,
    /// Closer nodes: `nodes` and `nodes6`.
    pub nodes: Nodes<'a>,
    /// Peers.
    pub values: Option<Values<'a>>,
    /// `v`: the item's value as it stood on the wire, one bencoded value of any length. Not known to be canonical.
    pub value: Option<&'a [u8]>,
    /// `k`: the public key of a mutable item.
    pub key: Option<&'a [u8; 32]>,
    /// The sequence number of a mutable item. It may be negative when it was read.
    pub seq: Option<i64>,
    /// `sig`: the signature of a mutable item, not verified.
    pub signature: Option<&'a [u8; 64]>,
    /// `ip`: the address that the answering node saw the query come from (BEP 42).
    pub observed: Option<CompactAddr>,
}

/// The keys of an answer that are looked at.
const KEYS: [Key; 9] = [Key::Id, Key::K, Key::Nodes, Key::Nodes6, Key::Seq, Key::Sig, Key::Token, Key::V, Key::Values];

impl<'a> Reply<'a> {
    /// The answer that says nothing but who answers: enough for `ping`, `announce_peer` and `put`.
    #[must_use]
    pub const fn new(transaction: &'a [u8], sender: NodeId) -> Self {
        Self {
            transaction,
            sender,
            token: None,
            nodes: Nodes::ABSENT,
            values: None,
            value: None,
            key: None,
            seq: None,
            signature: None,
            observed: None,
        }
    }

    /// Writes the answer and returns its length. `version` is the name of the program (BEP 5, "v").
    ///
    /// `None` if it does not fit into `buf`, or if the transaction id or the token is empty. What is in `value` is
    /// written as it is.
    #[must_use]
    pub fn write(&self, version: Option<[u8; 4]>, buf: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(buf);
        writer.dict();
        write_observed(&mut writer, self.observed)?;
        writer.key(Key::Reply).dict().entry(Key::Id, self.sender.as_bytes());
        if let Some(key) = self.key {
            writer.entry(Key::K, key);
        }
        for family in Family::ALL {
            if let Some(nodes) = self.nodes.octets(family) {
                writer.entry(*PerFamily::new(Key::Nodes, Key::Nodes6).get(family), nodes);
            }
        }
        if let Some(seq) = self.seq {
            writer.number(Key::Seq, seq);
        }
        if let Some(signature) = self.signature {
            writer.entry(Key::Sig, signature);
        }
        if let Some(token) = self.token {
            writer.entry(Key::Token, non_empty(token)?);
        }
        if let Some(value) = self.value {
            writer.key(Key::V).raw(value);
        }
        if let Some(values) = &self.values {
            writer.key(Key::Values).list().raw(values.items()).end();
        }
        writer.end();
        finish(writer, self.transaction, version, b"r")
    }

    /// `message` has the keys of the top level.
    pub(super) fn read(transaction: &'a [u8], message: &Fields<'a>) -> Option<Self> {
        let mut fields = Fields::EMPTY;
        fields.read(message.get(Key::Reply)?.entries()?, &KEYS).ok()?;
        Some(Self {
            transaction,
            sender: NodeId::from_slice(fields.bytes(Key::Id)?)?,
            // Nobody could use an empty token: BEP 44 and BEP 5 both have it refused.
            token: fields.bytes(Key::Token).and_then(non_empty),
            nodes: Nodes::new(fields.bytes(Key::Nodes), fields.bytes(Key::Nodes6)),
            values: fields.get(Key::Values).and_then(Values::new),
            value: fields.get(Key::V).map(Value::raw),
            key: fields.array(Key::K),
            seq: fields.integer(Key::Seq),
            signature: fields.array(Key::Sig),
            observed: message.bytes(Key::Ip).and_then(CompactAddr::from_compact),
        })
    }
}

/// A refusal by another node (BEP 5, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteError<'a> {
    /// The transaction id of the query; not empty.
    pub transaction: &'a [u8],
    /// The number, known or not: see [`Code::from_number`].
    pub code: i64,
    /// The text as it was sent, in no certain encoding; empty if there is none.
    pub message: &'a [u8],
}

impl<'a> RemoteError<'a> {
    /// The code, if it is a known one.
    #[must_use]
    pub const fn known(&self) -> Option<Code> {
        Code::from_number(self.code)
    }

    /// `message` has the keys of the top level.
    pub(super) fn read(transaction: &'a [u8], message: &Fields<'a>) -> Option<Self> {
        let mut items = message.get(Key::Error)?.items()?;
        Some(Self {
            transaction,
            code: items.next()?.ok()?.integer()?,
            message: items.next().and_then(Result::ok).and_then(Value::bytes).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bencode::is_canonical;
    use crate::wire::{Message, NodeList, ParseError, ValueList, parse};
    use quickcheck::{Arbitrary, Gen, quickcheck};
    use std::{format, string::String, vec::Vec};

    const SENDER: NodeId = NodeId::new(*b"mnopqrstuvwxyz123456");

    fn reply(content: &str) -> String {
        format!("d1:rd2:id20:mnopqrstuvwxyz123456{content}e1:t2:aa1:y1:re")
    }

    fn read(datagram: &[u8]) -> Reply<'_> {
        match parse(datagram) {
            Ok(Message::Reply(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_without_a_sender_id_of_20_octets_is_dropped() {
        for r in [
            "",
            "1:rde",
            "1:rle",
            "1:ri1e",
            "1:r2:de",
            "1:rd2:id19:mnopqrstuvwxyz12345e",
            "1:rd2:idi1ee",
            "1:rdi1ei2ee",
        ] {
            let text = format!("d{r}1:t2:aa1:y1:re");
            assert_eq!(parse(text.as_bytes()), Err(ParseError::Drop), "{r}");
        }
    }

    #[test]
    fn fields_of_a_wrong_type_or_length_are_absent() {
        for content in [
            "1:ki1e",
            "1:k31:ABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
            "5:nodesle",
            "6:nodes6i1e",
            "3:seq1:1",
            "3:seqi01e",
            "3:seqi9223372036854775808e",
            "3:sig64:",
            "3:sigle",
            "5:tokeni1e",
            "5:token0:",
            "6:values6:axje.u",
            "6:valuesde",
        ] {
            // A length that swallows what follows is not a wrong length but no message.
            if content == "3:sig64:" {
                assert_eq!(parse(reply(content).as_bytes()), Err(ParseError::Drop));
            } else {
                assert_eq!(read(reply(content).as_bytes()), Reply::new(b"aa", SENDER), "{content}");
            }
        }
    }

    #[test]
    fn nodes_with_an_incomplete_last_entry_are_used_as_far_as_they_go() {
        let text = reply("5:nodes30:abcdefghij0123456789axje.u____");
        let nodes: Vec<_> = read(text.as_bytes()).nodes.iter().collect();
        assert_eq!(nodes, [(NodeId::new(*b"abcdefghij0123456789"), CompactAddr::V4(*b"axje", 0x2e75))]);
    }

    #[test]
    fn a_value_is_handed_on_as_it_stands() {
        for v in ["0:", "i03e", "d1:b0:1:a0:e", "li1ee"] {
            assert_eq!(read(reply(&format!("1:v{v}")).as_bytes()).value, Some(v.as_bytes()));
        }
    }

    #[test]
    fn the_observed_address_has_6_or_18_octets() {
        let text = b"d2:ip6:\x01\x02\x03\x04\x05\x061:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
        assert_eq!(read(text).observed, Some(CompactAddr::V4([1, 2, 3, 4], 0x0506)));
        let text = b"d2:ip18:0123456789abcdef\x05\x061:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
        #[cfg(feature = "ipv6")]
        assert_eq!(read(text).observed, Some(CompactAddr::V6(*b"0123456789abcdef", 0x0506)));
        #[cfg(not(feature = "ipv6"))]
        assert_eq!(read(text).observed, None);
        let text = b"d2:ip4:\x01\x02\x03\x041:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
        assert_eq!(read(text).observed, None);
    }

    #[test]
    fn an_error_has_a_number_and_perhaps_a_text() {
        for (e, code, message) in [
            ("li203e3:bade", 203, "bad"),
            ("li203ee", 203, ""),
            ("li-7ei5ee", -7, ""),
            ("li301e3:cas5:extrae", 301, "cas"),
        ] {
            let text = format!("d1:e{e}1:t2:aa1:y1:ee");
            let error = RemoteError { transaction: b"aa", code, message: message.as_bytes() };
            assert_eq!(parse(text.as_bytes()), Ok(Message::Error(error)));
        }
    }

    #[test]
    fn an_error_without_a_number_is_dropped() {
        for e in ["", "1:ele", "1:el3:bade", "1:ei203e", "1:e3:bad", "1:ede", "1:eli01ee"] {
            let text = format!("d{e}1:t2:aa1:y1:ee");
            assert_eq!(parse(text.as_bytes()), Err(ParseError::Drop), "{e}");
        }
    }

    #[test]
    fn an_empty_transaction_id_or_token_is_not_written() {
        let mut buf = [0; 128];
        assert_eq!(Reply::new(b"", SENDER).write(None, &mut buf), None);
        assert_eq!(Reply { token: Some(b""), ..Reply::new(b"a", SENDER) }.write(None, &mut buf), None);
    }

    fn addr(g: &mut Gen, family: Family) -> CompactAddr {
        match family {
            Family::V4 => CompactAddr::V4(core::array::from_fn(|_| u8::arbitrary(g)), u16::arbitrary(g)),
            #[cfg(feature = "ipv6")]
            Family::V6 => CompactAddr::V6(core::array::from_fn(|_| u8::arbitrary(g)), u16::arbitrary(g)),
        }
    }

    /// What a reply borrows.
    #[derive(Debug, Clone)]
    struct Parts {
        transaction: Vec<u8>,
        token: Vec<u8>,
        value: Vec<u8>,
        key: [u8; 32],
        signature: [u8; 64],
        id: [u8; 20],
        seq: i64,
        observed: CompactAddr,
        lists: Vec<NodeList>,
        values: ValueList<64>,
        flags: [bool; 9],
    }

    impl Arbitrary for Parts {
        fn arbitrary(g: &mut Gen) -> Self {
            let families: Vec<_> = Family::ALL.into_iter().collect();
            let family = |g: &mut Gen| *g.choose(&families).unwrap();
            let mut values = ValueList::new();
            for _ in 0..u8::arbitrary(g) % 5 {
                let family = family(g);
                let _ = values.push(addr(g, family));
            }
            let make_list = |g: &mut Gen, family| {
                let mut list = NodeList::new(family);
                for _ in 0..u8::arbitrary(g) % 10 {
                    let id = NodeId::new(core::array::from_fn(|_| u8::arbitrary(g)));
                    let _ = list.push(&id, addr(g, family));
                }
                list
            };
            let lists = families.iter().map(|family| make_list(g, *family)).collect();
            let some = |g: &mut Gen| {
                let mut octets = Vec::<u8>::arbitrary(g);
                octets.push(u8::arbitrary(g));
                octets
            };
            let observed = family(g);
            let content = Vec::<u8>::arbitrary(g);
            Self {
                transaction: some(g),
                token: some(g),
                value: [format!("d0:{}:", content.len()).as_bytes(), &content, b"e"].concat(),
                key: core::array::from_fn(|_| u8::arbitrary(g)),
                signature: core::array::from_fn(|_| u8::arbitrary(g)),
                id: core::array::from_fn(|_| u8::arbitrary(g)),
                seq: i64::arbitrary(g),
                observed: addr(g, observed),
                lists,
                values,
                flags: core::array::from_fn(|_| bool::arbitrary(g)),
            }
        }
    }

    impl Parts {
        fn reply(&self) -> Reply<'_> {
            let [token, nodes, nodes6, values, value, key, seq, signature, observed] = self.flags;
            let wanted = self.lists.iter().zip([nodes, nodes6]).filter(|(_, wanted)| *wanted);
            let lists = wanted.fold(Nodes::ABSENT, |lists, (list, _)| lists.with(list));
            Reply {
                transaction: &self.transaction,
                sender: NodeId::new(self.id),
                token: token.then_some(&*self.token),
                nodes: lists,
                values: values.then(|| self.values.values()),
                value: value.then_some(&*self.value),
                key: key.then_some(&self.key),
                seq: seq.then_some(self.seq),
                signature: signature.then_some(&self.signature),
                observed: observed.then_some(self.observed),
            }
        }
    }

    quickcheck! {
        fn replies_round_trip(parts: Parts) -> bool {
            let reply = parts.reply();
            let version = parts.flags[0].then_some(*b"BP01");
            let mut buf = [0; 4096];
            let len = reply.write(version, &mut buf).unwrap();
            let written = &buf[..len];
            let mut short = [0; 4096];
            is_canonical(written)
                && parse(written) == Ok(Message::Reply(reply))
                && reply.write(version, &mut short[..len - 1]).is_none()
        }

        fn refusals_are_read_as_errors(transaction: Vec<u8>, which: usize) -> bool {
            let codes = [Code::Generic, Code::Protocol, Code::UnknownMethod, Code::CasMismatch, Code::SequenceTooLow];
            let code = codes[which % codes.len()];
            let mut buf = [0; 1024];
            let refusal = super::super::Refusal::new(code, "why");
            let Some(len) = refusal.write(&transaction, Some(CompactAddr::UNSPECIFIED), Some(*b"BP01"), &mut buf) else {
                return transaction.is_empty();
            };
            let error = RemoteError { transaction: &transaction, code: code.number().into(), message: b"why" };
            is_canonical(&buf[..len]) && error.known() == Some(code) && parse(&buf[..len]) == Ok(Message::Error(error))
        }
    }
}
