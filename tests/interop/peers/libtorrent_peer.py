"""Nodes of libtorrent as one process, driven by lines of JSON. The protocol is in ../README.md."""

import hashlib
import json
import os
import re
import sys
import threading
import time
import warnings

import libtorrent as lt

SAYING = threading.Lock()


class Failure(Exception):
    def __init__(self, error, message):
        super().__init__(message)
        self.fields = {"error": error, "message": message}


def say(line):
    with SAYING:
        try:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read us is gone
            quit_now()


def quit_now():
    # The sessions' own goodbye takes seconds and says nothing to anybody: end at once.
    os._exit(0)


# --- Ed25519: from a seed to the expanded key and the public key that libtorrent wants (RFC 8032, section 5.1) ---------

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def keys(seed):
    """The 64-byte expanded secret key, and the public key."""
    expanded = bytearray(hashlib.sha512(seed).digest())
    expanded[0] &= 248
    expanded[31] = expanded[31] & 63 | 64
    scalar, point, power = int.from_bytes(expanded[:32], "little"), (0, 1, 1, 0), BASE
    while scalar:
        if scalar & 1:
            point = add(point, power)
        power, scalar = add(power, power), scalar >> 1
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return bytes(expanded), (y | (x & 1) << 255).to_bytes(32, "little")


# --- reading a request, showing a value ---------------------------------------------------------------------------------


def loopback(addr):
    match = re.fullmatch(r"(127\.\d+\.\d+\.\d+):(\d+)", addr if isinstance(addr, str) else "")
    if not match or int(match[2]) > 65535:
        raise Failure("bad_request", f"not an IPv4 loopback address and port: {addr}")
    return match[1], int(match[2])


def digits(request, name, length):
    text = request.get(name)
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-fA-F]{{{2 * length}}}", text):
        raise Failure("bad_request", f"{name}: {2 * length} hexadecimal digits are needed")
    return bytes.fromhex(text)


def salt_of(request):
    salt = request.get("salt") or ""
    if not isinstance(salt, str):
        raise Failure("bad_request", "salt: a text is needed")
    return salt.encode()


def carried(value):
    """JSON to what is bencoded."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [carried(inner) for inner in value]
    if isinstance(value, dict):
        if isinstance(value.get("$hex"), str):
            return bytes.fromhex(value["$hex"])
        return {key.encode(): carried(inner) for key, inner in value.items()}
    raise Failure("bad_request", "value: texts, integers, lists and dictionaries of them only")


def shown(value):
    """What was bencoded to JSON."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"$hex": value.hex()}
    if isinstance(value, (list, tuple)):
        return [shown(inner) for inner in value]
    if isinstance(value, dict):
        return {key.decode(errors="replace") if isinstance(key, bytes) else key: shown(inner) for key, inner in value.items()}
    return value


# --- nodes --------------------------------------------------------------------------------------------------------------

SETTINGS = {
    # Nothing but the DHT, and nothing that finds the world by itself.
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
    "enable_outgoing_utp": False,
    "enable_ip_notifier": False,
    "use_dht_as_fallback": False,
    "alert_queue_size": 100_000,
    # Many nodes on few loopback addresses, none of which has an id that fits its address.
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_enforce_node_id": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "dht_privacy_lookups": False,
    # A test is quicker than the rate limits of the wild.
    "dht_block_ratelimit": 1_000_000,
    "dht_upload_rate_limit": 100_000_000,
}


class Pending:
    """A question whose answer is an alert."""

    def __init__(self, request_id, begun, deadline, key):
        self.id, self.begun, self.deadline, self.key = request_id, begun, deadline, key
        self.found = set()
        self.quiet = 0


class Node:
    def __init__(self, request):
        host, port = loopback(request.get("bind") or "127.0.0.1:0")
        bootstrap = [loopback(addr) for addr in request.get("bootstrap") or []]
        settings = dict(SETTINGS)
        settings["listen_interfaces"] = f"{host}:{port}"
        # The bootstrap nodes of libtorrent are routers: asked, and never in its table. Ours are to store things, so they are
        # added as nodes instead. An empty list must be said: left out, it means a public router.
        routers = bootstrap if request.get("routers") else []
        settings["dht_bootstrap_nodes"] = ",".join(f"{router}:{port}" for router, port in routers)
        settings["dht_read_only"] = bool(request.get("read_only"))
        settings["alert_mask"] = lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification
        settings["alert_mask"] |= lt.alert.category_t.status_notification | lt.alert.category_t.stats_notification
        settings["alert_mask"] |= lt.alert.category_t.dht_operation_notification
        for name, value in (request.get("settings") or {}).items():
            if not name.startswith("dht_") or name == "dht_bootstrap_nodes":
                raise Failure("bad_request", f"settings: {name} may not be set")
            settings[name] = value
        self.pending, self.lock, self.ended = [], threading.Lock(), False
        self.session = lt.session(settings)
        try:
            self.addr = self.listening(host)
        except Failure:
            self.session.pause()
            raise
        self.node_id = self.own_id()
        if not request.get("routers"):
            for contact in bootstrap:
                self.session.add_dht_node(contact)
        threading.Thread(target=self.turn, daemon=True).start()

    def listening(self, host):
        """The UDP socket's address, once it is bound."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.session.wait_for_alert(100)
            for alert in self.session.pop_alerts():
                if isinstance(alert, lt.listen_failed_alert):
                    raise Failure("io", alert.message())
                if isinstance(alert, lt.listen_succeeded_alert) and "[uTP]" in alert.message():
                    return f"{host}:{alert.port}"
        raise Failure("io", "no socket was bound within ten seconds")

    def own_id(self):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with warnings.catch_warnings(action="ignore"):  # deprecated, and all there is
                ids = (self.session.dht_state() or {}).get(b"node-id")
            if ids:
                return ids[0][:20].hex()
            time.sleep(0.01)
        return None

    def ask(self, request, begun, key, send):
        """Asks the session; `turn` answers."""
        limit = request.get("timeout_ms", 30_000) / 1000
        with self.lock:
            self.pending.append(Pending(request.get("id"), begun, begun + limit, key))
            send()

    def turn(self):
        looked = 0.0
        while not self.ended:
            self.session.wait_for_alert(50)
            for alert in self.session.pop_alerts():
                self.heard(alert)
            now = time.monotonic()
            with self.lock:
                late = [asked for asked in self.pending if now >= asked.deadline]
                self.pending = [asked for asked in self.pending if now < asked.deadline]
                walks = any(asked.key[0] in ("get_peers", "announce", "nodes") for asked in self.pending)
            for asked in late:
                reply(asked.id, asked.begun, error=Failure("timeout", "no answer within timeout_ms"))
            # No alert tells the end of these: look at what the session still has in hand.
            if walks and now - looked >= 0.02:
                looked = now
                self.session.post_dht_stats()

    def take(self, matches, first=True):
        with self.lock:
            taken = [asked for asked in self.pending if matches(asked)]
            taken = taken[:1] if first else taken
            self.pending = [asked for asked in self.pending if asked not in taken]
        return taken

    def heard(self, alert):
        # Nothing found is shown as an empty text, and with a signature that was never written: only the message tells it.
        found = not alert.message().endswith("[ <uninitialized> ]")
        if isinstance(alert, lt.dht_immutable_item_alert):
            target = alert.target.to_bytes()
            for asked in self.take(lambda asked: asked.key == ("get", target), first=False):
                reply(asked.id, asked.begun, value=shown(alert.item) if found else None)
        elif isinstance(alert, lt.dht_mutable_item_alert):
            if not alert.authoritative:
                return
            key = ("get_mutable", bytes(alert.key), bytes(alert.salt))
            for asked in self.take(lambda asked: asked.key == key, first=False):
                fields = {"value": None, "seq": None}
                if found:
                    fields = {"value": shown(alert.item), "seq": alert.seq, "sig": bytes(alert.signature).hex()}
                reply(asked.id, asked.begun, **fields)
        elif isinstance(alert, lt.dht_put_alert):
            public_key = bytes(alert.public_key)
            mutable = any(public_key)
            key = ("put_mutable", public_key, bytes(alert.salt)) if mutable else ("put", alert.target.to_bytes())
            for asked in self.take(lambda asked: asked.key == key):
                fields = {"stored": alert.num_success}
                if mutable:
                    target = hashlib.sha1(public_key + bytes(alert.salt)).hexdigest()
                    fields |= {"target": target, "public_key": public_key.hex(), "seq": alert.seq}
                else:
                    fields["target"] = str(alert.target)
                if alert.num_success:
                    reply(asked.id, asked.begun, **fields)
                else:
                    reply(asked.id, asked.begun, error=Failure("not_stored", "no node took it"))
        elif isinstance(alert, lt.dht_get_peers_reply_alert):
            target = alert.info_hash.to_bytes()
            with self.lock:
                for asked in self.pending:
                    if asked.key == ("get_peers", target):
                        asked.found.update(f"{host}:{port}" for host, port in alert.peers())
        elif isinstance(alert, lt.dht_stats_alert):
            count = sum(bucket["num_nodes"] for bucket in alert.routing_table)
            for asked in self.take(lambda asked: asked.key[0] == "nodes", first=False):
                reply(asked.id, asked.begun, count=count)
            busy = any("get_peers" in str(lookup["type"]) or "announce" in str(lookup["type"]) for lookup in alert.active_requests)
            with self.lock:
                for asked in self.pending:
                    if asked.key[0] in ("get_peers", "announce"):
                        asked.quiet = 0 if busy else asked.quiet + 1
            for asked in self.take(lambda asked: asked.key[0] in ("get_peers", "announce") and asked.quiet >= 3, first=False):
                fields = {"peers": sorted(asked.found)} if asked.key[0] == "get_peers" else {}
                reply(asked.id, asked.begun, **fields)

    def stop(self):
        self.ended = True
        self.session.apply_settings({"enable_dht": False})
        self.session.pause()


def reply(request_id, begun, error=None, **fields):
    line = {"id": request_id, "ok": error is None, "ms": round((time.monotonic() - begun) * 1000, 1)}
    say(line | (error.fields if error else fields))


NODES = {}


def operate(request, begun):
    op = request.get("op")
    if op == "start":
        node = Node(request)
        number = len(NODES)
        NODES[number] = node
        return {"node": number, "addr": node.addr, "node_id": node.node_id}
    node = NODES.get(request.get("node"))
    if node is None:
        raise Failure("bad_request", "no such node")
    session = node.session
    if op == "stop":
        NODES[request["node"]] = None
        node.stop()
        return {}
    if op == "put_immutable":
        value = carried(request.get("value"))
        target = hashlib.sha1(lt.bencode(value)).digest()
        return node.ask(request, begun, ("put", target), lambda: session.dht_put_immutable_item(value))
    if op == "get_immutable":
        target = digits(request, "target", 20)
        return node.ask(request, begun, ("get", target), lambda: session.dht_get_immutable_item(lt.sha1_hash(target)))
    if op == "put_mutable":
        secret, public = keys(digits(request, "seed", 32))
        salt = salt_of(request)
        if request.get("cas") is not None:
            raise Failure("unsupported", "libtorrent sends no cas")
        if not isinstance(request.get("value"), str):
            raise Failure("unsupported", "the binding signs byte strings only")
        value = request["value"].encode()
        key = ("put_mutable", public, salt)
        return node.ask(request, begun, key, lambda: session.dht_put_mutable_item(secret, public, value, salt))
    if op == "get_mutable":
        public, salt = digits(request, "public_key", 32), salt_of(request)
        key = ("get_mutable", public, salt)
        return node.ask(request, begun, key, lambda: session.dht_get_mutable_item(public, salt))
    if op == "announce":
        target, port = digits(request, "info_hash", 20), request.get("port")
        flags = 0 if port else 4  # 4: the port is the one the datagram came from
        send = lambda: session.dht_announce(lt.sha1_hash(target), port or 0, flags)
        return node.ask(request, begun, ("announce", target), send)
    if op == "get_peers":
        target = digits(request, "info_hash", 20)
        return node.ask(request, begun, ("get_peers", target), lambda: session.dht_get_peers(lt.sha1_hash(target)))
    if op == "add_node":
        session.add_dht_node(loopback(request.get("addr")))
        return {}
    if op == "nodes":
        return node.ask(request, begun, ("nodes",), session.post_dht_stats)
    raise Failure("bad_request", f"unknown op: {op}")


def main():
    say({"event": "ready", "kind": "libtorrent", "version": lt.__version__, "protocol": 1})
    for line in sys.stdin:
        if not line.strip():
            continue
        begun, request = time.monotonic(), {}
        try:
            request = json.loads(line)
            fields = operate(request, begun)
            if fields is not None:
                reply(request.get("id"), begun, **fields)
        except Failure as failure:
            reply(request.get("id"), begun, error=failure)
        except Exception as error:  # noqa: BLE001: whatever a request breaks is told to whoever sent it
            reply(request.get("id") if isinstance(request, dict) else None, begun, error=Failure("bad_request", repr(error)))
    quit_now()


if __name__ == "__main__":
    main()
