# SPDX-License-Identifier: GPL-2.0-or-later
"""What clients were told: pushes on many threads through crashes, and the comparison with what is answered."""
import collections
import json
import random
import threading
import time

from harness import tenant_header

SEC = 10**9


class Ledger:
    """Keeps every entry that was ever sent and every one that was acknowledged. An entry is (stream, ts, line);
    one that is sent twice is still one entry."""

    def __init__(self, tenant=None, hours=1):
        """hours: how old entries may be when they are sent."""
        self.tenant, self.hours = tenant, hours
        self.lock = threading.Lock()
        self.sent, self.acked = set(), set()
        self.stop = threading.Event()
        self.failure = None

    def push(self, server, rows):
        """rows: (stream name, ts, line). True: acknowledged."""
        try:
            return self.send(server, rows).status == 204
        except OSError:
            return False

    def send(self, server, rows):
        """The answer to a push of rows."""
        streams = collections.defaultdict(list)
        for name, ts, line in rows:
            streams[name].append([str(ts), line])
        body = json.dumps({"streams": [{"stream": {"app": "ledger", "name": n}, "values": v} for n, v in streams.items()]})
        with self.lock:
            self.sent.update(rows)
        answer = server.post("/loki/api/v1/push", body, headers=tenant_header(self.tenant))
        assert answer.status in (204, 429, 503), answer
        if answer.status == 204:
            with self.lock:
                self.acked.update(rows)
        return answer

    def writer(self, server, number, idle):
        """Pushes until told to stop: repeated identical lines, equal timestamps, late entries, pushes sent again."""
        rnd = random.Random(number)
        start = time.time_ns()
        last = None
        n = 0
        while not self.stop.is_set():
            if not self.running.is_set():
                idle.set()
                self.running.wait()
                continue
            n += 1
            rows = []
            for i in range(rnd.randrange(1, 30)):
                ts = start + n * SEC // 1000 + rnd.choice([0, 0, i, -rnd.randrange(3600 * self.hours) * SEC])
                line = rnd.choice(["the same line", f"writer {number} push {n} line {i}", "x" * rnd.randrange(2000)])
                rows.append((f"{number}-{rnd.randrange(3)}", ts, line))
            ok = self.push(server, rows)
            if last and rnd.random() < .2:
                self.push(server, last)
            last = rows
            if not ok:
                time.sleep(.01)

    def start(self, *servers, writers=3, seed=0):
        self.running = threading.Event()
        self.running.set()
        self.idle = [threading.Event() for _ in range(writers)]
        self.threads = [threading.Thread(target=self.guarded, args=(servers[i % len(servers)], seed + i, self.idle[i]), daemon=True)
                        for i in range(writers)]
        for t in self.threads:
            t.start()

    def guarded(self, server, number, idle):
        try:
            self.writer(server, number, idle)
        except AssertionError as e:
            self.failure = e
        finally:
            idle.set()

    def pause(self):
        """Nothing is being sent when it returns."""
        self.running.clear()
        for idle in self.idle:
            assert idle.wait(60)

    def resume(self):
        for idle in self.idle:
            idle.clear()
        self.running.set()

    def finish(self):
        self.stop.set()
        self.running.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()
        if self.failure:
            raise self.failure

    def answered(self, server):
        """Every entry the server answers, paged by time; duplicates fail at once."""
        seen = collections.Counter()
        end = max(ts for _, ts, _ in self.sent) + 1
        begin = min(ts for _, ts, _ in self.sent)
        for name in sorted({n for n, _, _ in self.sent}):
            start = begin
            while start < end:
                rows = server.entries('{app="ledger", name="%s"}' % name, start=start, end=end, limit=5000,
                                      tenant=self.tenant)
                full = len(rows) == 5000
                last = rows[-1][0] if full else end
                # A page may end in the middle of equal timestamps: its last ones are read again with the next.
                page = [r for r in rows if r[0] < last] if full else rows
                assert page or not rows, "more than a page of entries with one timestamp"
                seen.update((name, ts, line) for ts, line, _ in page)
                start = last
        twice = [e for e, count in seen.items() if count > 1]
        assert not twice, f"{len(twice)} entries answered more than once, such as {twice[0]}"
        return set(seen)

    def check(self, server):
        got = self.answered(server)
        lost, invented = self.acked - got, got - self.sent
        assert not lost, f"{len(lost)} of {len(self.acked)} acknowledged entries are lost, such as {sorted(lost)[0]}"
        assert not invented, f"{len(invented)} entries were never sent, such as {sorted(invented)[0]}"
        query = 'sum(count_over_time({app="ledger"}[%dh]))' % (self.hours + 24)
        vector = server.instant(query, at=time.time_ns() + 3600 * SEC, tenant=self.tenant)["result"]
        count = sum(int(s["value"][1]) for s in vector)
        assert count == len(got), f"count_over_time says {count}, {len(got)} entries are answered"
        return len(got)
