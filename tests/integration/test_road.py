# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole road: lines are appended to files, the agent ships them, the server answers them, through rotation,
crashes of either program and outages. Counted by line: each must be answered exactly once."""
import collections
import os
import random
import threading
import time

from harness import short
from test_server import OPEN_LIMITS

STAGES = """\
  - job_name: road
    static_configs:
      - targets: [localhost]
        labels:
          job: road
          __path__: {dir}/logs/*.log
"""


class Writer:
    """Appends numbered lines to a few files, some of them repeated, and rotates them by renaming once it is told to:
    what was rotated before an agent ever saw the path is not its business."""

    def __init__(self, env, files=3):
        self.folder = env.path("logs")
        os.makedirs(self.folder, exist_ok=True)
        self.files, self.rotate = files, False
        self.written = collections.Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(files)]
        for t in self.threads:
            t.start()

    def run(self, number):
        rnd = random.Random(number)
        path = os.path.join(self.folder, f"app{number}.log")
        n = 0
        out = open(path, "a", encoding="utf-8")
        while not self.stop.is_set():
            for _ in range(rnd.randrange(1, 40)):
                n += 1
                line = f"file {number} line {n}" if rnd.random() < .9 else f"file {number} says the same again"
                out.write(line + "\n")
                self.written[line] += 1
            out.flush()
            if self.rotate and rnd.random() < .05:
                # The writer keeps its file open for a while after the rename, as programs do.
                os.rename(path, f"{path}.{n}")
                new = open(path, "a", encoding="utf-8")
                out.write(f"file {number} last of {n}\n")
                self.written[f"file {number} last of {n}"] += 1
                out.close()
                out = new
            time.sleep(.01)
        out.close()

    def start_rotating(self, env, server):
        def seen():
            return len(server.get("/loki/api/v1/label/filename/values").json().get("data", [])) == self.files
        env.wait_for(seen, "the agent to have found every file")
        self.rotate = True

    def finish(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)


def answered(server):
    """Lines answered, counted, paged file by file."""
    counts = collections.Counter()
    for path in server.get("/loki/api/v1/label/filename/values").json().get("data", []):
        start = 0
        while True:
            rows = server.entries('{job="road", filename="%s"}' % path, start=max(start, time.time_ns() - 3600 * 10**9), limit=5000)
            counts.update(line for _, line, _ in rows)
            if len(rows) < 5000:
                break
            start = rows[-1][0] + 1
    return counts


def check_all(env, server, writer):
    want = sum(writer.written.values())

    def total():
        result = server.instant('sum(count_over_time({job="road"}[1h]))')["result"]
        return result and int(result[0]["value"][1]) >= want
    env.wait_for(total, f"all {want} lines to be answered")
    got = answered(server)
    missing, extra = writer.written - got, got - writer.written
    assert not missing, f"{sum(missing.values())} of {want} lines are missing, such as {list(missing.items())[:3]}"
    assert not extra, f"{sum(extra.values())} lines too many, such as {list(extra.items())[:3]}"


def run_for(env, writer, lines):
    have = sum(writer.written.values())
    env.wait_for(lambda: sum(writer.written.values()) >= have + lines, "lines to be written")


def test_rotation_during_load(env):
    server = env.server(OPEN_LIMITS)
    writer = Writer(env)
    env.agent(server.url, scrape=STAGES)
    writer.start_rotating(env, server)
    run_for(env, writer, 8000)
    writer.finish()
    check_all(env, server, writer)
    files = server.get("/loki/api/v1/label/filename/values").json()["data"]
    assert files == [env.path("logs", f"app{i}.log") for i in range(3)], files


def test_agent_killed_during_load(env):
    server = env.server(OPEN_LIMITS)
    writer = Writer(env)
    agent = env.agent(server.url, scrape=STAGES)
    writer.start_rotating(env, server)
    for _ in range(5):
        run_for(env, writer, 1500)
        agent.kill()
        run_for(env, writer, 300)  # rotations happen while it is down, too
        agent.restart()
    writer.finish()
    check_all(env, server, writer)


def test_server_killed_during_load(env):
    server = env.server(OPEN_LIMITS + "larch: {flush_bytes: 1MB}\n")
    writer = Writer(env)
    env.agent(server.url, scrape=STAGES)
    writer.start_rotating(env, server)
    for _ in range(4):
        run_for(env, writer, 1500)
        server.kill()
        run_for(env, writer, 500)
        server.restart()
    writer.finish()
    check_all(env, server, writer)


def test_both_killed_during_load(env):
    server = env.server(OPEN_LIMITS)
    writer = Writer(env)
    agent = env.agent(server.url, scrape=STAGES)
    writer.start_rotating(env, server)
    for i in range(4):
        run_for(env, writer, 1000)
        (server if i % 2 else agent).kill()
        (agent if i % 2 else server).kill()
        run_for(env, writer, 300)
        server.restart()
        agent.restart()
    writer.finish()
    check_all(env, server, writer)


@short
def test_server_away_for_a_while(env):
    server = env.server(OPEN_LIMITS)
    writer = Writer(env, files=1)
    agent = env.agent(server.url, scrape=STAGES)
    writer.start_rotating(env, server)
    run_for(env, writer, 300)
    server.stop()
    run_for(env, writer, 1000)
    server.restart()
    run_for(env, writer, 300)
    writer.finish()
    check_all(env, server, writer)
    agent.stop()
    agent.restart()
    time.sleep(.3)  # nothing to wait for: nothing may come
    check_all(env, server, writer)


TRACE = """\
2026-11-01 10:00:01.000 ERROR [main] boom
java.lang.IllegalStateException: x
\tat a.b.C(C.java:1)
Caused by: java.io.IOException
\t... 3 more"""


@short
def test_a_java_trace_is_one_entry(env):
    server = env.server()
    env.write("logs/java.log", "")  # the agent is ready when it reads a file
    env.agent(server.url, scrape=STAGES + """\
    pipeline_stages:
      - multiline: {firstline: '^\\d{4}-\\d{2}-\\d{2} ', max_wait_time: 1s}
      - regex: {expression: '^\\S+ \\S+ (?P<level>[A-Z]+)'}
      - labels: {level: }
""")
    env.write("logs/java.log", "2026-11-01 10:00:00.000 INFO [main] before\n" + TRACE[:40])
    time.sleep(.2)  # written in two pieces, in the middle of a line; either way it is one entry
    env.write("logs/java.log", TRACE[40:] + "\n2026-11-01 10:00:02.000 INFO [main] after\n", mode="a")
    env.wait_for(lambda: len(server.lines('{job="road"}')) == 3, "three entries")
    assert server.lines('{job="road", level="ERROR"}') == [TRACE]


@short
def test_bytes_arrive_as_they_were(env):
    server = env.server()
    env.write("logs/b.log", "")
    env.agent(server.url, scrape=STAGES)
    lines = ["안녕하세요 세계".encode(), "Привет, мир".encode(), b"caf\xe9 cr\xe8me", b"", b"ends with cr\r", b"\xff\xfe\x00x"]
    env.write("logs/b.log", b"\n".join(lines) + b"\n", mode="a")
    env.wait_for(lambda: len(server.entries('{job="road"}')) == len(lines), "all lines")
    got = server.lines('{job="road"}')
    assert got[:2] == ["안녕하세요 세계", "Привет, мир"] and got[3:5] == ["", "ends with cr\r"], got
    for line in filter(None, lines):
        quoted = "".join("\\x%02x" % b for b in line)
        exact = server.instant('sum(bytes_over_time({job="road"} |= "%s" [1h]))' % quoted)["result"]
        assert [s["value"][1] for s in exact] == [str(len(line))], (line, exact)


@short
def test_two_tenants_from_one_agent(env):
    from harness import SERVER_CONFIG
    server = env.server(config=SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true"))
    env.write("logs/t.log", "")
    env.agent(server.url, scrape=STAGES + """\
    pipeline_stages:
      - regex: {expression: '^tenant=(?P<t>\\w+)'}
      - tenant: {source: t}
""")
    env.write("logs/t.log", "tenant=one a\ntenant=two b\ntenant=one c\n", mode="a")
    env.wait_for(lambda: server.lines('{job="road"}', tenant="one") == ["tenant=one a", "tenant=one c"])
    env.wait_for(lambda: server.lines('{job="road"}', tenant="two") == ["tenant=two b"])
