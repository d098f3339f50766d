"""Messages of the DHT as nobody's implementation would send them: written by hand, sent, and what is answered."""

import socket


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data):
    value, rest = _decode(data)
    if rest:
        raise ValueError("more than one value")
    return value


def _decode(data):
    kind = data[:1]
    if kind == b"i":
        digits, rest = data[1:].split(b"e", 1)
        return int(digits), rest
    if kind in (b"l", b"d"):
        items, rest = [], data[1:]
        while rest[:1] != b"e":
            item, rest = _decode(rest)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), rest[1:]
    length, rest = data.split(b":", 1)
    return rest[: int(length)], rest[int(length) :]


class Stranger:
    """A socket without a node behind it."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(3)
        self.number = 0

    def send(self, addr, datagram):
        host, port = addr.split(":")
        self.socket.sendto(datagram, (host, int(port)))

    def ask(self, addr, method, **arguments):
        """Sends a query; the answer (`r`), or the code of the error."""
        self.number += 1
        transaction = self.number.to_bytes(2, "big")
        named = {name.encode(): value for name, value in arguments.items()}
        query = {b"t": transaction, b"y": b"q", b"q": method.encode(), b"a": {b"id": b"s" * 20, **named}}
        self.send(addr, encode(query))
        while True:
            answer = decode(self.socket.recv(2048))
            if answer[b"t"] == transaction:
                return answer[b"r"] if answer[b"y"] == b"r" else answer[b"e"][0]
