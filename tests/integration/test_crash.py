# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at random moments of load, flush and replay, over and over on one directory, with what clients were told
checked in between.

CRASH_KILLS says how often (a dozen by default; `make crash` 200), CRASH_SEED from which seed on. A seed repeats what is
sent and when the server is killed, as far as the machine's timing lets it."""
import contextlib
import os
import random
import threading
import time

from harness import SERVER_CONFIG, tenant_header
from ledger import SEC, Ledger

CONFIG = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true") + """\
limits_config: {ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB,
  per_stream_rate_limit_burst: 1GB, max_query_series: 5000}
ingester: {max_chunk_age: 3s, chunk_idle_period: 1s}
larch: {flush_bytes: 1MB}
"""
TENANTS = ("one", "two", "three")


class Commands:
    """What a user asks for beside pushing, at random moments, until told to stop."""

    def __init__(self, server, seed):
        self.server, self.rnd, self.stop = server, random.Random(seed), threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stop.wait(self.rnd.random() * .2):
                with contextlib.suppress(OSError):
                    self.rnd.choice([self.flush, self.query])()
        except AssertionError as e:
            self.failure = e

    def flush(self):
        self.server.post("/flush", headers=tenant_header("one"))

    def query(self):
        """An answer is right or says what it lacks; while the log is being replayed it says so."""
        answer = self.server.get("/loki/api/v1/query", headers=tenant_header(self.rnd.choice(TENANTS)),
                                 query='count_over_time({app="ledger"}[1h])', time=time.time_ns())
        assert answer.status in (200, 503), answer

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


def test_kills(env):
    kills, seed = int(os.environ.get("CRASH_KILLS", 12)), int(os.environ.get("CRASH_SEED", time.time_ns() % 10**6))
    print(f"CRASH_SEED={seed}", flush=True)
    rnd = random.Random(seed)
    server = env.server(config=CONFIG)
    ledgers = [Ledger(tenant, hours=60) for tenant in TENANTS]
    for i, ledger in enumerate(ledgers):
        ledger.start(server, writers=1, seed=seed + 10 * i)
    commands = Commands(server, seed)
    moments = {"start": 0, "load": 0}
    for i in range(1, kills + 1):
        moments[kill_somewhere(env, server, rnd, ledgers)] += 1
        server.start()
        if i % 20 == 0 or i == kills:
            server.wait_ready()
            for ledger in ledgers:
                ledger.pause()
                ledger.check(server)
                ledger.resume()
            print(f"{i} kills ({moments}), {sum(len(x.acked) for x in ledgers)} entries acknowledged and there", flush=True)
    commands.finish()
    for ledger in ledgers:
        ledger.finish()
    server.wait_ready()
    assert server.post("/flush", headers=tenant_header("one")).status == 204
    for ledger in ledgers:
        assert ledger.check(server) >= len(ledger.acked) > 100
