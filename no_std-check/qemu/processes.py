"""Processes that end with this one, however it ends, and the conversations with them."""

import ctypes
import itertools
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").resolve()
BEP44 = TARGET / "release" / "bep44"
# Of its own: another compiler builds it.
BARE_TARGET = TARGET / "bare"
PEERS = REPOSITORY / "tests" / "interop" / ".peers" / "bin"


class Failed(Exception):
    """Something that was to hold does not."""


def check(holds, what):
    if not holds:
        raise Failed(what)


_RUNNING = set()
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _end_with_parent():
    # A harness that is killed cannot tidy up: the kernel ends its children then.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **options):
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        preexec_fn=_end_with_parent,
        **options,
    )
    _RUNNING.add(process)
    return process


def end(process):
    """Closes its input, waits a moment, and kills it if it has not ended by then."""
    if process in _RUNNING:
        _RUNNING.discard(process)
        try:
            process.stdin.close()
        except OSError:
            pass
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_all():
    for process in list(_RUNNING):
        end(process)


class Speaker:
    """A process that says one JSON object a line."""

    def __init__(self, name, process):
        self.name, self.process = name, process
        self.said, self.changed = [], threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            try:
                event = {"event": "noise", **json.loads(line)}
            except (TypeError, ValueError):
                event = {"event": "noise", "line": line}
            with self.changed:
                self.said.append(event)
                self.changed.notify_all()
        with self.changed:
            self.said.append({"event": "silence"})
            self.changed.notify_all()

    def mark(self):
        """How much has been said up to now: where to look from for what comes."""
        return len(self.said)

    def wait(self, event, since=0, timeout=30, **fields):
        """The first line of this event (or one of several) with these fields."""
        events = (event,) if isinstance(event, str) else event
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for line in self.said[since:]:
                    if line["event"] in events and all(line.get(name) == fields[name] for name in fields):
                        return line
                    check(line["event"] not in ("panic", "fault"), f"{self.name}: {line['event']}")
                    check(line["event"] != "silence", f"{self.name} has ended; its last lines: {self.said[-4:]}")
                left = deadline - time.monotonic()
                check(left > 0, f"{self.name}: no {' or '.join(events)} {fields} in {timeout} s; its last lines: {self.said[-6:]}")
                self.changed.wait(left)

    def all(self, event, since=0, **fields):
        return [
            line
            for line in self.said[since:]
            if line.get("event") == event and all(line.get(name) == fields[name] for name in fields)
        ]


def program(name):
    """Where the program is that was built, if need be in a folder (`folder/name`)."""
    folder, _, name = name.rpartition("/")
    path = BARE_TARGET / folder / "thumbv7m-none-eabi" / "release" / name
    check(path.exists(), f"{path} has not been built")
    return path


class Board(Speaker):
    """A firmware on QEMU, reachable at `addr`, and its serial console."""

    def __init__(self, name, addr, boot=(), say="", **arguments):
        self.addr = addr
        host, port = addr.split(":")
        words = ["firmware", *(f"boot={node}" for node in boot), *(f"{key}={arguments[key]}" for key in arguments)]
        if say:
            words.append(f"say={say}")
        semihosting = ",".join(["enable=on", "target=native", *(f"arg={word}" for word in words)])
        command = ["qemu-system-arm", "-M", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "stdio"]
        command += ["-semihosting-config", semihosting, "-nic", f"user,hostfwd=udp:{host}:{port}-10.0.2.15:6881"]
        command += ["-kernel", program(name)]
        # QEMU says things of its timers that mean nothing.
        super().__init__(f"board {addr}", start(command, stderr=subprocess.DEVNULL))
        listening = self.wait("listening")
        self.id, self.key = listening["id"], listening["public_key"]

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def query(self, line, timeout=30):
        """Types a command that starts a query; its events, of which the end is the last."""
        deadline = time.monotonic() + timeout
        while True:
            since = self.mark()
            self.tell(line)
            begun = self.wait(("asked", "error"), since, timeout, command=line.split()[0])
            if begun["event"] == "asked":
                break
            # One or two queries at once are all that there is memory for, and upkeep has some of its own.
            check(begun["message"] == "busy" and time.monotonic() < deadline, f"{self.name}: {line}: {begun}")
            time.sleep(0.1)
        self.wait("ended", since, timeout, query=begun["query"])
        return [event for event in self.said[since:] if event.get("query") == begun["query"]]

    def found(self, line, timeout=30):
        """Types a command that looks for an item; the newest version that was found, or none."""
        found = [event for event in self.query(line, timeout) if event["event"] == "found"]
        return found[-1] if found else None

    def status(self):
        since = self.mark()
        self.tell("status")
        return self.wait("status", since)

    def published(self, seq=1, timeout=60):
        """Waits until others have stored this version of the board's own item."""
        deadline = time.monotonic() + timeout
        while not any(put["accepted"] > 0 for put in self.all("published", seq=seq)):
            check(time.monotonic() < deadline, f"{self.name}: nobody has taken its item: {self.said[-6:]}")
            time.sleep(0.05)

    def stop(self):
        """Types `exit`, which is to end it well."""
        self.tell("exit")
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end") from None
        _RUNNING.discard(self.process)
        check(status == 0, f"{self.name} has ended with {status}")


class Node(Speaker):
    """A node of ours, run by the command line."""

    def __init__(self, addr, boot=()):
        command = [BEP44, "node", "--json", "--bind", addr]
        # Without any it would ask the public ones.
        for node in boot or [addr]:
            command += ["--bootstrap", node]
        super().__init__(f"bep44 node {addr}", start(command, stderr=subprocess.DEVNULL))
        listening = self.wait("listening")
        self.addr, self.id = listening["addr"], listening["id"]


def bep44(words, bind, boot, timeout=30):
    """Runs the command line once; its last object, and its exit status."""
    command = [BEP44, *words, "--json", "--timeout", timeout, "--bind", f"{bind}:0"]
    for node in boot:
        command += ["--bootstrap", node]
    ended = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout + 10, preexec_fn=_end_with_parent
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    return (lines[-1] if lines else {"error": ended.stderr}), ended.returncode


class Peers:
    """A process of nodes of another implementation: tests/interop/README.md has its protocol."""

    def __init__(self, kind):
        self.process = start([PEERS / kind])
        self.kind, self.numbers, self.boxes = kind, itertools.count(1), {}
        ready = json.loads(self.process.stdout.readline())
        check(ready.get("kind") == kind and ready.get("protocol") == 1, f"{kind}: {ready}")
        self.version = ready["version"]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") in self.boxes:
                self.boxes.pop(answer["id"]).put(answer)

    def ask(self, op, timeout=40, **fields):
        number, box = next(self.numbers), queue.Queue()
        self.boxes[number] = box
        self.process.stdin.write(json.dumps({"id": number, "op": op, "timeout_ms": timeout * 1000, **fields}) + "\n")
        self.process.stdin.flush()
        try:
            answer = box.get(timeout=timeout + 5)
        except queue.Empty:
            raise Failed(f"{self.kind}: {op}: no answer") from None
        check(answer["ok"], f"{self.kind}: {op}: {answer}")
        return answer

    def node(self, addr, boot=()):
        return PeerNode(self, self.ask("start", bind=addr, bootstrap=list(boot)))


class PeerNode:
    def __init__(self, peers, started):
        self.peers, self.number, self.addr = peers, started["node"], started["addr"]

    def ask(self, op, **fields):
        return self.peers.ask(op, node=self.number, **fields)
