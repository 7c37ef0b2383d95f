# SPDX-License-Identifier: GPL-2.0-or-later
"""Compaction and retention of a running server: what is merged answers the same, what is too old goes and is counted."""
import json
import time

from harness import SERVER_CONFIG, short

DAY = 86400 * 10**9
OFTEN = """\
compactor:
  compaction_interval: 50ms
larch:
  compaction_grace: 1ms
"""
ANY_AGE = """\
limits_config:
  reject_old_samples: false
"""


def status(server, tenant="fake"):
    answer = server.get("/larch/v1/store")
    assert answer.status == 200, answer
    return next(t for t in answer.json()["tenants"] if t["tenant"] == tenant)


def flush(server):
    answer = server.post("/flush")
    assert answer.status == 204, answer


def push_parts(server, app, at, parts=6, lines=50):
    """As many segments as parts, with copies of each part's lines in the next; what must be answered."""
    expect = []
    for part in range(parts):
        rows = [(at + part * lines + i, f"{app} {part} {i}") for i in range(lines)]
        server.push({"app": app}, rows)
        server.push({"app": app}, rows[:5])
        flush(server)
        server.push({"app": app}, rows[-5:])
        expect += [line for _, line in rows]
    flush(server)
    return expect


@short
def test_segments_are_merged(env):
    server = env.server(config=SERVER_CONFIG)
    expect = push_parts(server, "a", time.time_ns() - 10**9)
    before = status(server)
    assert before["segments"] > 6 and before["entries"] > len(expect), before
    answer = server.post("/larch/v1/compact")
    assert answer.status == 200, answer
    after = status(server)
    assert after["segments"] <= 2 and after["entries"] == len(expect), after  # a day may have ended meanwhile
    assert after["backlog"] == {"segments": 0, "line_bytes": 0}, after
    assert answer.json()["compaction"]["copies"] == before["entries"] - len(expect), answer
    assert server.lines('{app="a"}') == expect
    count = server.instant('sum(count_over_time({app="a"}[1h]))')["result"][0]["value"][1]
    assert int(count) == len(expect)
    assert server.metric("larch_compaction_merges_total") >= 1
    assert server.metric("larch_compaction_dropped_entries_total", reason="duplicate") == before["entries"] - len(expect)
    assert server.metric("larch_store_segments", tenant="fake") == after["segments"]
    server.stop()
    server.restart()
    assert server.lines('{app="a"}') == expect

    shown = env.run("larchctl", "store", "status", "--server", server.url)
    assert shown.returncode == 0 and f"{len(expect)} entries" in shown.stdout, shown
    shown = env.run("larchctl", "store", "compact", "-o", "jsonl", "--server", server.url)
    assert shown.returncode == 0 and json.loads(shown.stdout)["tenant"] == "fake", shown
    wrong = env.run("larchctl", "store", "sweep", "--server", server.url)
    assert wrong.returncode == 2 and "store status" in wrong.stderr, wrong


@short
def test_a_day_that_is_over_is_merged_by_itself(env):
    server = env.server(config=SERVER_CONFIG + OFTEN + ANY_AGE)
    at = (time.time_ns() // DAY - 3) * DAY
    expect = push_parts(server, "old", at)
    env.wait_for(lambda: status(server)["segments"] == 1, "the segments of a day are merged into one")
    assert server.lines('{app="old"}', start=at, end=at + DAY) == expect
    env.wait_for(lambda: server.metric("larch_maintenance_rounds_total") > 3, "maintenance goes on")
    assert status(server)["entries"] == len(expect)
    assert server.metric("larch_maintenance_failures_total") == 0


RETENTION = SERVER_CONFIG + OFTEN + """\
limits_config:
  reject_old_samples: false
  retention_period: 240h
  retention_stream:
    - selector: '{app="brief"}'
      priority: 1
      period: 24h
    - selector: '{app=~"kept|brief"}'
      period: 8760h
runtime_config:
  file: %s
  period: 50ms
"""


@short
def test_what_is_too_old_goes(env):
    file = env.write("overrides.yaml", "overrides: {}\n")
    server = env.server(config=RETENTION % file)
    noon = (time.time_ns() // DAY) * DAY + DAY // 2
    old, recent = noon - 20 * DAY, noon - 5 * DAY
    for app in ("plain", "brief", "kept"):
        server.push({"app": app}, [(old, f"{app} old"), (recent, f"{app} recent")])
    flush(server)

    def left():
        return server.lines('{app=~".+"}', start=old - DAY, end=noon + DAY)

    env.wait_for(lambda: sorted(left()) == ["kept old", "kept recent", "plain recent"], "retention is applied")
    cuts = status(server)["cuts"]
    assert cuts["retention_period"]["entries"] == 1 and cuts["retention_stream"]["entries"] == 2, cuts
    assert server.metric("larch_retention_entries_total", reason="retention_stream", tenant="fake") == 2
    assert "retention removed entries" in server.log()
    assert status(server)["next_deletion"]
    shown = env.run("larchctl", "store", "status", "--server", server.url)
    assert "cut by retention_stream: 2 entries" in shown.stdout, shown
    server.stop()
    server.restart()
    assert sorted(left()) == ["kept old", "kept recent", "plain recent"]
    assert status(server)["cuts"] == cuts

    # A tenant's own limits, without a restart: by bytes, oldest first.
    env.write("overrides.yaml", "overrides: {fake: {larch: {retention_bytes: 1}}}\n")
    env.wait_for(lambda: left() == [], "the tenant's segments are dropped")
    assert status(server)["cuts"]["retention_bytes"]["entries"] == 3


@short
def test_wrong_retention_is_refused(env):
    for rule, text in (("{selector: '{app=\"a\"}', period: 5h}", "retention period must be >= 24h was 5h"),
                       ("{selector: '{app=a}', period: 24h}", "invalid labels matchers: ")):
        file = env.write("wrong.yaml", SERVER_CONFIG.format(port=0, data=env.path("d")) +
                         f"limits_config:\n  retention_stream:\n    - {rule}\n")
        got = env.run("larch-server", f"-config.file={file}", "-verify-config")
        assert got.returncode == 1 and text in got.stderr, got.stderr
