//! A host against frames as others send them, and against all that nobody should.

use core::net::{Ipv4Addr, SocketAddrV4};

use bare_udp::{Host, Incoming, MAX_FRAME, MAX_PAYLOAD, MIN_FRAME, Outgoing, PAYLOAD, Settings};
use quickcheck::{QuickCheck, quickcheck};

const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x44];
const GATEWAY: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

const SETTINGS: Settings = Settings {
    mac: MAC,
    ip: Ipv4Addr::new(10, 0, 2, 15),
    prefix: 24,
    gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
    port: 6_881,
};

fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// Frames between this code on a board that QEMU emulates and QEMU's user networking, as QEMU has dumped them.
mod recorded {
    pub(super) const ARP_REQUEST: &str = "ffffffffffff020000000044080600010800060400010200000000440a00020f0000000000000a0002020\
        00000000000000000000000000000000000";
    pub(super) const ARP_REPLY: &str = "02000000004452550a0002020806000108000604000252550a0002020a0002020200000000440a00020f0000\
        0000000000000000000000000000000000000000";
    /// A ping from 127.0.0.9:43235.
    pub(super) const PING: &str = "02000000004452550a000202080045000054000000004011ef817f0000090a00020fa8e31ae100400e2764313a6164\
        323a696432303a6162636465666768696a3031323334353637383965313a71343a70696e67313a74323a6161313a79313a7165";
    /// The answer.
    pub(super) const PONG: &str = "52550a00020202000000004408004500006000004000\
        4011af750a00020f7f0000091ae1a8e3004ce73b64323a6970363a7f000009a8e3313a7264323a696432303a34fcac2040f4c2271d041facf91f\
        25846aac532265313a74323a6161313a76343a42340001313a79313a7265";
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A host that has asked for its gateway, and been answered.
fn host() -> Host {
    let mut host = Host::new(SETTINGS);
    let mut frame = [0; MAX_FRAME];
    let Outgoing::Waits { request: Some(request) } = host.send(0, address("192.0.2.1:1"), 1, &mut frame) else {
        panic!("the gateway is not asked for");
    };
    assert_eq!(request[..], octets(recorded::ARP_REQUEST));
    assert_eq!(host.receive(0, &mut octets(recorded::ARP_REPLY)), Incoming::Resolved);
    host
}

/// The frame with this payload that our host sends to `to`.
fn sent(host: &mut Host, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let mut frame = [0xee; MAX_FRAME];
    frame[PAYLOAD..PAYLOAD + payload.len()].copy_from_slice(payload);
    match host.send(0, to, payload.len(), &mut frame) {
        Outgoing::Frame(frame) => frame.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// The same frame as it would come back: sender and receiver swapped, in each layer. Sums stay right.
fn turned(mut frame: Vec<u8>) -> Vec<u8> {
    for (one, two, len) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        for at in 0..len {
            frame.swap(one + at, two + at);
        }
    }
    frame
}

#[test]
fn what_was_recorded_is_read_and_written() {
    let mut host = host();
    let mut frame = octets(recorded::PING);
    let Incoming::Datagram { from, payload } = host.receive(0, &mut frame) else { panic!("not read") };
    assert_eq!(from, address("127.0.0.9:43235"));
    assert_eq!(payload, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
    let pong = octets(recorded::PONG);
    assert_eq!(sent(&mut host, from, &pong[PAYLOAD..]), pong);
}

#[test]
fn a_short_datagram_is_filled_up() {
    let frame = sent(&mut host(), address("192.0.2.1:53"), b"hello");
    let expected = [
        &GATEWAY[..],
        &MAC,
        &[0x08, 0x00],
        // Version and length, no service, 33 octets, no identification, not to be cut, 64 hops, UDP, sum.
        &[0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0x6c, 0xbc, 10, 0, 2, 15, 192, 0, 2, 1],
        // 6881 to 53, 13 octets, sum.
        &[0x1a, 0xe1, 0x00, 0x35, 0, 13, 0xd2, 0xdb],
        b"hello",
        &[0; 13],
    ]
    .concat();
    assert_eq!(frame, expected);
}

#[test]
fn what_is_not_for_this_socket_is_nothing() {
    let good = octets(recorded::PING);
    for (at, octet) in [
        (0, 0xff),  // to everybody
        (5, 0x09),  // another card
        (13, 0xdd), // IPv6
        (14, 0x46), // options that are not there
        (14, 0x65), // version 6
        (17, 0xff), // longer than the frame
        (20, 0x20), // the first of several fragments
        (21, 0x01), // a later one
        (23, 0x06), // TCP
        (24, 0x00), // a wrong sum
        (33, 0x10), // another host
        (36, 0x00), // another port
        (39, 0xff), // longer than the packet
        (41, 0x01), // a wrong sum
    ] {
        let mut bad = good.clone();
        bad[at] = octet;
        assert_eq!(host().receive(0, &mut bad), Incoming::Nothing, "octet {at}");
    }
    for len in 0..good.len() {
        assert_eq!(host().receive(0, &mut good[..len].to_vec()), Incoming::Nothing, "{len} octets");
    }
    // Padding does not count.
    let mut padded = good.clone();
    padded.extend([0xee; 7]);
    assert!(matches!(host().receive(0, &mut padded), Incoming::Datagram { payload, .. } if payload.len() == 56));
}

#[test]
fn nobody_in_particular_is_neither_sent_to_nor_heard() {
    let mut host = host();
    let mut frame = [0; MAX_FRAME];
    for to in ["0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1", "10.0.2.255:1", "10.0.2.15:1"] {
        assert_eq!(host.send(0, address(to), 5, &mut frame), Outgoing::Unroutable, "{to}");
    }
    assert_eq!(host.send(0, address("192.0.2.1:1"), MAX_PAYLOAD + 1, &mut frame), Outgoing::Unroutable);
    assert!(
        matches!(host.send(0, address("192.0.2.1:1"), MAX_PAYLOAD, &mut frame), Outgoing::Frame(all) if all.len() == MAX_FRAME)
    );
    assert_eq!(host.send(0, address("192.0.2.1:1"), 100, &mut frame[..100]), Outgoing::Unroutable);

    let mut alone = Host::new(Settings { gateway: None, ..SETTINGS });
    assert_eq!(alone.send(0, address("192.0.2.1:1"), 5, &mut frame), Outgoing::Unroutable);
    assert!(matches!(alone.send(0, address("10.0.2.7:1"), 5, &mut frame), Outgoing::Waits { .. }));
    // One link without an end, and one of a single host.
    let mut everywhere = Host::new(Settings { gateway: None, prefix: 0, ..SETTINGS });
    assert!(matches!(everywhere.send(0, address("192.0.2.1:1"), 5, &mut frame), Outgoing::Waits { .. }));
    let mut nowhere = Host::new(Settings { prefix: 32, ..SETTINGS });
    assert!(matches!(nowhere.send(0, address("10.0.2.7:1"), 5, &mut frame), Outgoing::Waits { .. }));
}

#[test]
fn an_echo_is_answered() {
    let mut host = host();
    let icmp = [8, 0, 0xe9, 0x99, 0x12, 0x34, 0, 1, b'a', b'b', b'c', b'd', b'e', b'f'];
    let sum = |octets: &[u8]| {
        let words = octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
        let sum: u32 = words.sum();
        !((sum >> 16) + (sum & 0xffff)) as u16
    };
    let mut ip = octets(recorded::PING)[14..34].to_vec();
    ip[2..4].copy_from_slice(&34_u16.to_be_bytes());
    ip[9] = 1;
    ip[10..12].fill(0);
    let checked = sum(&ip);
    ip[10..12].copy_from_slice(&checked.to_be_bytes());
    let mut icmp = icmp.to_vec();
    icmp[2..4].fill(0);
    let checked = sum(&icmp);
    icmp[2..4].copy_from_slice(&checked.to_be_bytes());
    let mut frame = [&MAC[..], &GATEWAY, &[0x08, 0x00], &ip, &icmp, &[0; 12]].concat();
    let Incoming::Answer(answer) = host.receive(0, &mut frame) else { panic!("no answer") };
    assert_eq!(answer.len(), MIN_FRAME);
    assert_eq!((&answer[..6], &answer[6..12]), (&GATEWAY[..], &MAC[..]));
    assert_eq!((&answer[26..30], &answer[30..34]), (&[10, 0, 2, 15][..], &[127, 0, 0, 9][..]));
    assert_eq!((answer[34], sum(&answer[34..48]), sum(&answer[14..34])), (0, 0, 0));
    assert_eq!(answer[38..48], icmp[4..]);
}

#[test]
fn a_closed_port_is_told_only_if_it_was_ours_that_asked() {
    let mut host = host();
    let lost = sent(&mut host, address("192.0.2.1:53"), b"hello");
    let unreachable = |quote: &[u8], code: u8| {
        let mut icmp = [&[3, code, 0, 0, 0, 0, 0, 0], quote].concat();
        let sum: u32 = icmp.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
        let sum = !((sum >> 16) + (sum & 0xffff)) as u16;
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut ip = octets(recorded::PING)[14..34].to_vec();
        ip[2..4].copy_from_slice(&((20 + icmp.len()) as u16).to_be_bytes());
        ip[9] = 1;
        ip[10..12].fill(0);
        let sum: u32 = ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
        let sum = !((sum >> 16) + (sum & 0xffff)) as u16;
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        [&MAC[..], &GATEWAY, &[0x08, 0x00], &ip, &icmp].concat()
    };
    // The header and eight octets, as the RFC has it.
    let quote = &lost[14..42];
    assert_eq!(host.receive(0, &mut unreachable(quote, 3)), Incoming::Unreachable(address("192.0.2.1:53")));
    // The network may come back.
    assert_eq!(host.receive(0, &mut unreachable(quote, 0)), Incoming::Nothing);
    let mut of_another = quote.to_vec();
    of_another[20] ^= 1;
    assert_eq!(host.receive(0, &mut unreachable(&of_another, 3)), Incoming::Nothing);
    assert_eq!(host.receive(0, &mut unreachable(&quote[..23], 3)), Incoming::Nothing);
}

quickcheck! {
    /// What one host sends, another reads: the same payload, from the same address.
    fn what_is_sent_is_read(payload: Vec<u8>, port: u16) -> bool {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
        let mut host = host();
        let there = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port);
        let mut frame = turned(sent(&mut host, there, payload));
        host.receive(0, &mut frame) == Incoming::Datagram { from: there, payload }
    }

    fn no_frame_makes_it_panic(frames: Vec<Vec<u8>>) -> bool {
        let mut host = host();
        for (now, mut frame) in (0..).zip(frames) {
            let _ = host.receive(now, &mut frame);
        }
        true
    }

    fn no_datagram_makes_it_panic(ip: u32, port: u16, len: usize, room: usize, prefix: u8) -> bool {
        let mut host = Host::new(Settings { prefix, ..SETTINGS });
        let mut frame = vec![0; room % 2_000];
        let _ = host.send(0, SocketAddrV4::new(ip.into(), port), len % 2_000, &mut frame);
        true
    }
}

/// Frames that are right but for a few octets reach further into the code than noise does.
#[test]
fn no_damage_makes_it_panic() {
    fn property(damage: Vec<(usize, u8)>, kind: u8, len: usize) -> bool {
        let mut host = host();
        let mut frame = match kind % 3 {
            0 => octets(recorded::PING),
            1 => octets(recorded::ARP_REPLY),
            _ => turned(sent(&mut host, address("192.0.2.1:53"), b"hello")),
        };
        for (at, octet) in damage.into_iter().take(4) {
            let at = at % frame.len();
            frame[at] = octet;
        }
        frame.truncate(len % 128);
        let _ = host.receive(0, &mut frame);
        true
    }
    QuickCheck::new().tests(20_000).quickcheck(property as fn(Vec<(usize, u8)>, u8, usize) -> bool);
}
