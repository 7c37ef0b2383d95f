# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports of any size, and the context of an entry."""
import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.parse

from harness import short

EXPORT, CONTEXT = "/larch/v1/export", "/larch/v1/context"
LARGE = "limits_config: {ingestion_rate_mb: 200, ingestion_burst_size_mb: 400, per_stream_rate_limit: 200MB, " \
        "per_stream_rate_limit_burst: 400MB}\n"


def export(server, query, **params):
    """Entries as (line, labels), the notes behind them, and whether the answer was whole."""
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    conn.request("GET", EXPORT + "?" + urllib.parse.urlencode({"query": query, **params}))
    answer = conn.getresponse()
    whole = True
    try:
        text = answer.read().decode()
    except http.client.IncompleteRead as e:
        text, whole = e.partial.decode(), False
    conn.close()
    assert answer.status == 200, (answer.status, text)
    entries, notes = [], {}
    for item in map(json.loads, text.splitlines()):
        if "line" in item:
            assert not notes, "a note stands behind all entries"
            entries.append((item["line"], item["labels"]))
        else:
            notes.update(item)
    return entries, notes, whole


def fill(server, n, streams=5, per_time=7):
    """n numbered lines in some streams, several at one time; oldest first."""
    start = time.time_ns() - 3000 * 10**9
    for k in range(streams):
        server.push({"app": "a", "host": str(k)}, [(start + i // per_time, f"line {i}") for i in range(k, n, streams)])
    return start


@short
def test_all_entries_in_any_form(env):
    server = env.server()
    fill(server, 3000)
    server.push({"app": "b"}, ["<other> \"quoted\" \x01 é"])
    entries, notes, whole = export(server, '{app="a"}')
    assert whole and notes == {} and len(entries) == 3000
    assert sorted(line for line, _ in entries) == sorted(f"line {i}" for i in range(3000))
    numbers = [int(line.split()[1]) // 7 for line, _ in entries]
    assert numbers == sorted(numbers)
    assert entries[0][1]["host"] in "01234" and entries[0][1]["app"] == "a"
    backward, _, _ = export(server, '{app="a"}', direction="backward")
    assert backward == entries[::-1]
    some, _, _ = export(server, '{app="a"} |= "99" | line_format "{{.host}}"', direction="backward")
    assert len(some) == sum("99" in str(i) for i in range(3000)) and {line for line, _ in some} == set("01234")
    raw = server.get(EXPORT, query='{app=~"a|b"}', format="raw")
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.text.splitlines() == [line for line, _ in entries] + ['<other> "quoted" \x01 é']
    posted = server.post(EXPORT, urllib.parse.urlencode({"query": '{app="b"}'}), "application/x-www-form-urlencoded")
    assert posted.json()["line"] == '<other> "quoted" \x01 é', posted
    assert posted.headers["Content-Type"] == "application/x-ndjson"
    assert 'msg=export tenant=fake query="{app=\\"b\\"}"' in server.log() and "end=done" in server.log()


@short
def test_pages_go_on_where_they_stopped(env):
    server = env.server()
    fill(server, 1000)
    query = '{app="a"} |~ "[0-8]$"'
    for direction in ("forward", "backward"):
        want, _, _ = export(server, query, direction=direction)
        got, cursor, pages = [], "", 0
        while cursor is not None:
            page, notes, _ = export(server, query, direction=direction, limit=37, cursor=cursor)
            got += page
            cursor = notes.get("cursor")
            pages += 1
            assert len(page) == 37 or cursor is None
            if pages == 5:
                server.post("/flush")
            if pages == 9:
                server.push({"app": "a", "host": "new"}, [(time.time_ns() - 3300 * 10**9, "behind or ahead 1")])
        assert pages == -(-len(got) // 37) and pages > 20
        assert [e for e in got if "behind" not in e[0]] == [e for e in want if "behind" not in e[0]]
    _, notes, _ = export(server, query, limit=1)
    for params in ({"cursor": "x"}, {"cursor": notes["cursor"], "direction": "backward"},
                   {"cursor": notes["cursor"][:-1] + "g"}):
        answer = server.get(EXPORT, query=query, **params)
        assert answer.status == 400 and answer.text.startswith("cursor: "), answer


@short
def test_refusals(env):
    server = env.server("larch: {max_exports: 1}\n")
    fill(server, 10)
    for params, text in (({"query": ""}, "parse error"), ({"query": 'rate({app="a"}[1m])'}, "unsupported query"),
                         ({"query": '{app="a"}', "format": "xml"}, 'format: "xml" is none'),
                         ({"query": '{app="a"}', "start": "x"}, "could not parse 'start'"),
                         ({"query": '{app="a"}', "direction": "up"}, "invalid direction")):
        answer = server.get(EXPORT, **params)
        assert answer.status == 400 and answer.text.startswith(text), answer
    # A range that a query may not have; limits of answers mean nothing here.
    entries, _, _ = export(server, '{app="a"}', start=1)
    assert len(entries) == 10


class Reader:
    """A client of an export that reads when it is told to."""

    def __init__(self, server, query, **params):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(60)
        self.sock.connect(("127.0.0.1", server.port))
        target = EXPORT + "?" + urllib.parse.urlencode({"query": query, "format": "raw", **params})
        self.sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        self.got = self.sock.recv(1000)
        assert self.got.startswith(b"HTTP/1.1 200"), self.got

    def rest(self):
        parts = [self.got]
        while part := self.sock.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


def running(server):
    return [q for q in server.get("/larch/v1/queries").json()["queries"] if q["route"] == "larch_v1_export"]


def test_slow_readers_hold_nothing(env):
    server = env.server(LARGE + "larch: {memory_limit: 64MB, max_exports: 3}\n")
    total = 0
    for k in range(12):
        server.push({"app": "a"}, [f"{total + i:08} " + "x" * 1000 for i in range(2000)])
        total += 2000
    readers = [Reader(server, '{app="a"}') for _ in range(3)]
    assert len(running(server)) == 3
    answer = server.get(EXPORT, query='{app="a"}')
    assert answer.status == 429 and "larch.max_exports" in answer.text, answer
    # Pushes go on although heads would be full if the readers held them, and so do queries.
    for k in range(40):
        server.push({"app": "b"}, ["y" * 1000 for _ in range(2000)])
        if k % 10 == 0:
            time.sleep(1)
    assert server.lines('{app="a"}', limit=1, direction="forward")[0].startswith("00000000")
    # One goes, one is cancelled, one reads on and has everything exactly once.
    readers[0].sock.close()
    env.wait_for(lambda: len(running(server)) == 2, "the place of who has gone is free", timeout=10)
    status = http_delete(server, f"/larch/v1/queries/{running(server)[0]['id']}")
    assert status in (200, 204), status
    env.wait_for(lambda: len(running(server)) == 1, "the place of what was cancelled is free")
    whole = [None, None]

    def read(i):
        try:
            whole[i] = readers[i + 1].rest()
        except OSError:
            whole[i] = b""

    threads = [threading.Thread(target=read, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    bodies = [unchunk(w.split(b"\r\n\r\n", 1)[1]) for w in whole if b"\r\n\r\n" in w]
    complete = [lines(b) for b, ended in bodies if ended]
    assert len(complete) == 1
    assert [int(line.split()[0]) for line in complete[0]] == list(range(total))
    env.wait_for(lambda: not running(server), "all are over")


def lines(body):
    return body.decode().splitlines()


def http_delete(server, path):
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    conn.request("DELETE", path)
    return conn.getresponse().status


def unchunk(data):
    """The body, and whether it ends as it should."""
    out = []
    while data:
        size, _, data = data.partition(b"\r\n")
        n = int(size or b"0", 16)
        if n == 0:
            return b"".join(out), bool(size)
        out.append(data[:n])
        data = data[n + 2:]
    return b"".join(out), False


@short
def test_who_goes_cancels_the_search(env):
    server = env.server(LARGE)
    for _ in range(4):
        server.push({"app": "a"}, ["x" * 1000 for _ in range(3000)])
    sock = socket.create_connection(("127.0.0.1", server.port))
    target = EXPORT + "?" + urllib.parse.urlencode({"query": '{app="a"} |= "never" |~ "(x|y)*z$"'})
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    sock.close()
    env.wait_for(lambda: not running(server), "nothing runs", timeout=20)


@short
def test_context(env):
    server = env.server()
    start = fill(server, 200, streams=3)
    server.post("/flush")
    order, _, _ = export(server, '{app="a"}')
    lines_in_order = [line for line, _ in order]

    def context(**params):
        answer = server.get(CONTEXT, query='{app="a"}', **params)
        assert answer.status == 200, answer
        answer = answer.json()
        return [s["values"][0][1] for s in answer["data"]["streams"]], answer["entry"]

    for i in (0, 1, 57, 100, 198, 199):
        at = lines_in_order.index(f"line {i}")
        got, entry = context(ts=start + i // 7, line=f"line {i}", before=8, after=3)
        assert got == lines_in_order[max(0, at - 8):at + 4], (i, got)
        assert entry == min(at, 8)
    got, entry = context(ts=start)
    assert len(got) == 11 and entry == 0
    got, entry = context(ts=start, line="line 1", before=0, after=0)
    assert (got, entry) == (["line 1"], 0)
    got, entry = context(ts=start, stream='{host="2", app="a", service_name="a"}', before=0, after=0)
    assert got == ["line 2"]
    got, _ = context(ts=start - 1000, within=1000, line="line 0", before=1, after=0)
    assert got == ["line 0"]
    for params, status, text in (({}, 400, "ts is missing"), ({"ts": start, "line": "nothing"}, 404, "there is no such entry"),
                                 ({"ts": start, "before": -1}, 400, "before has to be"),
                                 ({"ts": start, "after": 5001}, 400, "after has to be"),
                                 ({"ts": start, "stream": "{"}, 400, "stream: ")):
        answer = server.get(CONTEXT, query='{app="a"}', **params)
        assert (answer.status, answer.text[:len(text)]) == (status, text), answer


@short
def test_larchctl(env):
    server = env.server()
    fill(server, 500)
    order, _, _ = export(server, '{app="a"}')
    everything = [line for line, _ in order]
    out = env.run("larchctl", "export", "-s", server.url, "-o", "raw", '{app="a"}')
    assert out.returncode == 0 and out.stdout.splitlines() == everything, out.stderr
    out = env.run("larchctl", "export", "-s", server.url, "--backward", "--since", "2h", '{app="a"}')
    assert [json.loads(line)["line"] for line in out.stdout.splitlines()] == everything[::-1], out.stderr
    out = env.run("larchctl", "export", "-s", server.url, "sum(1)")
    assert out.returncode == 1 and "answered 400" in out.stderr, out
    row = json.loads(env.run("larchctl", "export", "-s", server.url, '{app="a"} |= "line 300"').stdout)
    out = env.run("larchctl", "context", "-s", server.url, "-o", "raw", "--at", row["timestamp"], "--line", "line 300",
                  "-C", "2", '{app="a"}')
    at = everything.index("line 300")
    assert out.stdout.splitlines() == everything[at - 2:at + 3], out
    out = env.run("larchctl", "context", "-s", server.url, "--at", row["timestamp"], "--line", "line 300", "-B", "1", "-A", "0",
                  '{app="a"}')
    first, second = out.stdout.splitlines()
    assert first.startswith("  ") and second.startswith("> ") and second.endswith("line 300"), out
    # The time as the default output shows it, to the millisecond, will do.
    short_time = row["timestamp"].split(".")[0] + "." + row["timestamp"].split(".")[1].rstrip("Z").ljust(9, "0")[:3] + "Z"
    out = env.run("larchctl", "context", "-s", server.url, "-o", "raw", "--at", short_time, "--line", "line 300", "-C", "0",
                  '{app="a"}')
    assert out.stdout == "line 300\n", out
    # A reader that has enough ends it without a complaint.
    argv = " ".join(env.command("larchctl", "export", "-s", server.url, "-o", "raw", "'{app=\"a\"}'"))
    out = subprocess.run(["sh", "-c", argv + " | head -n 3"], capture_output=True, text=True)
    assert out.stdout.splitlines() == everything[:3] and out.stderr == "", out
