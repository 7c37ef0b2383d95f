# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at random moments of load, flush, compaction, deletes, upload and replay, over and over on one directory, with
what clients were told checked in between.

CRASH_KILLS says how often (a dozen by default; `make crash` 200), CRASH_SEED from which seed on. A seed repeats what is
sent and when the server is killed, as far as the machine's timing lets it."""
import contextlib
import os
import random
import threading
import time
import urllib.parse

from fake_s3 import Bucket
from harness import SERVER_CONFIG, tenant_header
from ledger import SEC, Ledger

MORE = """\
limits_config: {ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB,
  per_stream_rate_limit_burst: 1GB, max_query_series: 5000}
ingester: {max_chunk_age: 3s, chunk_idle_period: 1s}
compactor: {compaction_interval: 200ms, delete_request_cancel_period: 300ms}
"""
SMALL = "{flush_bytes: 1MB, compaction_target: 1MB, compaction_grace: 1s, compaction_cpu: 100}"
TENANTS = ("one", "two", "three")


class Victims:
    """Lines that one client pushes and has deleted, in batches. The state of each line: "sent" and "doomed" (a delete
    was not answered) may be there, "acked" must and "deleted" must not."""

    def __init__(self, tenant):
        self.tenant, self.state, self.batches = tenant, {}, 0

    def push(self, server):
        self.batches += 1
        self.send(server, [(time.time_ns() - 60 * SEC + i, f"batch {self.batches} line {i}") for i in range(20)])

    def send(self, server, lines):
        for line in lines:
            if self.state.get(line) != "acked":
                self.state[line] = "sent"
        rows = [[str(ts), line] for ts, line in lines]
        answer = server.post("/loki/api/v1/push", {"streams": [{"stream": {"app": "victims"}, "values": rows}]},
                             headers=tenant_header(self.tenant))
        if answer.status == 204:
            self.state.update(dict.fromkeys(lines, "acked"))

    def delete(self, server, rnd):
        """Sometimes what was deleted is sent again, and is there again."""
        batch = f"batch {rnd.randint(max(1, self.batches - 5), self.batches)} "
        lines = [line for line in self.state if line[1].startswith(batch)]
        self.state.update(dict.fromkeys(lines, "doomed"))
        query = urllib.parse.urlencode({"query": '{app="victims"} |= "%s"' % batch, "start": time.time_ns() // SEC - 7200})
        answer = server.post("/loki/api/v1/delete?" + query, headers=tenant_header(self.tenant))
        if answer.status != 204:
            assert answer.status == 503, answer
            return
        self.state.update(dict.fromkeys(lines, "deleted"))
        if rnd.random() < .3:
            self.send(server, rnd.sample(lines, min(len(lines), 5)))

    def check(self, server):
        got = [(ts, line) for ts, line, _ in server.entries('{app="victims"}', tenant=self.tenant)]
        assert len(got) < 5000 and len(set(got)) == len(got), "lines twice, or more than a page"
        for line, state in self.state.items():
            there = line in got
            assert there or state != "acked", f"{line} was acknowledged and is lost"
            assert not there or state != "deleted", f"{line} was deleted and is answered"
        assert set(got) <= set(self.state), sorted(set(got) - set(self.state))[0]


class Commands:
    """What a user asks for beside pushing, at random moments, until told to stop."""

    def __init__(self, server, seed, more=()):
        self.server, self.rnd, self.failure = server, random.Random(seed), None
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.victims = [Victims(tenant) for tenant in TENANTS]
        self.kinds = [self.flush, self.query, self.push, self.push, self.delete, self.compact, *more]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stop.wait(self.rnd.random() * .1):
                with self.lock, contextlib.suppress(OSError):
                    self.rnd.choice(self.kinds)()
        except AssertionError as e:
            self.failure = e

    def flush(self):
        self.server.post("/flush", headers=tenant_header("one"))

    def push(self):
        self.rnd.choice(self.victims).push(self.server)

    def delete(self):
        victims = self.rnd.choice(self.victims)
        if victims.batches:
            victims.delete(self.server, self.rnd)

    def compact(self):
        answer = self.server.post("/larch/v1/compact", headers=tenant_header("one"))
        assert answer.status in (200, 503), answer

    def query(self):
        answer = self.server.get("/loki/api/v1/query", headers=tenant_header(self.rnd.choice(TENANTS)),
                                 query='count_over_time({app="ledger"}[1h])', time=time.time_ns())
        assert answer.status in (200, 503), answer

    def check(self):
        """With the lock held: nothing is under way."""
        for victims in self.victims:
            victims.check(self.server)
        if self.failure:
            raise self.failure

    def finish(self):
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.failure:
            raise self.failure


def kill_somewhere(env, server, rnd, ledgers):
    """Lets the server work for a while, or hardly, and kills it. What it was doing then."""
    if rnd.random() < .3:  # in the middle of its start
        time.sleep(rnd.random() * .06)
        server.kill()
        return "start"
    env.wait_for(lambda: server.get("/ready").status == 200, "the server to be ready")
    want = len(ledgers[0].acked) + rnd.randrange(300)
    env.wait_for(lambda: len(ledgers[0].acked) >= want, "acknowledgements")
    time.sleep(rnd.random() * .1)
    server.kill()
    return "load"


def check(server, ledgers, commands, before):
    """With nothing under way, everything is as clients were told."""
    with commands.lock:
        before()
        server.wait_ready()
        for ledger in ledgers:
            ledger.pause()
        for ledger in ledgers:
            ledger.check(server)
        commands.check()
        for ledger in ledgers:
            ledger.resume()


def crash(env, server, kills, seed, before_check=lambda: None, commands=()):
    rnd = random.Random(seed)
    ledgers = [Ledger(tenant, hours=60) for tenant in TENANTS]
    for i, ledger in enumerate(ledgers):
        ledger.start(server, writers=1, seed=seed + 10 * i)
    commands = Commands(server, seed, commands)
    moments = {"start": 0, "load": 0}
    for i in range(1, kills + 1):
        moments[kill_somewhere(env, server, rnd, ledgers)] += 1
        server.start()
        if i % 20 == 0 or i == kills:
            check(server, ledgers, commands, before_check)
            log = server.log()
            did = {what: log.count(f'msg="{what}"') + log.count(f"msg={what} ")
                   for what in ("flushed", "merged segments", "delete requests are done")}
            print(f"{i} kills ({moments}), {did}, {sum(len(x.acked) for x in ledgers)} entries acknowledged and there",
                  flush=True)
    commands.finish()
    for ledger in ledgers:
        ledger.finish()
    before_check()
    server.wait_ready()
    env.wait_for(lambda: server.post("/flush", headers=tenant_header("one")).status == 204, "a flush")
    for ledger in ledgers:
        assert ledger.check(server) >= len(ledger.acked) > 100
    commands.check()


def settings():
    kills, seed = int(os.environ.get("CRASH_KILLS", 12)), int(os.environ.get("CRASH_SEED", time.time_ns() % 10**6))
    print(f"CRASH_SEED={seed}", flush=True)
    return kills, seed


def test_kills(env):
    config = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true") + MORE + f"larch: {SMALL}\n"
    crash(env, env.server(config=config), *settings())


def test_kills_with_a_bucket(env):
    """The same with the data in a bucket that is away now and then, and loses answers."""
    bucket, (kills, seed) = Bucket(env), settings()
    rnd = random.Random(seed)
    bucket.fault = lambda method, name: rnd.choice(["lose", "hang up", 500, 503]) if rnd.random() < .03 else None

    def outage():
        bucket.down = rnd.random() < .5

    def back():
        bucket.down = False

    config = bucket.config("".join(f"  {x.strip()}\n" for x in SMALL[1:-1].split(","))) + MORE
    server = env.server(config=config.replace("auth_enabled: false", "auth_enabled: true"))
    crash(env, server, kills, seed, back, [outage])
