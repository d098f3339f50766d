//! What is stored, against a simple model.

use super::*;

/// A version of a mutable item, as the model keeps it.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    arguments: Value,
    seq: i64,
    value: usize,
    expires: Instant,
}

#[derive(Debug, Default)]
struct Model {
    immutable: BTreeMap<Id, (usize, Instant)>,
    mutable: BTreeMap<Id, Version>,
}

const VALUES: [&[u8]; 3] = [b"1:a", b"d1:ai1ee", b"li-5ee"];
const SALTS: [&[u8]; 2] = [b"", b"salt"];
const LIFE: Duration = Duration::from_secs(2 * 60 * 60);

impl Model {
    fn expire(&mut self, now: Instant) {
        self.immutable.retain(|_, (_, expires)| *expires > now);
        self.mutable.retain(|_, version| version.expires > now);
    }

    fn put(
        &mut self,
        now: Instant,
        (arguments, good): (&Value, bool),
        (seq, value, cas): (i64, usize, Option<i64>),
    ) -> Result<(), i64> {
        let expires = now + LIFE;
        let target = target_of(arguments);
        if let Some(stored) = self.mutable.get_mut(&target) {
            if cas.is_some_and(|cas| cas != stored.seq) {
                return Err(301);
            }
            if seq < stored.seq || (seq == stored.seq && value != stored.value) {
                return Err(302);
            }
            if !good {
                return Err(206);
            }
            if seq == stored.seq {
                stored.expires = expires;
                return Ok(());
            }
        }
        if !good {
            return Err(206);
        }
        let arguments = arguments.clone().without("cas");
        self.mutable.insert(target, Version { arguments, seq, value, expires });
        Ok(())
    }
}

/// Signing takes long; each version is signed once, in two ways.
struct Signed(BTreeMap<(u8, usize, i64, usize, u8), Value>);

impl Signed {
    /// `how`: 0 and 1 are two good signatures, 2 is a forged one.
    fn item(&mut self, writer: u8, salt: usize, seq: i64, value: usize, how: u8) -> Value {
        let make = || {
            let signer = Writer::new(writer);
            let item = signer.item(SALTS[salt], seq, VALUES[value]);
            let signed = Writer::signed(SALTS[salt], seq, VALUES[value]);
            match how {
                0 => item,
                1 => item.with("sig", signer.sign_again(&signed, 7)),
                _ => item.with("sig", signer.sign(&[&signed[..], b"x"].concat())),
            }
        };
        self.0.entry((writer, salt, seq, value, how)).or_insert_with(make).clone()
    }
}

fn the_node_does_what_the_model_does(steps: &[(u8, u8, u8, u8)], signed: &mut Signed) {
    let addrs = ["203.0.113.5:5", "203.0.113.6:5", "198.51.100.7:7", "[2001:db8::1]:5"].map(addr);
    let mut script = Script::new();
    let mut model = Model::default();
    for (kind, which, number, extra) in steps {
        let from = addrs[usize::from(extra >> 6)];
        let value = usize::from(number % 3);
        let token_for = |script: &mut Script<'_>, target: Id| match extra % 8 {
            // Somebody else's token, one for something else, and one that is no longer good.
            0 => (script.token(addrs[usize::from(extra >> 6) ^ 1], target), false),
            1 => (script.token(from, [9; 20]), false),
            _ => (script.token(from, target), true),
        };
        match kind % 8 {
            0 | 1 => {
                let item = immutable(VALUES[value]);
                let (token, good) = token_for(&mut script, target_of(&item));
                let result = script.content(from, &query("put", item.clone().with("token", token))).map(drop);
                assert_eq!(result, if good { Ok(()) } else { Err(203) });
                if good {
                    model.immutable.insert(target_of(&item), (value, script.now + LIFE));
                }
            }
            2 => {
                script.wait(Duration::from_secs(60 * u64::from(which % 50)));
                model.expire(script.now);
            }
            _ => {
                let (writer, salt) = (1 + (which & 1), usize::from((which >> 1) & 1));
                let (seq, how) = (i64::from((number / 3) % 4), [0, 0, 0, 1, 2][usize::from(which >> 2) % 5]);
                let cas = [None, None, None, Some(0), Some(1), Some(2)][usize::from(extra >> 3) % 6];
                let item = signed.item(writer, salt, seq, value, how);
                let item = cas.map_or(item.clone(), |cas| item.with("cas", cas));
                let (token, good) = token_for(&mut script, target_of(&item));
                let result = script.content(from, &query("put", item.clone().with("token", token))).map(drop);
                let expected =
                    if good { model.put(script.now, (&item, how != 2), (seq, value, cas)) } else { Err(203) };
                assert_eq!(result, expected, "{item:?}");
            }
        }
        // Everything is as in the model, for whoever asks.
        let bare = |reply: Value| reply.without("id").without("token").without("nodes").without("nodes6");
        for value in VALUES {
            let found = bare(script.get(from, sha1(value)));
            let expected = model.immutable.get(&sha1(value)).map(|_| immutable(value));
            assert_eq!(found.encode(), expected.unwrap_or(dict()).encode());
        }
        for writer in [1, 2] {
            for salt in SALTS {
                let target = Writer::new(writer).target(salt);
                let found = bare(script.get(from, target));
                let expected = model.mutable.get(&target).map(|version| version.arguments.clone().without("salt"));
                assert_eq!(found.encode(), expected.unwrap_or(dict()).encode());
            }
        }
        let expiries: BTreeMap<Id, Instant> = script.kept().iter().map(|kept| (kept.target, kept.expires)).collect();
        let immutable = model.immutable.iter().map(|(target, (_, expires))| (*target, *expires));
        let mutable = model.mutable.iter().map(|(target, version)| (*target, version.expires));
        assert_eq!(expiries, immutable.chain(mutable).collect());
    }
}

#[test]
fn a_node_stores_what_a_simple_model_stores() {
    fn property(steps: Vec<(u8, u8, u8, u8)>) -> TestResult {
        thread_local! {
            static SIGNED: std::cell::RefCell<Signed> = const { std::cell::RefCell::new(Signed(BTreeMap::new())) };
        }
        SIGNED.with_borrow_mut(|signed| the_node_does_what_the_model_does(&steps, signed));
        TestResult::passed()
    }
    let tests = if cfg!(debug_assertions) { 25 } else { 400 };
    QuickCheck::new().tests(tests).quickcheck(property as fn(Vec<(u8, u8, u8, u8)>) -> TestResult);
}
