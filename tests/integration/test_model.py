# SPDX-License-Identifier: GPL-2.0-or-later
"""A naive model and a server process get the same random sequence of pushes, flushes, compactions, deletes, kills,
restarts and queries; answers are always equal. MODEL_SEED repeats one, MODEL_HTTP_STEPS makes it longer.

The same against the store alone, with many more steps, a clock of its own, retention, power cuts and failing calls:
tests/unit/server/test_model.c."""
import bisect
import collections
import json
import os
import random
import re
import threading
import time
import urllib.parse

from harness import SERVER_CONFIG, http_request, tenant_header
from ledger import SEC

CONFIG = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true") + """\
limits_config: {discover_log_levels: false, discover_service_name: [], volume_enabled: true, max_query_series: 1000}
compactor: {compaction_interval: 1h, delete_request_cancel_period: 1s}
larch: {flush_bytes: 1MB, compaction_target: 1MB, compaction_grace: 10ms, compaction_cpu: 100}
"""
TENANTS = ("a", "b", "c")
WORDS = ("error", "info", "cache", "GET", "/api", "timeout", "naïve")
Entry = collections.namedtuple("Entry", "app host ts line meta")
HOUR = 3600 * SEC


class Request:
    def __init__(self, app, word, start, end, arrived):
        self.app, self.word, self.start, self.end, self.arrived = app, word, start, end, arrived
        self.id, self.cancelled, self.made = None, False, time.monotonic()

    def query(self):
        return '{app="%s"}' % self.app + (' |= "%s"' % self.word if self.word else "")

    def hides(self, number, e):
        return (not self.cancelled and number < self.arrived and e.app == self.app and self.word in e.line
                and self.start * SEC <= e.ts <= self.end * SEC)


class Model:
    """One tenant: what arrived, in order, and what was asked to be deleted."""

    def __init__(self):
        self.arrived, self.requests = [], []

    def streams(self, match, start=-2**63, end=2**63, word=""):
        """Visible entries of each stream that matches, in order of (time, arrival), without copies."""
        found = collections.defaultdict(list)
        seen = set()
        for number, e in enumerate(self.arrived):
            if e in seen or not match(e) or not start <= e.ts < end or word not in e.line:
                continue
            if any(r.hides(number, e) for r in self.requests):
                continue
            seen.add(e)
            bisect.insort(found[e.app, e.host], e, key=lambda x: x.ts)
        return found


class World:
    def __init__(self, env, seed):
        self.env, self.rnd = env, random.Random(seed)
        self.server = env.server(config=CONFIG)
        self.models = {t: Model() for t in TENANTS}
        self.base, self.pushes = time.time_ns() - 60 * HOUR, 0
        self.did = collections.Counter()

    def call(self, method, path, tenant, body=None, **params):
        headers = {**tenant_header(tenant), "Content-Type": "application/json",
                   "X-Loki-Response-Encoding-Flags": "categorize-labels"}
        query = "?" + urllib.parse.urlencode(params) if params else ""
        return http_request(method, self.server.url + path + query, body, headers)

    def get(self, path, tenant, **params):
        answer = self.call("GET", "/loki/api/v1/" + path, tenant, **params)
        assert answer.status == 200, (path, params, answer)
        assert not answer.json().get("warnings"), answer
        return answer.json()

    # ---- commands; each returns the call to make and what to do when it was, or was not, answered ----

    def entries(self, model):
        rnd, out = self.rnd, []
        self.pushes += 1
        for i in range(rnd.choice([1, 5, 20, 200])):
            if model.arrived and rnd.random() < .1:
                out.append(rnd.choice(model.arrived))
                continue
            ts = self.base + rnd.choice([self.pushes * SEC, self.pushes * SEC + i, rnd.randrange(60) * HOUR])
            line = " ".join(rnd.choices(WORDS, k=rnd.randrange(6)))
            meta = rnd.choice([(), (("level", rnd.choice(WORDS)),), (("id", str(i)), ("level", "x"))])
            out.append(Entry(f"a{rnd.randrange(3)}", f"h{rnd.randrange(2)}", ts, line, meta))
        # Tells later whether the push is there.
        return out + [Entry("a0", "h0", self.base + self.pushes * SEC, f"push {self.pushes}", ())]

    def push(self):
        tenant = self.rnd.choice(TENANTS)
        model = self.models[tenant]
        rows = self.entries(model)
        streams = collections.defaultdict(list)
        for e in rows:
            streams[e.app, e.host].append([str(e.ts), e.line, dict(e.meta)])
        body = json.dumps({"streams": [{"stream": {"app": a, "host": h}, "values": v}
                                       for (a, h), v in streams.items()]})

        def there():
            got = self.get("query_range", tenant, query='{app="a0"} |= "%s"' % rows[-1].line, start=rows[-1].ts,
                           end=rows[-1].ts + 1)["data"]["result"]
            return any(v[1] == rows[-1].line for s in got for v in s["values"])

        return (lambda: self.call("POST", "/loki/api/v1/push", tenant, body), 204,
                lambda answer: model.arrived.extend(rows), there)

    def delete(self):
        tenant = self.rnd.choice(TENANTS)
        model, start = self.models[tenant], self.base // SEC + self.rnd.randrange(60 * 3600)
        end = min(start + self.rnd.choice([10, 3600, 10**6]), int(time.time()) - 1)
        r = Request(f"a{self.rnd.randrange(3)}", self.rnd.choice(["", *WORDS[:5]]), min(start, end), end,
                    len(model.arrived))

        def unknown():
            listed = self.call("GET", "/loki/api/v1/delete", tenant).json()
            return {x["request_id"] for x in listed} - {x.id for x in model.requests}

        def made(answer):
            r.id = unknown().pop()
            model.requests.append(r)

        return (lambda: self.call("POST", "/loki/api/v1/delete", tenant, query=r.query(), start=r.start, end=r.end), 204,
                made, unknown)

    def cancel(self):
        tenant = self.rnd.choice(TENANTS)
        r = self.rnd.choice(self.models[tenant].requests or [None])
        if not r or r.cancelled or time.monotonic() - r.made > .5:
            return None

        def cancelled(answer):
            r.cancelled = True

        def gone():
            listed = self.call("GET", "/loki/api/v1/delete", tenant).json()
            return not any(x["request_id"] == r.id for x in listed)

        return (lambda: self.call("DELETE", "/loki/api/v1/delete", tenant, request_id=r.id), 204, cancelled, gone)

    def flush(self):
        return lambda: self.call("POST", "/flush", "a"), 204, lambda answer: None, lambda: False

    def compact(self):
        return lambda: self.call("POST", "/larch/v1/compact", "a"), 200, lambda answer: None, lambda: False

    def run(self, command):
        """Now and then the server is killed while it is under way; then it was carried out as a whole or not at all."""
        made = command()
        if not made:
            return
        call, status, done, was_done = made
        if self.rnd.random() > .06:
            answer = call()
            assert answer.status == status, answer
            done(answer)
            return
        answers = []

        def attempt():
            try:
                answers.append(call())
            except OSError:
                pass
        thread = threading.Thread(target=attempt)
        thread.start()
        time.sleep(self.rnd.random() * .01)
        self.server.kill()
        thread.join()
        self.did["kill"] += 1
        self.server.restart()
        if answers and answers[0].status == status or was_done():
            done(None)

    def restart(self):
        self.rnd.choice([self.server.stop, self.server.kill])()
        self.server.restart()

    # ---- questions ----

    def question(self):
        text, match = self.rnd.choice([('{app="a1"}', lambda e: e.app == "a1"), ('{app=~".+"}', lambda e: True),
                                       ('{host=~"h[1-9]"}', lambda e: e.host == "h1"),
                                       ('{app=~"a.", host!="h1"}', lambda e: e.host != "h1")])
        start = self.base + self.rnd.randrange(60 * 3600) * SEC
        if self.rnd.random() < .4:
            start = self.base
        end = start + self.rnd.choice([self.pushes * SEC, 10 * SEC, HOUR, 70 * HOUR]) + 1
        return self.rnd.choice(TENANTS), text, match, start, end

    def ask_lines(self):
        tenant, text, match, start, end = self.question()
        word, limit = self.rnd.choice(["", "error", "push"]), self.rnd.choice([3, 100, 5000])
        direction = self.rnd.choice(["forward", "backward"])
        want = self.models[tenant].streams(match, start, end, word)
        got = self.get("query_range", tenant, query=text + (' |= "%s"' % word if word else ""), start=start, end=end,
                       limit=limit, direction=direction)["data"]["result"]
        times = sorted((e.ts for v in want.values() for e in v), reverse=direction == "backward")[:limit]
        rows = collections.defaultdict(list)
        for s in got:
            for ts, line, *more in s["values"]:
                meta = more[0].get("structuredMetadata", {}) if more else {}
                rows[s["stream"]["app"], s["stream"]["host"]].append((int(ts), line, tuple(sorted(meta.items()))))
        found = sorted((r[0] for v in rows.values() for r in v), reverse=direction == "backward")
        assert found == times, (tenant, text, word, direction, limit, start, end, len(found), len(times))
        for stream, v in rows.items():
            expect = [(e.ts, e.line, tuple(sorted(e.meta))) for e in want[stream]]
            if direction == "backward":
                expect.reverse()
            # At the limit, entries with equal times may be of any stream; each stream's are a prefix.
            assert sorted(v) == sorted(expect[:len(v)]), (tenant, text, stream, v[:5], expect[:5])

    def ask_counts(self):
        tenant, text, match, start, end = self.question()
        seconds = (end - start) // SEC
        want = collections.Counter()
        kind = self.rnd.choice(["count", "bytes"])
        for (app, _), v in self.models[tenant].streams(match, end - seconds * SEC + 1, end + 1).items():
            want[app] += sum(len(e.line.encode()) if kind == "bytes" else 1 for e in v)
        data = self.get("query", tenant, query=f"sum by (app) ({kind}_over_time({text}[{seconds}s]))", time=end)["data"]
        got = {s["metric"]["app"]: int(s["value"][1]) for s in data["result"]}
        assert got == dict(want), (tenant, text, kind, start, end, got, want)

    def ask_index(self):
        """Streams and bytes by label."""
        tenant, text, match, start, end = self.question()
        want = self.models[tenant].streams(match, start, end)
        volume = collections.Counter()
        for (app, _), v in want.items():
            volume[app] += sum(len(e.line.encode()) for e in v)
        if "app" in text and "host" not in text:
            data = self.get("index/volume", tenant, query=text, start=start, end=end, targetLabels="app")["data"]
            got = {s["metric"]["app"]: int(s["value"][1]) for s in data["result"]}
            assert +collections.Counter(got) == +volume, (tenant, text, start, end, got, volume)
        series = self.get("series", tenant, **{"match[]": text, "start": start, "end": end})["data"]
        assert {(s["app"], s["host"]) for s in series} >= set(want), (tenant, text, series, list(want))
        stats = self.call("GET", "/loki/api/v1/index/stats", tenant, query=text, start=start, end=end).json()
        assert stats["entries"] >= sum(map(len, want.values())), (tenant, text, stats)

    def check_everything(self):
        for tenant, model in self.models.items():
            for (app, host), v in model.streams(lambda e: True).items():
                start = self.base - HOUR
                for at in range(0, len(v), 2000):
                    page = v[at:at + 2000]
                    data = self.get("query_range", tenant, query='{app="%s", host="%s"}' % (app, host), limit=5000,
                                    direction="forward", start=page[0].ts, end=page[-1].ts + 1)["data"]["result"]
                    got = [(int(x[0]), x[1]) for s in data for x in s["values"]]
                    want = [(e.ts, e.line) for e in v if page[0].ts <= e.ts <= page[-1].ts]
                    assert got == want, (tenant, app, host, start, len(got), len(want))


def test_the_server_answers_like_the_model(env):
    seed, steps = int(os.environ.get("MODEL_SEED", time.time_ns() % 10**6)), int(os.environ.get("MODEL_HTTP_STEPS", 200))
    print(f"MODEL_SEED={seed}", flush=True)
    w = World(env, seed)
    commands = [w.push] * 40 + [w.flush] * 5 + [w.delete] * 5 + [w.cancel] * 3 + [w.compact] * 5
    asks = [w.restart] * 2 + [w.ask_lines] * 15 + [w.ask_counts] * 15 + [w.ask_index] * 8
    for _ in range(steps):
        step = w.rnd.choice(commands + asks)
        w.did[step.__name__] += 1
        if step in commands:
            w.run(step)
        else:
            step()
    w.check_everything()
    w.server.kill()
    w.server.restart()
    w.check_everything()
    print(dict(w.did), {t: len(m.arrived) for t, m in w.models.items()}, flush=True)
