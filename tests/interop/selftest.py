#!/usr/bin/env python3
"""Shows that the peers work: networks of each kind, then of all three; prints what passed and how long it took.

Needs `setup` to have run. Uses the standard library only, sends to loopback addresses only, bounds every wait, and leaves no
process behind.
"""

import argparse
import hashlib
import itertools
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("libtorrent", "bittorrent-dht", "mainline")


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer.get('error')}: {answer.get('message')}")
        self.answer = answer


class Peer:
    """One process of peers, and the conversation with it."""

    def __init__(self, kind):
        self.kind = kind
        program = os.path.join(HERE, ".peers", "bin", kind)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers, self.numbers, self.lock = {}, itertools.count(1), threading.Lock()
        self.ready = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        event = self.ready.get(timeout=20)
        assert event["event"] == "ready" and event["kind"] == kind and event["protocol"] == 1, event
        self.version = event["version"]

    def listen(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            if "event" in answer:
                self.ready.put(answer)
            else:
                with self.lock:
                    box = self.answers.pop(answer["id"])
                box.put(answer)

    def ask(self, op, timeout=60, **fields):
        number, box = next(self.numbers), queue.Queue()
        with self.lock:
            self.answers[number] = box
        line = {"id": number, "op": op, "timeout_ms": int(timeout * 1000), **fields}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer = box.get(timeout=timeout + 5)
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    def close(self):
        """Closes its standard input; says whether it ended by itself, at once, with success."""
        self.process.stdin.close()
        try:
            return self.process.wait(timeout=5) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False


class Node:
    def __init__(self, peer, bind, bootstrap, **more):
        started = peer.ask("start", bind=bind, bootstrap=bootstrap, **more)
        self.peer, self.kind = peer, peer.kind
        self.number, self.addr, self.node_id = started["node"], started["addr"], started["node_id"]

    def ask(self, op, **fields):
        return self.peer.ask(op, node=self.number, **fields)


class Report:
    def __init__(self):
        self.passed, self.failed, self.times = 0, 0, {}

    def check(self, what, good, told=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"  FAILED {what} {told}", flush=True)

    def timed(self, what, ask):
        begun = time.monotonic()
        try:
            return ask()
        finally:
            self.times.setdefault(what, []).append((time.monotonic() - begun) * 1000)

    def show_times(self):
        for what, times in self.times.items():
            low, middle, high = min(times), statistics.median(times), max(times)
            print(f"  {what:<52} {middle:8.1f} ms  ({low:.1f} to {high:.1f}, {len(times)} times)")
        self.times = {}


def network(report, wanted, peers, clients=()):
    """Starts a node a peer of `peers`, then the read-only ones of `clients`; makes the former known to each other, and waits
    until every table holds `wanted` of them."""
    begun, nodes = time.monotonic(), []
    for peer in peers:
        nodes.append(Node(peer, f"127.0.0.{2 + len(nodes)}:0", [node.addr for node in nodes]))
    # The others learn slowly, if at all, of whoever asks them: they are told. `mainline` cannot be told, and knows of those
    # only that were there before it.
    for node, other in itertools.permutations(nodes, 2):
        if node.kind != "mainline":
            node.ask("add_node", addr=other.addr)
    for peer in clients:
        nodes.append(Node(peer, f"127.0.0.{2 + len(nodes)}:0", [node.addr for node in nodes[: len(peers)]], read_only=True))
    counts, end = [], time.monotonic() + 20
    while time.monotonic() < end:
        counts = [node.ask("nodes")["count"] for node in nodes]
        formed = all(count >= (1 if node.kind == "mainline" else wanted) for node, count in zip(nodes, counts))
        if formed:
            break
        time.sleep(0.1)
    report.check("the network forms", formed, counts)
    print(f"  {len(nodes)} nodes know each other after {time.monotonic() - begun:.1f} s: {counts}", flush=True)
    return nodes


def stop(nodes):
    for node in nodes:
        node.ask("stop")


def attempt(ask):
    try:
        return ask()
    except Refused as refused:
        return refused.answer


def exercise(report, writer, reader, name, brief=False):
    """All that one kind may say to another, or the least that matters: `writer` puts, `reader` gets."""
    tag = f"{name}: "
    text = f"written by {writer.kind} for {reader.kind}, {os.urandom(4).hex()}"
    put = attempt(lambda: report.timed(tag + "put immutable", lambda: writer.ask("put_immutable", value=text)))
    wanted = hashlib.sha1(f"{len(text)}:{text}".encode()).hexdigest()
    report.check(tag + "put immutable", put["ok"] and put["target"] == wanted, put)
    got = attempt(lambda: report.timed(tag + "get immutable", lambda: reader.ask("get_immutable", target=wanted)))
    report.check(tag + "get immutable", got.get("value") == text, got)
    if not brief:
        target = os.urandom(20).hex()
        missing = attempt(lambda: report.timed(tag + "get nothing", lambda: reader.ask("get_immutable", target=target)))
        report.check(tag + "get nothing", missing["ok"] and missing["value"] is None, missing)

    for salt in (None, "a salt"):
        seed, salted = os.urandom(32).hex(), {"salt": salt} if salt else {}
        label = tag + ("put mutable, salted" if salt else "put mutable")
        put = attempt(lambda: report.timed(label, lambda: writer.ask("put_mutable", seed=seed, value="one", seq=1, **salted)))
        report.check(label, put["ok"] and put.get("seq") == 1, put)
        if not put["ok"]:
            continue
        key = put["public_key"]
        report.check(label + " target", put["target"] == hashlib.sha1(bytes.fromhex(key) + (salt or "").encode()).hexdigest(), put)
        label = tag + ("get mutable, salted" if salt else "get mutable")
        got = attempt(lambda: report.timed(label, lambda: reader.ask("get_mutable", public_key=key, **salted)))
        report.check(label, (got.get("value"), got.get("seq")) == ("one", 1), got)
        if brief:
            return
        put = attempt(lambda: report.timed(tag + "update (warm)", lambda: writer.ask("put_mutable", seed=seed, value="two", seq=2, **salted)))
        report.check(tag + "update", put["ok"], put)
        got = attempt(lambda: reader.ask("get_mutable", public_key=key, **salted))
        report.check(tag + "get update", (got.get("value"), got.get("seq")) == ("two", 2), got)
        if salt:
            got = attempt(lambda: reader.ask("get_mutable", public_key=key))
            report.check(tag + "the salt is needed", got["ok"] and got["value"] is None, got)
        if writer.kind == "libtorrent":  # chooses seq by itself and sends no cas
            continue
        put = attempt(lambda: writer.ask("put_mutable", seed=seed, value="three", seq=3, cas=2, **salted))
        report.check(tag + "cas that fits", put["ok"], put)
        put = attempt(lambda: writer.ask("put_mutable", seed=seed, value="four", seq=4, cas=2, **salted))
        report.check(tag + "cas that does not fit", put.get("code") == 301, put)
        put = attempt(lambda: writer.ask("put_mutable", seed=seed, value="old", seq=1, **salted))
        report.check(tag + "seq that is lower", put.get("code") == 302, put)
        got = attempt(lambda: reader.ask("get_mutable", public_key=key, **salted))
        report.check(tag + "the refused change nothing", (got.get("value"), got.get("seq")) == ("three", 3), got)

    info_hash = os.urandom(20).hex()
    said = attempt(lambda: report.timed(tag + "announce", lambda: writer.ask("announce", info_hash=info_hash, port=4321)))
    report.check(tag + "announce", said["ok"], said)
    found = attempt(lambda: report.timed(tag + "get peers", lambda: reader.ask("get_peers", info_hash=info_hash)))
    host = writer.addr.split(":")[0]
    report.check(tag + "get peers", found.get("peers") == [f"{host}:4321"], found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each pair is exercised")
    parser.add_argument("--only", choices=(*KINDS, "mixed"), help="one network only")
    parser.add_argument("--slow", action="store_true", help="also the network of all three, where silence takes its time")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the clean-up below
    report, processes, begun = Report(), [], time.monotonic()

    def open_peer(kind):
        processes.append(Peer(kind))
        return processes[-1]

    try:
        for kind in KINDS:
            if options.only not in (None, kind):
                continue
            peer = open_peer(kind)
            print(f"{kind} {peer.version}: 10 nodes in one process", flush=True)
            nodes = network(report, 9, [peer] * 10)
            for turn in range(options.rounds):
                exercise(report, nodes[1 + turn % 4], nodes[9 - turn % 4], kind)
            # A client that comes, reads one thing and goes.
            target = nodes[1].ask("put_immutable", value="read once")["target"]
            for _ in range(options.rounds):
                once = Node(peer, "127.0.0.50:0", [nodes[0].addr])
                got = attempt(lambda: report.timed(f"{kind}: get by a node just started", lambda: once.ask("get_immutable", target=target)))
                report.check(f"{kind}: get by a node just started", got.get("value") == "read once", got)
                once.ask("stop")
            report.show_times()
            report.check(f"{kind}: ends when its input closes", peer.close())
        if options.only in (None, "mixed"):
            libtorrent, javascript, mainline = peers = [open_peer(kind) for kind in KINDS]
            print("libtorrent and bittorrent-dht: 5 nodes of each", flush=True)
            nodes = network(report, 9, [libtorrent, javascript] * 5)
            for writer, reader in itertools.product(nodes[:2], nodes[-2:]):
                for _ in range(options.rounds):
                    exercise(report, writer, reader, f"{writer.kind} to {reader.kind}")
            report.show_times()
            stop(nodes)
            for peer in (libtorrent, javascript):
                print(f"{peer.kind}: 8 nodes, and 2 read-only ones of mainline", flush=True)
                nodes = network(report, 7, [peer] * 8, [mainline] * 2)
                # Once mainline has put something, the others ask it, and its silence costs them seconds a question: README.md.
                exercise(report, nodes[1], nodes[8], f"{peer.kind} to mainline")
                for reader in (nodes[2], nodes[9]):
                    exercise(report, nodes[8], reader, f"mainline to {reader.kind}", brief=True)
                report.show_times()
                stop(nodes)
            if options.slow:
                print("all three: 4 nodes of each, all of them servers", flush=True)
                nodes = network(report, 7, peers * 4)
                for writer, reader in itertools.product(nodes[:3], nodes[-3:]):
                    exercise(report, writer, reader, f"{writer.kind} to {reader.kind}", brief=True)
                report.show_times()
            for peer in peers:
                report.check(f"{peer.kind}: ends when its input closes", peer.close())
    finally:
        for peer in processes:
            if peer.process.poll() is None:
                peer.process.kill()
                peer.process.wait()
    print(f"took {time.monotonic() - begun:.1f} s")
    print(f"{report.passed} passed, {report.failed} failed")
    return report.failed > 0


if __name__ == "__main__":
    sys.exit(main())
