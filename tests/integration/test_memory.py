# SPDX-License-Identifier: GPL-2.0-or-later
"""larch-server's memory is bounded: by larch.memory_limit, whatever clients send and however much is to be replayed."""
import collections
import json
import os
import re
import select
import socket
import threading
import time

from ledger import SEC
from test_server import OPEN_LIMITS

MIB = 1 << 20
# Limits are about the server's own memory; the code it is made of and thread stacks come on top.
OVERHEAD = 48


def peak(server):
    """The most memory the process ever had, MiB."""
    with open(f"/proc/{server.pid}/status") as f:
        return [int(l.split()[1]) // 1024 for l in f if l.startswith("VmHWM")][0]


def sanitized(env):
    return os.path.basename(env.build) in ("asan", "tsan")


def body_of(size, start):
    """A JSON push of about so many bytes, with lines of 100 kB."""
    rows = [[str(start + i), f"{i:08d}" + "x" * 100000] for i in range(size // 100000)]
    return json.dumps({"streams": [{"stream": {"app": "large"}, "values": rows}]}).encode()


def send_large(server, body, chunked, answers):
    """Sends as much of the body as the server takes; the status it answers, or "closed"."""
    head = "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {len(body)}\r\n\r\n"
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as s:
        try:
            s.sendall(head.encode())
            for at in range(0, len(body), 1 << 18):
                if select.select([s], [], [], 0)[0]:
                    break  # it may answer before it has read all
                part = body[at:at + (1 << 18)]
                s.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            else:
                s.sendall(b"0\r\n\r\n" if chunked else b"")
        except OSError:
            pass
        try:
            while b"\r\n" not in got and (piece := s.recv(4096)):
                got += piece
        except OSError:
            pass
    answers.append(got.split(b" ")[1].decode() if got else "closed")


def send_all(server, body, chunked, n):
    """The same on n connections at once: how often which answer came."""
    answers = []
    threads = [threading.Thread(target=send_large, args=(server, body, chunked, answers)) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return collections.Counter(answers)


def test_large_bodies_get_503(env):
    """200 connections with 100 MB each, and with what would fit alone: some may be taken, none harms the process."""
    server = env.server(OPEN_LIMITS)
    start = time.time_ns() - 3600 * SEC
    taken = 0
    for connections, size, chunked in ((200, 100 * 10**6, False), (4, 100 * 10**6, True), (200, 3 * 10**6, True)):
        count = send_all(server, body_of(size, start), chunked, connections)
        start += 10**6
        print(f"{connections} of {size} bytes, chunked {chunked}: {count}, peak {peak(server)} MiB", flush=True)
        assert set(count) <= {"204", "413", "503", "closed"}, count
        assert count["503"] + count["413"] + count["closed"] > 0, count
        taken += count["204"] > 0
        assert server.get("/ready").status == 200
    if not sanitized(env):
        assert peak(server) <= 256 + OVERHEAD
    assert taken, "a body that fits was never taken"
    server.push({"app": "a"}, ["alive"])
    assert server.lines('{app="a"}') == ["alive"]


def fill_log(server, n):
    """Pushes n MiB of lines; how many lines."""
    start, lines = time.time_ns() - 3600 * SEC, 0
    filler = "the quick brown fox jumps over the lazy dog " * 23
    while n > 0:
        rows = [[str(start + lines + i), f"{lines + i:010d} {filler}"] for i in range(4096)]
        body = {"streams": [{"stream": {"app": "log", "part": str(n % 10)}, "values": rows}]}
        answer = server.post("/loki/api/v1/push", body)
        assert answer.status == 204, answer
        lines += len(rows)
        n -= 4
    return lines


def test_a_log_ten_times_the_memory_replays(env):
    """A server with memory for it takes 320 MiB that are never flushed, and is killed; one with 32 MiB has it back,
    tells how far it is, and answers what it has in the meantime."""
    large, small = "larch: {memory_limit: 4GB, flush_bytes: 1GB}\n", "larch: {memory_limit: 32MB}\n"
    server = env.server(OPEN_LIMITS + large)
    lines = fill_log(server, 320)
    server.kill()
    wal = env.path("server-data", "larch", "wal")
    assert sum(os.path.getsize(os.path.join(wal, f)) for f in os.listdir(wal)) > 320 * MIB
    with open(env.path("server.yaml"), "r+") as f:
        text = f.read().replace(large, small)
        f.seek(0)
        f.truncate()
        f.write(text)
    server.start()
    texts, warnings = set(), set()

    def ready():
        answer = server.get("/ready")
        if answer.status == 200:
            return True
        texts.add(answer.text)
        part = server.get("/loki/api/v1/query", query='count_over_time({app="log"}[2h])').json()
        warnings.update(part.get("warnings", []))
        body = {"streams": [{"stream": {"a": "b"}, "values": [[str(time.time_ns()), "x"]]}]}
        assert server.post("/loki/api/v1/push", body).status in (204, 503)
        return False

    env.wait_for(ready, "the log to be replayed", timeout=240)
    assert any(re.search(r"replaying the write-ahead log: \d+%", t) for t in texts), texts
    assert any("replay" in w for w in warnings), warnings
    if not sanitized(env):
        print(f"peak {peak(server)} MiB", flush=True)
        assert peak(server) <= 32 + OVERHEAD
    counts = server.instant('sum(count_over_time({app="log"}[2h]))')["result"]
    assert [int(s["value"][1]) for s in counts] == [lines], (counts, lines)
    env.wait_for(lambda: server.post("/flush").status == 204, "a flush")
    assert sum(os.path.getsize(os.path.join(wal, f)) for f in os.listdir(wal)) < 64 * MIB


STREAMS, ROUNDS, EACH = 20000, 12, 2


def push_many_streams(server, start):
    """ROUNDS times EACH lines into every stream; what the lines of round r say."""
    at = start
    for r in range(ROUNDS):
        for first in range(0, STREAMS, 4000):
            streams = []
            for i in range(first, first + 4000):
                labels = {"app": f"app{i % 100}", "pod": f"app{i % 100}-{i:06x}"}
                rows = [[str(at + k), f"round {r} line {k} of pod {i} says connection refused"] for k in range(EACH)]
                streams.append({"stream": labels, "values": rows})
                at += 1000
            answer = server.post("/loki/api/v1/push", {"streams": streams})
            assert answer.status == 204, answer
        assert server.post("/flush").status == 204
    return at


def test_many_streams_in_many_segments(env):
    """20,000 streams in a dozen segments that nothing merges: a query reads of their indexes what it needs, and
    ingest, restart and queries stay within the memory limit."""
    server = env.server("limits_config: {max_global_streams_per_user: 0, max_query_series: 1000, "
                        "ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000}\n"
                        "larch: {memory_limit: 64MB, compaction: false}\n")
    start = time.time_ns() - 1800 * SEC
    end = push_many_streams(server, start) + SEC
    segments = env.path("server-data", "larch", "store", "fake", "segments")
    assert len(os.listdir(segments)) >= ROUNDS, os.listdir(segments)
    ingest = peak(server)
    server.stop()
    server.start()
    server.wait_ready()
    pod = f"app7-{107:06x}"
    assert len(server.lines(f'{{pod="{pod}"}}', start=start, end=end)) == ROUNDS * EACH
    selective = peak(server)
    assert len(server.lines('{app="app7"} |= "round 3 line 1"', start=start, end=end)) == STREAMS // 100
    assert len(server.lines('{app=~".+"}', start=start, end=end, limit=100, direction="backward")) == 100
    assert server.lines('{app=~".+"} |= "nobody says this"', start=start, end=end) == []
    counts = server.instant('sum by (app) (count_over_time({app=~".+"} |= "refused" [1h]))', at=end)["result"]
    assert {int(s["value"][1]) for s in counts} == {STREAMS // 100 * ROUNDS * EACH}, counts
    assert len(counts) == 100
    print(f"peaks: ingest {ingest} MiB, one stream {selective} MiB, all streams {peak(server)} MiB", flush=True)
    if not sanitized(env):
        assert ingest <= 64 + OVERHEAD
        assert selective <= 32
        assert peak(server) <= 64 + OVERHEAD
