# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hundred connections push and fifty query, and one tenant misbehaves: the others do not feel it much, memory stays
in its budget, and what was acknowledged is there. LOAD_SECONDS says for how long (make load: a minute)."""
import json
import os
import time
import urllib.parse

from harness import SERVER_CONFIG
from load import Load, beside
from test_memory import OVERHEAD, peak

SECONDS = int(os.environ.get("LOAD_SECONDS", "7"))
TENANTS = ["a", "b", "c", "d"]
MEMORY = 192  # MiB
CONFIG = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true") + "larch: {memory_limit: %dMB}\n" % MEMORY
# What the others may suffer: so many times their calm latency, or this many seconds.
FACTOR, FLOOR = 10, 3.0

HUGE = json.dumps({"streams": [{"stream": {"app": "huge"}, "values": [[str(time.time_ns() + i), "x" * 200000] for i in range(60)]}]}).encode()
MANY = json.dumps({"streams": [{"stream": {"app": "many", "n": str(i)}, "values": [[str(time.time_ns()), "x"]]} for i in range(20000)]}).encode()
BAD = json.dumps({"streams": [{"stream": {"a-b": "x"}, "values": [[str(time.time_ns()), "x"]]}]}).encode()
HEAVY = ('sum by (n) (count_over_time({app=~".+"} |~ "(x+x+)+y" [5m]))', '{app=~".+"} |~ "(?i)(x|xx|xxx)*z" | json | logfmt | line_format "{{.app}}"',
         'topk(10, sum by (app) (rate({app=~".+"} | pattern "<a> <b>" [1m])))')


def push(body):
    return lambda: ("POST", "/loki/api/v1/push", {"Content-Type": "application/json"}, body)


def query(text):
    def request():
        now = time.time_ns()
        params = urllib.parse.urlencode({"query": text, "start": now - 3600 * 10**9, "end": now, "step": "15s", "limit": 5000})
        return "GET", "/loki/api/v1/query_range?" + params, {}, b""
    return request


def good_clients(load, phase):
    return [load.pusher(TENANTS[n % 4], n, "push " + phase) for n in range(200)] + \
           [load.querier(TENANTS[n % 4], n, "query " + phase) for n in range(50)]


def bad_clients(load):
    return [load.greedy("bad", request) for request in [push(HUGE)] * 8 + [push(MANY)] * 2 + [push(BAD)] * 5] + \
           [load.greedy("bad", query(HEAVY[n % len(HEAVY)]), "heavy") for n in range(10)]


def report(load):
    for kind in sorted(load.took):
        print("%-12s %6d requests, ms at 50%%: %7.1f, at 99%%: %7.1f; %s" % (
            kind, len(load.took[kind]), load.percentile(kind, 50) * 1000, load.percentile(kind, 99) * 1000, dict(load.statuses[kind])))


def stored(server, tenant):
    """All lines of the tenant, a minute of each client at a time."""
    lines = []
    for client in range(200):
        if TENANTS[client % 4] == tenant:
            lines += server.lines('{app="load", client="%d"}' % client, tenant=tenant)
    return lines


def test_one_tenant_misbehaves(env):
    server = env.server(config=CONFIG)
    for i in range(20):  # what its heavy queries look at
        server.push({"app": "own", "n": str(i)}, ["x" * 120 + " n=%d" % k for k in range(2000)], tenant="bad")
    load = Load(server.port)
    load.run(SECONDS * 3 / 7, good_clients(load, "calm"))
    with beside(server.port, SECONDS * 4 / 7, bad_clients) as bad:
        load.run(SECONDS * 4 / 7, good_clients(load, "storm"))
    report(load)
    report(bad)
    print("peak of memory: %d MiB" % peak(server))
    for kind in ("push", "query"):
        calm, storm = load.percentile(kind + " calm", 99), load.percentile(kind + " storm", 99)
        assert storm <= max(FACTOR * calm, FLOOR), f"{kind}: 99% within {calm:.3f} s, and {storm:.3f} s beside a tenant that misbehaves"
        assert set(load.statuses[kind + " calm"]) | set(load.statuses[kind + " storm"]) <= {200, 204}, load.errors
    assert bad.statuses["greedy"][400] and bad.statuses["heavy"][200], bad.statuses
    assert peak(server) <= MEMORY + OVERHEAD, f"{peak(server)} MiB"
    for tenant in TENANTS:
        lines = stored(server, tenant)
        assert len(lines) == len(set(lines)), "something is there twice"
        lost = load.acknowledged[tenant] - set(lines)
        assert load.acknowledged[tenant] and not lost, f"{len(lost)} acknowledged lines of {tenant} are missing"
