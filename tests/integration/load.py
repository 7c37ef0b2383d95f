# SPDX-License-Identifier: GPL-2.0-or-later
"""Many clients at once, on one thread: connections that push and query at a steady pace, and how long answers take.

    load = Load(server.port)
    with beside(server.port, seconds, clients) as others:      # in a process of their own
        load.run(seconds, [*(load.pusher("tenant", n) for n in range(200)), *(load.querier("tenant", n) for n in range(50))])
    load.percentile("push", 99); load.acknowledged["tenant"]; others.statuses
"""
import asyncio
import collections
import contextlib
import json
import multiprocessing
import os
import random
import time
import urllib.parse

LINES = 20  # of a push


class Connection:
    """HTTP/1.1 kept alive; opened again when the other side has closed it."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def ask(self, method, target, headers, body=b""):
        """Status and body of the answer; (0, b"") where the connection broke."""
        try:
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
            head = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"] + [f"{k}: {v}" for k, v in headers.items()]
            self.writer.write("\r\n".join(head + ["", ""]).encode() + body)
            await self.writer.drain()
            return await self._answer()
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""

    async def _answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(head[0].split(" ")[1]), body

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.writer = None


@contextlib.contextmanager
def beside(port, seconds, clients):
    """Runs clients(load) in another process, which yields to this one; what it counted is in the Load when it is over."""
    load, queue = Load(port), multiprocessing.Queue()

    def run():
        os.nice(10)
        load.run(seconds, clients(load))
        queue.put((dict(load.took), dict(load.statuses), load.errors))
    process = multiprocessing.Process(target=run)
    process.start()
    yield load
    took, statuses, load.errors = queue.get(timeout=seconds + 60)
    load.took.update(took)
    load.statuses.update(statuses)
    process.join()


class Load:
    def __init__(self, port, pace=0.5):
        """pace: seconds from one push of a client to its next; queries are asked half as often."""
        self.port, self.pace, self.until = port, pace, 0
        self.took = collections.defaultdict(list)          # kind → seconds
        self.statuses = collections.defaultdict(collections.Counter)  # kind → status
        self.acknowledged = collections.defaultdict(set)   # tenant → lines
        self.errors = {}                                   # kind → text of the last one

    def run(self, seconds, clients):
        async def all_of_them():
            self.until = time.monotonic() + seconds
            await asyncio.gather(self._watch(), *clients)
        asyncio.run(all_of_them())

    def percentile(self, kind, p):
        v = sorted(self.took[kind])
        return v[min(len(v) - 1, len(v) * p // 100)] if v else 0.0

    async def _watch(self):
        """How late this thread's own clock is: what of the latencies is ours."""
        while time.monotonic() < self.until:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.took["own delay"].append(time.monotonic() - due)

    async def _ask(self, kind, conn, *request):
        began = time.monotonic()
        status, body = await conn.ask(*request)
        self.took[kind].append(time.monotonic() - began)
        self.statuses[kind][status] += 1
        if status >= 300:
            self.errors[kind] = body.decode("utf-8", "replace")[:300]
        return status, body

    async def _paced(self, conn, pace, step):
        await asyncio.sleep(random.random() * pace)
        while time.monotonic() < self.until:
            due = time.monotonic() + pace
            await step()
            await asyncio.sleep(max(0, due - time.monotonic()))
        conn.close()

    # ---- clients that behave ----

    async def pusher(self, tenant, n, kind="push"):
        conn = Connection(self.port)
        headers = {"Content-Type": "application/json", "X-Scope-OrgID": tenant}
        sent = 0

        async def step():
            nonlocal sent
            lines = [f"level={random.choice(['info', 'warn', 'error'])} client={n} of={kind[-5:]} seq={sent + i} took={random.random():.3f}" for i in range(LINES)]
            at = time.time_ns()
            body = {"streams": [{"stream": {"app": "load", "client": str(n)}, "values": [[str(at + i), line] for i, line in enumerate(lines)]}]}
            status, _ = await self._ask(kind, conn, "POST", "/loki/api/v1/push", headers, json.dumps(body).encode())
            if status == 204:
                self.acknowledged[tenant].update(lines)
                sent += LINES
        await self._paced(conn, self.pace, step)

    QUERIES = ('{app="load", client="%d"}', '{app="load"} |= "level=error"', 'sum by (level) (count_over_time({app="load"} | logfmt [5s]))',
               'sum(count_over_time({app="load"}[5s]))')

    async def querier(self, tenant, n, kind="query"):
        conn = Connection(self.port)

        async def step():
            query = self.QUERIES[n % len(self.QUERIES)]
            now = time.time_ns()
            params = {"query": query % n if "%d" in query else query, "start": now - 10 * 10**9, "end": now, "limit": 100}
            await self._ask(kind, conn, "GET", "/loki/api/v1/query_range?" + urllib.parse.urlencode(params), {"X-Scope-OrgID": tenant})
        await self._paced(conn, 2 * self.pace, step)

    # ---- clients that do not, as fast as they can ----

    async def greedy(self, tenant, request, kind="greedy"):
        conn = Connection(self.port)
        while time.monotonic() < self.until:
            method, target, headers, body = request()
            await self._ask(kind, conn, method, target, {"X-Scope-OrgID": tenant, **headers}, body)
            await asyncio.sleep(0)
        conn.close()
