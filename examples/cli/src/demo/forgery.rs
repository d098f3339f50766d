//! A write that no honest program would send: our node refuses to, so the packets are written by hand.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bep44::core::MAX_DATAGRAM;
use bep44::core::wire::{Message, Method, Put, PutMutable, Query, Want, parse};
use bep44::{Mutable, NodeId};

type Error = Box<dyn std::error::Error>;

/// Sends `item` to `node` with another value under the same signature, and returns the code of its answer.
pub(super) fn attempt(node: SocketAddr, item: &Mutable) -> Result<i64, Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(node)?;

    let get = Method::Get { target: item.target(), seq: None, want: Want::UNSAID };
    let answer = exchange(&socket, get)?;
    let Ok(Message::Reply(reply)) = parse(&answer) else { return Err("no answer to the get".into()) };
    let token = reply.token.ok_or("no write token in the answer to the get")?;

    let put = Method::Put(Put {
        token,
        value: b"6:forged",
        mutable: Some(PutMutable {
            key: &item.key().0,
            salt: item.salt(),
            seq: item.seq(),
            signature: &item.signature().0,
            cas: None,
        }),
        target: None,
    });
    match parse(&exchange(&socket, put)?) {
        Ok(Message::Error(error)) => Ok(error.code),
        _ => Err("the forged write was accepted".into()),
    }
}

fn exchange(socket: &UdpSocket, method: Method<'_>) -> Result<Vec<u8>, Error> {
    let mut buf = [0; MAX_DATAGRAM];
    let query = Query { transaction: b"forg", sender: NodeId::new([0xf0; 20]), read_only: true, method };
    let len = query.write(None, &mut buf).ok_or("the question does not fit")?;
    socket.send(&buf[..len])?;
    let len = socket.recv(&mut buf)?;
    Ok(buf[..len].to_vec())
}
