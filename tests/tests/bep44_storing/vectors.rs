//! BEP 44's test vectors.

use super::*;

const VECTOR_KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const VECTOR_VALUE: &[u8] = b"12:Hello World!";

fn vector(salt: &str, target: &str, signature: &str) {
    let (key, target) = (hex(VECTOR_KEY), <Id>::try_from(hex(target)).unwrap());
    let mut script = Script::new();
    let token = script.token(alice(), target);
    // Written by hand, so that nothing but the octets of the BEP counts.
    let salt = if salt.is_empty() { String::new() } else { format!("4:salt{}:{salt}", salt.len()) };
    let datagram = [
        &b"d1:ad2:id20:abcdefghij01234567891:k32:"[..],
        &key,
        salt.as_bytes(),
        b"3:seqi1e3:sig64:",
        &hex(signature),
        b"5:token12:",
        &token,
        b"1:v",
        VECTOR_VALUE,
        b"e1:q3:put1:t2:aa1:y1:qe",
    ]
    .concat();
    let answer = Value::decode(&script.hand(alice(), &datagram).unwrap()).unwrap();
    assert_eq!(answer.get("y"), Some(&"r".into()), "{answer:?}");
    let found = dict().with("k", key).with("seq", 1).with("sig", hex(signature)).with("v", "Hello World!");
    assert_eq!(item_in(script.get(bob(), target)), found);
}

#[test]
fn line_88_the_first_test_vector_is_stored() {
    vector(
        "",
        "4a533d47ec9c7d95b1ad75f576cffc641853b750",
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
         1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
    );
}

#[test]
fn line_88_the_second_test_vector_is_stored() {
    vector(
        "foobar",
        "411eba73b6f087ca51a3795d9c8c938d365e32c1",
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
         df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
    );
}

#[test]
fn line_88_the_third_test_vector_is_stored() {
    let mut script = Script::new();
    script.put(alice(), &immutable(VECTOR_VALUE)).unwrap();
    let target: Id = hex("e5f96f6f38320f0f33959cb4d3d656452117aadb").try_into().unwrap();
    let reply = script.get(bob(), target);
    assert_eq!(reply.get("v").unwrap().encode(), VECTOR_VALUE);
}

#[test]
fn what_is_kept_is_what_was_put() {
    // The tests above look at `kept` to see that nothing has changed: it must show all there is.
    let mut script = Script::new();
    let item = writer().item(b"salt", 5, b"1:a");
    script.put(alice(), &item).unwrap();
    let signature = item.get("sig").and_then(Value::bytes).unwrap().to_vec();
    let expected = Kept {
        target: writer().target(b"salt"),
        value: b"1:a".to_vec(),
        mutable: Some(SignedBy { key: writer().key().to_vec(), salt: b"salt".to_vec(), seq: 5, signature }),
        expires: script.now + TWO_HOURS,
    };
    assert_eq!(script.kept(), [expected]);
}
