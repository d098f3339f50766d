//! Nodes of the `mainline` crate as one process, driven by lines of JSON. The protocol is in `tests/interop/README.md`.

use futures_lite::{StreamExt, future::block_on};
use mainline::async_dht::AsyncDht;
use mainline::errors::{ConcurrencyError, PutMutableError, PutQueryError};
use mainline::{Dht, Id, MutableItem, SigningKey};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::str::FromStr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// What an operation answers: fields of a success, or of a failure.
type Outcome = Result<Value, Failure>;

struct Failure {
    error: &'static str,
    message: String,
    code: Option<i64>,
}

fn failure(error: &'static str, message: impl Into<String>) -> Failure {
    Failure { error, message: message.into(), code: None }
}

fn refused(code: i64, message: impl ToString) -> Failure {
    Failure { error: "refused", message: message.to_string(), code: Some(code) }
}

fn main() {
    say(&json!({"event": "ready", "kind": "mainline", "version": "8.0.1", "protocol": 1}));
    let nodes: Arc<Mutex<HashMap<u64, AsyncDht>>> = Arc::default();
    let mut started = 0;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        let request: Value = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                reply(&Value::Null, Instant::now(), Err(failure("bad_request", error.to_string())));
                continue;
            }
        };
        let id = request["id"].clone();
        let begun = Instant::now();
        match request["op"].as_str() {
            Some("start") => {
                let outcome = start(&request).map(|(dht, mut answer)| {
                    answer["node"] = json!(started);
                    nodes.lock().unwrap().insert(started, dht);
                    started += 1;
                    answer
                });
                reply(&id, begun, outcome);
            }
            Some("stop") => {
                let node = request["node"].as_u64().and_then(|node| nodes.lock().unwrap().remove(&node));
                reply(&id, begun, node.map(|_| json!({})).ok_or_else(|| failure("bad_request", "no such node")));
            }
            _ => {
                let Some(dht) = request["node"].as_u64().and_then(|node| nodes.lock().unwrap().get(&node).cloned())
                else {
                    reply(&id, begun, Err(failure("bad_request", "no such node")));
                    continue;
                };
                // The answer is the thread's, the deadline is this one's: a question that the crate never ends is
                // answered all the same.
                let (sender, receiver) = mpsc::channel();
                let limit = Duration::from_millis(request["timeout_ms"].as_u64().unwrap_or(30_000));
                std::thread::spawn(move || drop(sender.send(operate(&dht, &request))));
                std::thread::spawn(move || {
                    let outcome = receiver.recv_timeout(limit);
                    reply(
                        &id,
                        begun,
                        outcome.unwrap_or_else(|_| Err(failure("timeout", "no answer within timeout_ms"))),
                    );
                });
            }
        }
    }
    // Threads of the nodes end with the process.
    std::process::exit(0);
}

fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever read us is gone: there is nobody left to tell.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn reply(id: &Value, begun: Instant, outcome: Outcome) {
    let mut line = Map::new();
    line.insert("id".into(), id.clone());
    line.insert("ok".into(), outcome.is_ok().into());
    line.insert("ms".into(), json!((begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0));
    match outcome {
        Ok(Value::Object(fields)) => line.extend(fields),
        Ok(_) => {}
        Err(failure) => {
            line.insert("error".into(), failure.error.into());
            line.insert("message".into(), failure.message.into());
            if let Some(code) = failure.code {
                line.insert("code".into(), code.into());
            }
        }
    }
    say(&Value::Object(line));
}

fn start(request: &Value) -> Result<(AsyncDht, Value), Failure> {
    let bind = loopback(request["bind"].as_str().unwrap_or("127.0.0.1:0"))?;
    let mut bootstrap = Vec::new();
    for addr in request["bootstrap"].as_array().into_iter().flatten() {
        bootstrap.push(loopback(addr.as_str().unwrap_or_default())?);
    }
    let mut builder = Dht::builder();
    builder.bind_address(*bind.ip()).port(bind.port());
    // An empty list must be said: left out, it means the public routers.
    if bootstrap.is_empty() {
        builder.no_bootstrap()
    } else {
        builder.bootstrap(&bootstrap)
    };
    if !request["read_only"].as_bool().unwrap_or(false) {
        builder.server_mode();
    }
    if let Some(milliseconds) = request["request_timeout_ms"].as_u64() {
        builder.request_timeout(Duration::from_millis(milliseconds));
    }
    let dht = builder.build().map_err(|error| failure("io", error.to_string()))?.as_async();
    let info = block_on(dht.info());
    let answer = json!({"addr": info.local_addr().to_string(), "node_id": hex(info.id().as_bytes())});
    Ok((dht, answer))
}

fn loopback(addr: &str) -> Result<SocketAddrV4, Failure> {
    match addr.parse() {
        Ok(SocketAddr::V4(addr)) if addr.ip().is_loopback() => Ok(addr),
        _ => Err(failure("bad_request", format!("not an IPv4 loopback address and port: {addr}"))),
    }
}

fn operate(dht: &AsyncDht, request: &Value) -> Outcome {
    match request["op"].as_str().unwrap_or_default() {
        "put_immutable" => {
            let value = text(request, "value")?;
            match block_on(dht.put_immutable(value.as_bytes())) {
                Ok(target) => Ok(json!({"target": hex(target.as_bytes())})),
                Err(error) => Err(query(error)),
            }
        }
        "get_immutable" => {
            let found = block_on(dht.get_immutable(target(request, "target")?));
            Ok(json!({"value": found.map(|value| shown(&value))}))
        }
        "put_mutable" => {
            let signer = SigningKey::from_bytes(&bytes32(request, "seed")?);
            let public_key = hex(signer.verifying_key().as_bytes());
            let salt = salt(request)?;
            let value = text(request, "value")?;
            let seq = request["seq"].as_i64().ok_or_else(|| failure("bad_request", "seq: an integer is needed"))?;
            let item = MutableItem::new(signer, value.as_bytes(), seq, salt.as_deref());
            match block_on(dht.put_mutable(item, request["cas"].as_i64())) {
                Ok(outcome) => Ok(json!({
                    "target": hex(outcome.target.as_bytes()), "public_key": public_key, "seq": seq,
                    "stored": outcome.stored_at,
                })),
                Err(PutMutableError::Query(error)) => Err(query(error)),
                Err(PutMutableError::Concurrency(error)) => Err(match error {
                    ConcurrencyError::CasFailed => refused(301, error),
                    ConcurrencyError::NotMostRecent => refused(302, error),
                    ConcurrencyError::ConflictRisk => failure("busy", error.to_string()),
                }),
            }
        }
        "get_mutable" => {
            let salt = salt(request)?;
            let found = block_on(
                dht.get_mutable_detailed(&bytes32(request, "public_key")?, salt.as_deref(), request["seq"].as_i64())
                    .items
                    .collect::<Vec<_>>(),
            );
            let copies = found.len();
            Ok(match found.into_iter().max_by_key(|item| item.seq()) {
                Some(item) => json!({
                    "value": shown(item.value()), "seq": item.seq(), "sig": hex(item.signature()), "copies": copies,
                }),
                None => json!({"value": null, "seq": null, "copies": 0}),
            })
        }
        "announce" => {
            let port = request["port"].as_u64().and_then(|port| u16::try_from(port).ok());
            match block_on(dht.announce_peer(target(request, "info_hash")?, port)) {
                Ok(_) => Ok(json!({})),
                Err(error) => Err(query(error)),
            }
        }
        "get_peers" => {
            let lists = block_on(dht.get_peers(target(request, "info_hash")?).collect::<Vec<_>>());
            let mut peers: Vec<String> = lists.iter().flatten().map(ToString::to_string).collect();
            peers.sort();
            peers.dedup();
            Ok(json!({"peers": peers}))
        }
        "nodes" => Ok(json!({"count": block_on(dht.to_bootstrap()).len()})),
        "add_node" => {
            Err(failure("unsupported", "the crate learns of nodes from its bootstrap list and from answers only"))
        }
        other => Err(failure("bad_request", format!("unknown op: {other}"))),
    }
}

fn query(error: PutQueryError) -> Failure {
    match error {
        PutQueryError::ErrorResponse(said) => refused(said.code.into(), said.description),
        PutQueryError::NoClosestNodes => failure("no_nodes", error.to_string()),
        PutQueryError::Timeout => failure("not_stored", error.to_string()),
    }
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, Failure> {
    match &request[name] {
        Value::String(text) => Ok(text),
        Value::Null => Err(failure("bad_request", format!("{name}: a text is needed"))),
        _ => Err(failure("unsupported", "the crate stores byte strings only")),
    }
}

fn salt(request: &Value) -> Result<Option<Vec<u8>>, Failure> {
    match &request["salt"] {
        Value::Null => Ok(None),
        Value::String(salt) => Ok(Some(salt.clone().into_bytes())),
        _ => Err(failure("bad_request", "salt: a text is needed")),
    }
}

fn target(request: &Value, name: &str) -> Result<Id, Failure> {
    let text = request[name].as_str().unwrap_or_default();
    Id::from_str(text).map_err(|_| failure("bad_request", format!("{name}: 40 hexadecimal digits are needed")))
}

fn bytes32(request: &Value, name: &str) -> Result<[u8; 32], Failure> {
    let wrong = || failure("bad_request", format!("{name}: 64 hexadecimal digits are needed"));
    let text = request[name].as_str().filter(|text| text.len() == 64 && text.is_ascii()).ok_or_else(wrong)?;
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A byte string as JSON: text, or an object with its digits when it is no UTF-8.
fn shown(value: &[u8]) -> Value {
    std::str::from_utf8(value).map_or_else(|_| json!({"$hex": hex(value)}), Value::from)
}
