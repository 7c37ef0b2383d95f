# SPDX-License-Identifier: GPL-2.0-or-later
"""A server for agents under test: takes pushes, decodes snappy and protobuf by itself, and keeps a ledger of what it
acknowledged. Standard library only.

    sink = Sink(env)              # listens on env.free_port()
    agent = env.agent(sink.url, pattern=env.path("*.log"))
    env.wait_for(lambda: len(sink.lines()) == 3)

`sink.status` is what the next pushes are answered with: a number, or a function of the push's number that returns one
(None: hang up without an answer, after the push was stored: the agent cannot know). Only 2xx enters the ledger, and
what was stored without an answer.
"""
import collections
import http.server
import threading

SEC = 10**9
Entry = collections.namedtuple("Entry", "tenant labels ts line metadata")


def unsnappy(data):
    """Snappy's block format."""
    size, i = varint(data, 0)
    out = bytearray()
    while i < len(data):
        tag, kind = data[i], data[i] & 3
        i += 1
        if kind == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n = int.from_bytes(data[i:i + extra], "little")
                i += extra
            out += data[i:i + n + 1]
            i += n + 1
            continue
        if kind == 1:
            n, off = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[i]
            i += 1
        else:
            width = 2 if kind == 2 else 4
            n, off = (tag >> 2) + 1, int.from_bytes(data[i:i + width], "little")
            i += width
        at = len(out) - off
        assert 0 <= at < len(out), "a copy from before the start"
        if off >= n:
            out += out[at:at + n]
        else:
            piece = out[at:]
            out += (piece * (n // off + 1))[:n]
    assert len(out) == size, "the announced length is wrong"
    return bytes(out)


def varint(data, i):
    value = shift = 0
    while True:
        b = data[i]
        i += 1
        value |= (b & 127) << shift
        shift += 7
        if not b & 128:
            return value, i


def fields(data):
    """(number, value) of a message; bytes for lengths, int for varints."""
    i = 0
    while i < len(data):
        key, i = varint(data, i)
        if key & 7 == 0:
            value, i = varint(data, i)
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            n, i = varint(data, i)
            value = data[i:i + n]
            assert len(value) == n, "a field past the end"
            i += n
        yield key >> 3, value


def decode_entry(tenant, labels, data):
    ts, line, metadata = 0, b"", []
    for number, value in fields(data):
        if number == 1:
            t = dict(fields(value))
            ts = t.get(1, 0) * SEC + t.get(2, 0)
        elif number == 2:
            line = value
        elif number == 3:
            pair = dict(fields(value))
            metadata.append((pair.get(1, b"").decode(), pair.get(2, b"").decode()))
    return Entry(tenant, labels, ts, line, tuple(metadata))


def decode_push(tenant, body):
    for number, stream in fields(unsnappy(body)):
        assert number == 1
        parts = list(fields(stream))
        labels = next(v for n, v in parts if n == 1).decode()
        for number, value in parts:
            if number == 2:
                yield decode_entry(tenant, labels, value)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.sink.take(self.path, self.headers, body)
        if status is None:
            self.close_connection = True
            return
        text = b"" if status == 204 else b"not now\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A peer that was killed."""


class Sink:
    def __init__(self, env, up=True):
        self.port = env.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.status = 204
        self.lock = threading.Lock()
        self.stored = []    # Entry, in order of arrival, repeated ones included
        self.requests = []  # (path, headers)
        self.listener = None
        if up:
            self.start()

    def start(self):
        self.listener = Listener(("127.0.0.1", self.port), Handler)
        self.listener.sink = self
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """Connections are refused until start()."""
        self.listener.shutdown()
        self.listener.server_close()

    def take(self, path, headers, body):
        with self.lock:
            self.requests.append((path, headers))
            status = self.status(len(self.requests)) if callable(self.status) else self.status
            if status is None or status // 100 == 2:
                assert headers["Content-Type"] == "application/x-protobuf"
                self.stored.extend(decode_push(headers["X-Scope-OrgID"], body))
            return status

    def entries(self):
        """What a server would answer: copies (equal in everything) are one; in order of time."""
        with self.lock:
            return sorted(set(self.stored), key=lambda e: (e.ts, e.line))

    def lines(self, **labels):
        want = [f'{k}="{v}"' for k, v in labels.items()]
        return [e.line.decode("utf-8", "surrogateescape") for e in self.entries() if all(w in e.labels for w in want)]

    def count(self):
        with self.lock:
            return len(set(self.stored))


def check_exactly_once(sink, want, **labels):
    """Every line of `want` (unique texts) once, and nothing else."""
    got = collections.Counter(sink.lines(**labels))
    want = set(want)
    missing, extra = want - got.keys(), got.keys() - want
    twice = [line for line, n in got.items() if n > 1]
    assert not missing and not extra and not twice, (
        f"{len(missing)} missing {sorted(missing)[:5]}, {len(extra)} extra {sorted(extra)[:5]}, {len(twice)} twice {twice[:5]}")
