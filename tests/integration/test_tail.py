# SPDX-License-Identifier: GPL-2.0-or-later
"""Tails: WebSockets and server-sent events that tell of entries as they are pushed."""
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from harness import SERVER_CONFIG, http_request, short
from tls import Authority
from websocket import CLOSE, TEXT, Closed, Refused, WebSocket

PATH = "/loki/api/v1/tail"


def target(path=PATH, **params):
    return path + "?" + urllib.parse.urlencode(params)


def open_tail(server, query, path=PATH, headers=None, window=None, **params):
    return WebSocket(server.port, target(path, query=query, **params), headers, window=window)


def entries_of(frame):
    """(ns, line, labels) of a frame, each of a stream of its own."""
    frame = json.loads(frame)
    for stream in frame.get("streams", []):
        assert len(stream["values"]) == 1, frame
    return [(int(s["values"][0][0]), s["values"][0][1], s["stream"]) for s in frame.get("streams", [])]


def take(tail, n):
    """The next n lines."""
    lines = []
    while len(lines) < n:
        frame = entries_of(tail.receive())
        assert len(frame) <= 100
        lines += [line for _, line, _ in frame]
    return lines


def refused(server, **params):
    try:
        WebSocket(server.port, target(**params))
    except Refused as e:
        return e.status, e.body
    raise AssertionError("it was taken")


@short
def test_backfill_and_what_comes(env):
    server = env.server()
    now = time.time_ns()
    server.push({"app": "a"}, [f"old {i}" for i in range(300)], start_ns=now - 10**9)
    server.push({"app": "b"}, ["another"])
    tail = open_tail(server, '{app="a"}', limit=250)
    assert take(tail, 250) == [f"old {i}" for i in range(50, 300)]
    server.push({"app": "a"}, ["new"])
    server.push({"app": "b"}, ["not this"])
    server.push({"app": "a"}, [(now - 5 * 86400 * 10**9, "late"), (now + 10**9, "a < b & c")])
    assert take(tail, 3) == ["new", "late", "a < b & c"]
    assert server.metric("loki_querier_tail_active") == 1
    assert server.metric("loki_querier_tail_bytes_total") > 300 * 20
    assert server.metric("loki_request_duration_seconds_count", route="loki_api_v1_tail", status_code="101", ws="true") == 1
    assert tail.close(1000, "enough") == 1000
    env.wait_for(lambda: server.metric("loki_querier_tail_active") == 0, "the place is free")
    env.wait_for(lambda: 'end="the client closed (1000 enough)"' in server.log(), "the line in the log")
    # A start that lies behind all entries, and flushed entries.
    server.post("/flush")
    tail = open_tail(server, '{app="b"}', start=time.time_ns() + 10**9)
    server.push({"app": "b"}, ["only this"])
    assert take(tail, 1) == ["only this"]
    tail.close()
    tail = open_tail(server, '{app="a"}', limit=3)
    assert take(tail, 3) == ["old 299", "new", "a < b & c"]
    tail.close()


@short
def test_every_stage_runs(env):
    server = env.server()
    line = 'level=error status=500 msg="it broke"'
    server.push({"app": "a", "host": "h1"}, [line])
    plain = open_tail(server, '{app="a"} | logfmt | status >= 500 | label_format s=status | line_format "{{.msg}}!" | keep s, host')
    apart = open_tail(server, '{app="a"} | logfmt status', headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"})
    legacy = open_tail(server, '{app="a"}', path="/api/prom/tail", regexp="brok[en]")
    for again in range(2):  # backfill and live
        frame = json.loads(plain.receive())
        assert list(frame) == ["streams"], frame
        assert frame["streams"][0]["stream"] == {"s": "500", "host": "h1"}
        assert frame["streams"][0]["values"][0][1] == "it broke!"
        frame = json.loads(apart.receive())
        assert frame["encodingFlags"] == ["categorize-labels"]
        assert frame["streams"][0]["stream"] == {"app": "a", "host": "h1", "service_name": "a"}
        meta = frame["streams"][0]["values"][0][2]
        assert meta == {"structuredMetadata": {"detected_level": "error"}, "parsed": {"status": "500"}}, meta
        frame = json.loads(legacy.receive())
        assert frame["dropped_entries"] is None
        assert frame["streams"][0]["labels"] == '{app="a", detected_level="error", host="h1", service_name="a"}'
        assert frame["streams"][0]["entries"][0]["line"] == line and frame["streams"][0]["entries"][0]["ts"].endswith("Z")
        if not again:
            server.push({"app": "a", "host": "h1"}, ["level=info status=200 msg=fine broke", line][1:])


@short
def test_refusals_before_the_upgrade(env):
    server = env.server("limits_config:\n  max_concurrent_tail_requests: 2\n")
    query = '{app="a"}'
    assert refused(server, query=query, delay_for=6) == (400, "delay_for can't be greater than 5")
    assert refused(server, query=query, delay_for=-1) == (400, "delay_for can't be greater than 5")
    assert refused(server, query=query, delay_for="x") == (400, 'strconv.Atoi: parsing "x": invalid syntax')
    assert refused(server, query=query, limit=0) == (400, "limit must be a positive value")
    assert refused(server, query=query, start="x")[1].startswith("could not parse 'start' parameter: ")
    assert refused(server) == (400, "parse error : syntax error: unexpected $end")
    assert refused(server, query='rate({app="a"}[1m])') == (
        400, "unsupported query expression: want (LogSelectorExpr), got (*syntax.RangeAggregationExpr)")
    assert refused(server, query='{app=~".*"}')[0] == 400
    assert refused(server, query=query, start=1)[1].startswith("the query time range exceeds the limit")
    plain = server.get(PATH, query=query)
    assert plain.status == 400 and plain.headers["Sec-WebSocket-Version"] == "13", plain
    first, second = open_tail(server, query), open_tail(server, query)
    assert refused(server, query=query) == (429, "max concurrent tail requests limit exceeded, count > limit (3 > 2)")
    # Who vanishes frees his place at once; so does who closes.
    first.vanish()
    third = env.wait_for(lambda: try_open(server, query), "a place is free")
    second.close()
    fourth = env.wait_for(lambda: try_open(server, query), "a place is free")
    third.close()
    fourth.close()


def try_open(server, query, **params):
    try:
        return open_tail(server, query, **params)
    except Refused:
        return None


@short
def test_tenants(env):
    server = env.server(config=TENANTS)
    assert refused(server, query='{app="a"}') == (401, "no org id\n")
    for org in ("x|y", "x|x"):
        try:
            tail = open_tail(server, '{app="a"}', headers={"X-Scope-OrgID": org})
            assert org == "x|x"
            tail.close()
        except Refused as e:
            assert org == "x|y" and (e.status, e.body) == (400, "multiple org IDs present\n"), e
    mine, other = (open_tail(server, '{app="a"}', headers={"X-Scope-OrgID": org}) for org in ("mine", "other"))
    server.push({"app": "a"}, ["secret"], tenant="mine")
    server.push({"app": "a"}, ["public"], tenant="other")
    assert take(mine, 1) == ["secret"] and take(other, 1) == ["public"]


TENANTS = """\
auth_enabled: true
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
common: {path_prefix: {data}, replication_factor: 1, ring: {kvstore: {store: inmemory}}}
querier: {multi_tenant_queries_enabled: true}
"""


@short
def test_order_within_delay_for(env):
    server = env.server()
    tail = open_tail(server, '{app=~"a|b"}', delay_for=2)
    now = time.time_ns()
    server.push({"app": "a"}, [(now + 3, "3"), (now + 1, "1")])
    server.push({"app": "b"}, [(now + 2, "2")])
    server.push({"app": "a"}, [(now - 60 * 10**9, "late, not kept waiting")])
    assert take(tail, 4) == ["late, not kept waiting", "1", "2", "3"]
    assert time.time_ns() - now > 1.9 * 10**9
    tail.close()


class Pusher(threading.Thread):
    """Pushes numbered lines to some streams, one push after the other, every third one late."""

    def __init__(self, server, pushes, lines=5):
        super().__init__()
        self.server, self.pushes, self.lines, self.error, self.done = server, pushes, lines, None, 0

    def run(self):
        try:
            for k in range(self.pushes):
                at = time.time_ns() - (3600 * 10**9 if k % 3 == 0 else 0)
                numbers = range(k * self.lines, (k + 1) * self.lines)
                self.server.push({"app": "a", "host": str(k % 4)}, [f"line {i}" for i in numbers], start_ns=at)
                self.done += self.lines
                if k % 50 == 25:
                    self.server.post("/flush")
        except Exception as e:  # told by the test
            self.error = e


def numbers(tail, total):
    """How often each numbered line came, until all that are expected have come at least once."""
    seen = {}
    while len(seen) < total:
        for _, line, _ in entries_of(tail.receive()):
            seen[line] = seen.get(line, 0) + 1
    return seen


def check_all_once(env, server, pushes, tails, query='{app="a"} |= "line"'):
    pusher = Pusher(server, pushes)
    pusher.start()
    results, threads = {}, []

    def follow(i):
        # at some moment while pushes go on
        env.wait_for(lambda: pusher.done >= i * pushes * pusher.lines // (tails + 1) or not pusher.is_alive())
        tail = open_tail(server, query, limit=5000, start=time.time_ns() - 7200 * 10**9)
        results[i] = numbers(tail, pushes * pusher.lines)
        tail.close()

    for i in range(tails):
        threads.append(threading.Thread(target=follow, args=(i,)))
        threads[-1].start()
    for thread in threads + [pusher]:
        thread.join()
    assert pusher.error is None, pusher.error
    assert len(results) == tails, f"{len(results)} of {tails} tails got everything"
    for seen in results.values():
        again = {line: n for line, n in seen.items() if n != 1}
        assert not again, f"told more than once: {again}"
    assert server.metric("larch_tail_dropped_entries_total") == 0


@short
def test_no_gap_and_no_repeat(env):
    check_all_once(env, env.server("limits_config: {max_concurrent_tail_requests: 100}\n"), pushes=150, tails=8)


def test_fifty_tails_under_load(env):
    server = env.server("limits_config: {max_concurrent_tail_requests: 100, ingestion_rate_mb: 100, "
                        "ingestion_burst_size_mb: 200}\nquerier: {max_concurrent: 8}\n")
    check_all_once(env, server, pushes=600, tails=50)


def test_slow_clients_lose_entries_and_are_told(env):
    server = env.server("limits_config: {ingestion_rate_mb: 200, ingestion_burst_size_mb: 400, "
                        "per_stream_rate_limit: 200MB, per_stream_rate_limit_burst: 400MB}\n")
    slow = open_tail(server, '{app="a"}', window=4096)
    quick = open_tail(server, '{app="a"} |~ "^1?[0-9]99 "')
    sent = 0
    for k in range(20):  # 40 MB, much more than socket buffers and the queue hold
        server.push({"app": "a"}, [f"{sent + i} " + "x" * 2000 for i in range(1000)])
        sent += 1000
    assert [line.split()[0] for line in take(quick, 3)][:3] == ["199", "299", "399"]
    got, dropped, again = [], 0, False
    while "the last one" not in got:
        text = slow.receive()
        got += [line.split(" x")[0] for _, line, _ in entries_of(text)]
        for d in json.loads(text).get("dropped_entries", []):
            assert int(d["timestamp"]) > 0 and d["labels"]["app"] == "a", d
            dropped += 1
        if dropped and not again:  # it reads, so it is told again
            server.push({"app": "a"}, ["the last one"])
            again = True
    got = [int(n) for n in got[:-1]]
    assert 0 < dropped <= 20 * 1000 and len(got) < sent, (dropped, len(got))
    assert got == sorted(got) and len(set(got)) == len(got)
    slow.close()
    env.wait_for(lambda: server.metric("larch_tail_dropped_entries_total") > 1000, "dropped entries are counted")


@short
def test_shutdown_says_so(env):
    server = env.server()
    tails = [open_tail(server, '{app="a"}') for _ in range(3)]
    server.push({"app": "a"}, ["one"])
    assert [take(t, 1) for t in tails] == [["one"]] * 3
    events = Events(server, '{app="a"}')
    assert events.entries(1) == ["one"]
    server.signal(15)
    for tail in tails[:2]:
        try:
            while True:
                tail.receive()
        except Closed as e:
            assert (e.code, e.reason) == (1001, "the server is stopping"), e
    assert events.next() == ("end", '{"code":1001,"reason":"the server is stopping"}')
    assert events.next() is None
    assert server.wait() == 0  # the third one never answered
    tails[2].sock.close()


@short
def test_limits_of_time(env):
    server = env.server("querier: {tail_max_duration: 1s}\n")
    tail = open_tail(server, '{app="a"}')
    try:
        tail.receive()
    except Closed as e:
        assert (e.code, e.reason) == (1011, "reached tail max duration limit"), e
    assert tail.pings >= 1


@short
def test_clients_that_break_the_rules(env):
    server = env.server()
    for what, code in ((lambda t: t.send(TEXT, b"\xff"), 1007), (lambda t: t.sock.sendall(b"\x81\x02hi"), 1002),
                       (lambda t: t.send(TEXT, b"x" * 70000), 1009), (lambda t: t.send(3, b"x"), 1002)):
        tail = open_tail(server, '{app="a"}')
        what(tail)
        try:
            tail.receive()
        except Closed as e:
            assert e.code == code, (e, code)
    talker = open_tail(server, '{app="a"}')
    for _ in range(50):  # what they say is not heard
        talker.send(TEXT, b"hello ")
        talker.send(9, b"ping")
    server.push({"app": "a"}, ["still here"])
    assert take(talker, 1) == ["still here"]
    talker.sock.shutdown(socket.SHUT_WR)  # half closed is gone
    env.wait_for(lambda: server.metric("loki_querier_tail_active") == 0, "all places are free")


class Events:
    """Server-sent events of a tail, through curl as people use it."""

    def __init__(self, server, query, **params):
        self.run(["curl", "-sN", "-H", "Accept: text/event-stream", server.url + target(query=query, **params)])

    def run(self, argv):
        self.curl = subprocess.Popen(argv, stdout=subprocess.PIPE)
        return self

    def next(self):
        """(event, data) of the next event, None at the end; comments are passed over."""
        event, data = "message", None
        for line in self.curl.stdout:
            line = line.decode().rstrip("\n")
            if line == "" and data is not None:
                return event, data
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
        self.curl.wait(60)
        return None

    def entries(self, n):
        lines = []
        while len(lines) < n:
            event, data = self.next()
            assert event == "message", (event, data)
            lines += [line for _, line, _ in entries_of(data)]
        return lines

    def kill(self):
        self.curl.kill()
        self.curl.wait()


@short
def test_server_sent_events(env):
    server = env.server("limits_config: {max_concurrent_tail_requests: 1}\n")
    server.push({"app": "a"}, ["before"])
    events = Events(server, '{app="a"}')
    assert events.entries(1) == ["before"]
    server.push({"app": "a"}, ["after"])
    assert events.entries(1) == ["after"]
    answer = http_request("GET", server.url + target(query='{app="a"}'), headers={"Accept": "text/event-stream"})
    assert (answer.status, answer.text) == (429, "max concurrent tail requests limit exceeded, count > limit (2 > 1)")
    events.kill()
    env.wait_for(lambda: server.metric("loki_querier_tail_active") == 0, "the place is free")


@short
def test_deletes_and_replay(env):
    server = env.server("compactor: {retention_enabled: true, delete_request_store: filesystem}\n")
    now = time.time_ns()
    server.push({"app": "a"}, [f"secret {i}" for i in range(5)] + ["kept"], start_ns=now - 10**9)
    answer = server.post("/loki/api/v1/delete?" + urllib.parse.urlencode(
        {"query": '{app="a"} |= "secret"', "start": now // 10**9 - 3600}))
    assert answer.status == 204, answer
    tail = open_tail(server, '{app="a"}')
    server.push({"app": "a"}, ["secret again"])
    assert take(tail, 2) == ["kept", "secret again"]
    server.kill()
    server.restart()
    tail = open_tail(server, '{app="a"}')  # what is replayed is no news
    server.push({"app": "a"}, ["news"])
    assert take(tail, 3) == ["kept", "secret again", "news"]
    tail.close()


@short
def test_over_tls(env):
    file, key = Authority(env).sign("server")
    block = f"server:\n  http_tls_config:\n    cert_file: {file}\n    key_file: {key}\n"
    server = env.server(config=SERVER_CONFIG.replace("server:\n", block, 1), start=False).start()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def open_both():
        tail = WebSocket(server.port, target(query='{app="a"}'), wrap=trusting.wrap_socket)
        argv = ["curl", "-skN", "-H", "Accept: text/event-stream",
                f"https://127.0.0.1:{server.port}" + target(query='{app="a"}')]
        return tail, Events.__new__(Events).run(argv)

    def push(text):
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": [[str(time.time_ns()), text]]}]})
        subprocess.run(["curl", "-skf", "-H", "Content-Type: application/json", "--data-binary", body,
                        f"https://127.0.0.1:{server.port}/loki/api/v1/push"], check=True)

    tail, events = env.wait_for(open_both, "the server listens")
    large = "x" * 100000
    for line in ("first", large, "last"):
        push(line)
        assert take(tail, 1) == [line]
        assert events.entries(1) == [line]
    events.kill()
    assert tail.close() == 1000
    tail, events = open_both()
    assert take(tail, 3) == ["first", large, "last"]
    server.signal(15)
    try:
        tail.receive()
    except Closed as e:
        assert e.code == 1001
    assert server.wait() == 0


class Ctl:
    """larchctl in the background, its lines as they come."""

    def __init__(self, env, *args):
        self.proc = subprocess.Popen(env.command("larchctl", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lines(self, n):
        return [self.proc.stdout.readline().rstrip("\n") for _ in range(n)]

    def stop(self):
        self.proc.terminate()
        out, err = self.proc.communicate(timeout=60)
        return out.splitlines(), err


@short
def test_larchctl_follows(env):
    server = env.server()
    now = time.time_ns()
    server.push({"app": "a"}, [f"old {i}" for i in range(20)], start_ns=now - 10**9)
    ctl = Ctl(env, "tail", "-s", server.url, "-o", "raw", "-n", "3", '{app="a"} |= ""')
    assert ctl.lines(3) == ["old 17", "old 18", "old 19"]
    server.push({"app": "a"}, [(now - 3600 * 10**9, "late"), (now + 1, "new")])
    assert ctl.lines(2) == ["late", "new"]
    server.stop()
    server.restart()
    server.push({"app": "a"}, ["after the restart"])
    assert ctl.lines(1) == ["after the restart"]
    out, err = ctl.stop()
    assert out == [] and "the server is stopping; opening it again" in err, (out, err)
    ctl = Ctl(env, "query", "--tail", "-s", server.url, "-o", "jsonl", "-n", "1", '{app="a"} | drop service_name, detected_level')
    line = json.loads(ctl.lines(1)[0])
    assert line["labels"] == {"app": "a"} and line["line"] == "after the restart", line
    ctl.stop()
    nothing = Ctl(env, "tail", "-s", server.url, "-o", "raw", "-n", "0", "--delay", "1s", '{app="a"}')
    env.wait_for(lambda: server.metric("loki_querier_tail_active") == 1)
    server.push({"app": "a"}, ["first"])
    assert nothing.lines(1) == ["first"]
    nothing.stop()
    bad = env.run("larchctl", "tail", "-s", server.url, 'rate({app="a"}[1m])')
    assert bad.returncode == 1 and "unsupported query expression" in bad.stderr, bad
    assert env.run("larchctl", "tail", "-s", server.url, "--to", "now", '{app="a"}').returncode == 2
