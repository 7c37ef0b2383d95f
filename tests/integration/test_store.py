# SPDX-License-Identifier: GPL-2.0-or-later
"""Several larch-server processes on one store, each with a data directory of its own."""
import random
import threading
import time

from harness import short
from ledger import SEC, Ledger
from test_server import OPEN_LIMITS, flush


def shared(env, name, more="", start=True):
    larch = "larch: {store_dir: %s, catalog_refresh: 20ms, flush_bytes: 1MB}\n" % env.path("shared")
    return env.server(OPEN_LIMITS + larch + more, name=name, start=start)


@short
def test_servers_share_a_store(env):
    """What one flushed the other answers, tenants it had never heard of included, and both after kill -9."""
    a, b = shared(env, "a"), shared(env, "b")
    t0 = time.time_ns() - 5 * SEC
    a.push({"app": "x"}, ["one"], t0, tenant="t")
    b.push({"app": "x"}, ["two"], t0 + 1, tenant="t")
    assert a.post("/flush").status == 204 and b.post("/flush").status == 204
    for server in (a, b):
        env.wait_for(lambda s=server: s.lines('{app="x"}', tenant="t") == ["one", "two"], "the other's lines")
    a.kill()
    b.push({"app": "x"}, ["three"], t0 + 2, tenant="t")
    b.post("/flush")
    b.kill()
    a.restart()
    assert a.lines('{app="x"}', tenant="t") == ["one", "two", "three"]
    b.restart()
    assert b.lines('{app="x"}', tenant="t") == ["one", "two", "three"]


@short
def test_a_store_of_ones_own_is_not_shared(env):
    """Who believes to be alone on a store directory keeps others out, and is kept out."""
    a = env.server(name="a")
    store = env.path("a-data", "larch", "store")
    b = env.server("larch: {store_dir: %s}\n" % store, name="b", start=False)
    b.start()
    assert b.wait() != 0
    assert "is in use by another process, which takes it for its own" in b.log(), b.log()
    a.stop()


def test_kills_of_both_during_load(env):
    """Both take load, flush, and are killed at random: every acknowledged entry is answered by either, once."""
    servers = [shared(env, "a"), shared(env, "b")]
    ledger = Ledger()
    ledger.start(*servers, writers=4)
    rnd = random.Random(1)
    for i in range(8):
        want = len(ledger.acked) + 1500
        env.wait_for(lambda w=want: len(ledger.acked) >= w, "acknowledgements")
        time.sleep(rnd.random() * .2)  # anywhere in what the servers do; nothing is waited for
        threading.Thread(target=flush, args=(servers[i % 2],), daemon=True).start()
        servers[i % 2].kill()
        servers[i % 2].restart()
    ledger.finish()
    for server in servers:
        assert server.post("/flush").status == 204
    for server in servers:
        env.wait_for(lambda s=server: len(ledger.answered(s)) >= len(ledger.acked), "what the other flushed")
        assert ledger.check(server) > 1000
