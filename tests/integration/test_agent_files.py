# SPDX-License-Identifier: GPL-2.0-or-later
"""Files under the agent: rotation, truncation, crashes, outages. The sink's ledger counts: every line exactly once."""
import os
import random
import shutil
import signal
import threading
import time

from harness import short
from sink import Sink, check_exactly_once

CONFIG = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
positions: {filename: "{positions}", sync_period: 200ms}
clients:
  - url: {url}/loki/api/v1/push
    batchwait: 50ms
    batchsize: 20000
    backoff_config: {min_period: 20ms, max_period: 200ms, max_retries: 0}
target_config: {sync_period: 500ms}
scrape_configs:
  - job_name: files
    static_configs:
      - labels: {job: t, __path__: "%s"}
"""


def log(env, name):
    """Not beside the programs' own logs."""
    os.makedirs(env.path("in"), exist_ok=True)
    return env.path("in", name)


def start(env, sink, pattern, **more):
    return env.agent(sink.url, config=CONFIG % pattern, **more)


class Writer:
    """Writes numbered lines to a path through a file it keeps open, like a daemon."""

    def __init__(self, path):
        self.path, self.file, self.lines = path, open(path, "ab", buffering=0), []

    def write(self, count=1):
        new = [f"{len(self.lines) + i:07d} {random.Random(len(self.lines) + i).getrandbits(64):016x}" for i in range(count)]
        self.lines += new
        self.file.write("".join(line + "\n" for line in new).encode())

    def reopen(self):
        self.file.close()
        self.file = open(self.path, "ab", buffering=0)


def wait_all(env, sink, writer, **labels):
    try:
        env.wait_for(lambda: len(set(sink.lines(**labels))) >= len(writer.lines), "all lines", timeout=30)
    except AssertionError:
        pass  # the next check says more
    check_exactly_once(sink, writer.lines, **labels)


@short
def test_lines_byte_for_byte(env):
    lines = ["plain", "", "carriage\r", "한국어 русский", "caf\udce9 latin-1", "tab\tand \x00 nul", "x" * 300000]
    env.write("in/a.log", "\n".join(lines).encode("utf-8", "surrogateescape") + b"\nunfinished")
    sink = Sink(env)
    agent = start(env, sink, log(env, "*.log"))
    env.wait_for(lambda: sink.count() >= len(lines))
    assert sink.lines() == lines  # in order: stamps increase within a file
    assert {e.labels for e in sink.entries()} == {'{filename="%s", job="t"}' % log(env, "a.log")}
    env.write("in/a.log", " now\n", "a")
    env.wait_for(lambda: "unfinished now" in sink.lines())
    agent.stop()
    with open(env.path("agent-positions.yaml"), encoding="utf-8") as f:
        assert f.read() == 'positions:\n  %s: "%d"\n' % (log(env, "a.log"), os.path.getsize(log(env, "a.log")))


@short
def test_overlong_line_is_left_out(env):
    env.write("in/a.log", b"before\n" + b"x" * (17 << 20) + b"\nafter\n")
    sink = Sink(env)
    agent = start(env, sink, log(env, "a.log"))
    env.wait_for(lambda: "after" in sink.lines())
    assert sink.lines() == ["before", "after"]
    assert agent.metric("larch_agent_lines_too_long_total") == 1


def test_rotation_by_rename_during_load(env):
    for pattern in ("app.log", "app.log*"):
        sink = Sink(env)
        folder = env.path(pattern.replace("*", "-all"))
        os.makedirs(folder)
        writer = Writer(os.path.join(folder, "app.log"))
        writer.write(10)
        agent = start(env, sink, os.path.join(folder, pattern), name="agent" + str(len(pattern)))
        for generation in range(8):
            for _ in range(20):
                writer.write(100)
                time.sleep(0.001)
            for i in reversed(range(1, generation + 1)):
                os.rename(f"{writer.path}.{i}", f"{writer.path}.{i + 1}")
            os.rename(writer.path, writer.path + ".1")
            writer.write(50)  # the daemon has not noticed yet
            if generation % 2:
                time.sleep(0.3)
                writer.write(50)
            writer.reopen()
        writer.write(10)
        wait_all(env, sink, writer, filename=writer.path)
        assert sink.count() == len(writer.lines)  # none under another filename
        agent.stop()
        assert sink.count() == len(writer.lines)


def test_copytruncate_with_lines_not_read_yet(env):
    sink = Sink(env)
    writer = Writer(log(env, "app.log"))
    writer.write(100)
    agent = start(env, sink, log(env, "app.log*"))
    wait_all(env, sink, writer)
    for generation in range(3):
        agent.signal(signal.SIGSTOP)  # it falls behind
        writer.write(1000)
        shutil.copyfile(writer.path, f"{writer.path}-2024010{generation + 1}")
        os.truncate(writer.path, 0)
        writer.write(30 if generation else 2000)  # shorter, and longer than what was read
        agent.signal(signal.SIGCONT)
        wait_all(env, sink, writer, filename=writer.path)
        assert sink.count() == len(writer.lines)
    assert agent.metric("larch_agent_truncations_total") == 3


@short
def test_delete_and_recreate(env):
    sink = Sink(env)
    writer = Writer(log(env, "app.log"))
    writer.write(10)
    start(env, sink, log(env, "*.log"))
    wait_all(env, sink, writer)
    os.unlink(writer.path)
    writer.write(10)
    writer.file.write(b"last words")
    writer.reopen()
    writer.write(10)
    writer.lines.append("last words")  # nobody can finish the line of a deleted file
    wait_all(env, sink, writer)


def crash_loop(env, sink, agent, writer, rounds):
    stop = threading.Event()

    def work():
        while not stop.is_set():
            writer.write(200)
            if random.random() < 0.02:
                os.rename(writer.path, f"{writer.path}.{time.monotonic_ns()}")
                writer.reopen()
            time.sleep(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(rounds):
            time.sleep(random.uniform(0.1, 0.6))
            agent.kill()
            agent.start()
    finally:
        stop.set()
        thread.join()
    agent.wait_ready()


def test_kill_during_load_with_a_failing_server(env):
    """Crashes at random moments, rotation, and a server that stores without answering, or refuses for a while."""
    random.seed(1)
    sink = Sink(env)
    sink.status = lambda n: [204, 204, 503, 204, 429, None, 204, 500][n % 8]
    writer = Writer(log(env, "app.log"))
    writer.write(10)
    agent = start(env, sink, log(env, "app.log"))
    crash_loop(env, sink, agent, writer, 12)
    sink.status = 204
    wait_all(env, sink, writer)


def test_repeated_lines_survive_a_crash(env):
    """Equal lines differ only by their stamps: a copy must have the stamp of its first sending."""
    sink = Sink(env)
    sink.status = lambda n: None if n % 2 else 503
    env.write("in/a.log", "same\n" * 5000)
    agent = start(env, sink, log(env, "a.log"))
    for n in range(5):
        env.wait_for(lambda: len(sink.requests) > 4 * n + 3)
        agent.kill()
        agent.restart()
    sink.status = 204
    env.wait_for(lambda: sink.count() >= 5000)
    agent.stop()
    assert sink.count() == 5000 and len(sink.stored) > 5000


@short
def test_server_down_for_a_while(env):
    sink = Sink(env, up=False)
    writer = Writer(log(env, "app.log"))
    writer.write(1000)
    agent = start(env, sink, log(env, "app.log"))
    env.wait_for(lambda: agent.metric("promtail_batch_retries_total") > 2)
    os.rename(writer.path, writer.path + ".1")
    writer.write(10)
    writer.reopen()
    writer.write(1000)
    sink.start()
    wait_all(env, sink, writer)


@short
def test_rotated_while_down(env):
    """The rest of the old file, two rotations in between, and the new file, all under the first name."""
    sink = Sink(env)
    writer = Writer(log(env, "app.log"))
    writer.write(100)
    agent = start(env, sink, log(env, "app.log"))
    wait_all(env, sink, writer)
    agent.stop()
    for i in range(3):
        writer.write(50)
        os.utime(writer.path, (time.time() - 30 + i, time.time() - 30 + i))
        for k in (2, 1):
            if os.path.exists(f"{writer.path}.{k}"):
                os.rename(f"{writer.path}.{k}", f"{writer.path}.{k + 1}")
        os.rename(writer.path, writer.path + ".1")
        writer.reopen()
    writer.write(20)
    agent.restart()
    wait_all(env, sink, writer, filename=writer.path)
    order = [e.line.decode() for e in sorted(sink.entries(), key=lambda e: e.ts)]
    assert order == writer.lines  # oldest first
    agent.stop()
    agent.restart()
    writer.write(5)
    wait_all(env, sink, writer, filename=writer.path)


@short
def test_copytruncate_while_down(env):
    sink = Sink(env)
    writer = Writer(log(env, "app.log"))
    writer.write(200)
    agent = start(env, sink, log(env, "app.log*"))
    wait_all(env, sink, writer)
    agent.kill()
    writer.write(100)
    shutil.copyfile(writer.path, writer.path + ".1")
    os.truncate(writer.path, 0)
    writer.write(10)
    agent.restart()
    wait_all(env, sink, writer, filename=writer.path)
    assert sink.count() == len(writer.lines)


@short
def test_symlinks_and_editors(env):
    sink = Sink(env)
    os.makedirs(env.path("real"))
    os.makedirs(env.path("links"))
    writer = Writer(env.path("real", "0.log"))
    writer.write(10)
    os.symlink(writer.path, env.path("links", "pod.log"))
    start(env, sink, env.path("links", "*.log"))
    wait_all(env, sink, writer, filename=env.path("links", "pod.log"))
    writer.write(10)
    wait_all(env, sink, writer)
    # An editor writes the whole file anew, with a line more.
    with open(writer.path, "rb") as f:
        text = f.read()
    writer.lines.append("added")
    with open(writer.path + "~", "wb") as f:
        f.write(text + b"added\n")
    os.rename(writer.path + "~", writer.path)
    wait_all(env, sink, writer)


@short
def test_positions_of_promtail_are_taken_over(env):
    sink = Sink(env)
    env.write("in/a.log", "one\ntwo\nthree\n")
    env.write("in/b.log", "short\n")
    env.write("agent-positions.yaml", f'positions:\n  {log(env, "a.log")}: "4"\n  {log(env, "b.log")}: "4000"\n  cursor-x: s=1;i=2\n')
    agent = start(env, sink, log(env, "*.log"))
    env.wait_for(lambda: sink.count() >= 3)
    agent.stop()
    assert sorted(sink.lines()) == ["short", "three", "two"]
    with open(env.path("agent-positions.yaml"), encoding="utf-8") as f:
        assert f.read() == f'positions:\n  {log(env, "a.log")}: "14"\n  {log(env, "b.log")}: "6"\n  cursor-x: s=1;i=2\n'
    # Set back by hand: read again from there.
    env.write("agent-positions.yaml", f'positions:\n  {log(env, "a.log")}: "8"\n  {log(env, "b.log")}: "6"\n')
    before = len(sink.stored)
    agent.restart()
    env.wait_for(lambda: len(sink.stored) > before)
    agent.stop()
    assert [e.line for e in sink.stored[before:]] == [b"three"]


@short
def test_new_files_and_directories_appear(env):
    sink = Sink(env)
    os.makedirs(env.path("logs"))
    env.write("logs/a.log", "a\n")
    start(env, sink, env.path("logs/**/*.log"))
    env.wait_for(lambda: sink.count() == 1)
    env.write("logs/b.log", "b\n")
    env.write("logs/x/y/c.log", "c\n")
    env.wait_for(lambda: sink.count() == 3)
    assert sorted(sink.lines()) == ["a", "b", "c"]


@short
def test_path_out_of_reach_for_a_while(env):
    """A path that cannot be looked at tells nothing of its file."""
    sink = Sink(env)
    writer = Writer(log(env, "a.log"))
    writer.write(3)
    os.makedirs(env.path("other"))
    agent = start(env, sink, env.path("{in,other}/*.log"))
    wait_all(env, sink, writer)
    os.rename(env.path("in"), env.path("away"))
    os.symlink("in", env.path("in"))
    env.write("other/b.log", "seen\n")
    env.wait_for(lambda: "seen" in sink.lines())
    env.wait_for(lambda: agent.metric("promtail_files_active_total") == 2)
    assert agent.metric("larch_agent_rotations_total") == 0
    os.unlink(env.path("in"))
    os.rename(env.path("away"), env.path("in"))
    writer.write(3)
    env.wait_for(lambda: len(sink.lines()) >= 7)
    check_exactly_once(sink, writer.lines + ["seen"])


@short
def test_two_jobs_read_one_file(env):
    """One of them may be done with a file before the other is."""
    sink = Sink(env)
    path = log(env, "a.log")
    writer = Writer(path)
    writer.write(3)
    agent = start(env, sink, path + '"}\n  - job_name: other\n    static_configs:\n'
                  '      - labels: {job: u, __path__: "' + path)
    wait_all(env, sink, writer, job="t")
    wait_all(env, sink, writer, job="u")
    os.unlink(path)
    env.wait_for(lambda: agent.metric("promtail_files_active_total") == 0)
    writer = Writer(path)
    writer.write(2)
    env.wait_for(lambda: sink.count() == 10)
    agent.stop()


TWO = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
positions: {filename: "{positions}", sync_period: 200ms}
clients:
  - {name: good, url: "{url}/push", batchwait: 50ms, batchsize: 20000}
  - {name: bad, url: "%s/push", batchwait: 50ms, batchsize: 20000, external_labels: {via: bad},
     backoff_config: {min_period: 20ms, max_period: 100ms, max_retries: 0}}
scrape_configs:
  - job_name: files
    static_configs: [{labels: {job: t, __path__: "{dir}/in/*.log"}}]
"""


def has_cursor(env, client, offset):
    """Does the ledger say that the client has dealt with everything up to there? (docs/FORMATS.md, The ledger)"""
    cursor, left = bytes([len(client)]) + client.encode(), offset * 2
    while left > 127:
        cursor += bytes([left % 128 + 128])
        left //= 128
    with open(env.path("agent-positions.yaml.larch"), "rb") as f:
        return cursor + bytes([left]) in f.read()


def test_two_clients_one_down(env):
    good, bad = Sink(env), Sink(env, up=False)
    writer = Writer(log(env, "a.log"))
    writer.write(20000)
    agent = env.agent(good.url, config=TWO % bad.url)
    wait_all(env, good, writer)
    assert bad.count() == 0
    with open(env.path("agent-positions.yaml"), encoding="utf-8") as f:
        assert f.read().endswith('a.log: "0"\n')  # the slowest
    env.wait_for(lambda: has_cursor(env, "good", os.path.getsize(log(env, "a.log"))), "the ledger to be saved")
    agent.kill()
    agent.restart()
    writer.write(100)
    wait_all(env, good, writer)
    assert len(good.stored) < 25000  # its own cursor kept it from being sent everything again
    bad.start()
    wait_all(env, bad, writer, via="bad")
    size = os.path.getsize(log(env, "a.log"))
    env.wait_for(lambda: f'"{size}"' in open(env.path("agent-positions.yaml"), encoding="utf-8").read())


@short
def test_refused_batches_are_dropped_and_counted(env):
    sink = Sink(env)
    sink.status = 400
    writer = Writer(log(env, "a.log"))
    writer.write(10)
    agent = start(env, sink, log(env, "a.log"))
    env.wait_for(lambda: agent.metric("promtail_dropped_entries_total", reason="ingester_error") == 10)
    sink.status = 204
    del writer.lines[:]
    env.write("in/a.log", "good\n", "a")
    env.wait_for(lambda: sink.lines() == ["good"])
    agent.stop()
    agent.restart()
    assert sink.lines() == ["good"]


@short
def test_unreadable_for_a_while(env):
    """A disk that fails and comes back: the file does not change, and is read all the same."""
    sink = Sink(env)
    writer = Writer(log(env, "app.log"))
    writer.write(100)
    flag = env.write("flag", "")
    agent = start(env, sink, log(env, "app.log"),
                  variables={**env.preload("eio"), "EIO_SUFFIX": "app.log", "EIO_FLAG": flag}, start=False)
    agent.start()
    env.wait_for(lambda: agent.log().count("cannot be read and is tried again") > 1)
    assert sink.count() == 0
    os.unlink(flag)
    wait_all(env, sink, writer)


def open_files(agent, prefix):
    """How many descriptors of files whose path begins so the program has."""
    found = 0
    for name in os.listdir(f"/proc/{agent.pid}/fd"):
        try:
            found += os.readlink(f"/proc/{agent.pid}/fd/{name}").startswith(prefix)
        except FileNotFoundError:
            pass
    return found


def rotate(writer, number):
    os.rename(writer.path, f"{writer.path}.{number}")
    writer.reopen()


BOUNDED = CONFIG + "larch: {max_rotated_files: 3}\n"


@short
def test_many_rotations_while_the_server_is_down(env):
    """No more files are held open than configured, and all of them are read in the end, in order."""
    sink = Sink(env, up=False)
    writer = Writer(log(env, "app.log"))
    writer.write(60000)
    agent = env.agent(sink.url, config=BOUNDED % log(env, "app.log"))
    env.wait_for(lambda: agent.metric("larch_agent_pauses_total") > 0)
    for i in range(6):
        rotate(writer, i)
        writer.write(500)
        env.wait_for(lambda n=i + 1: agent.metric("larch_agent_rotations_total") == n)
    env.wait_for(lambda: agent.metric("larch_agent_rotated_files_parked") == 3)
    assert open_files(agent, writer.path) == 4  # three, and the one that is written to
    sink.start()
    wait_all(env, sink, writer)
    order = [e.line.decode() for e in sorted(sink.entries(), key=lambda e: e.ts)]
    assert order == writer.lines
    assert agent.metric("larch_agent_rotated_files_lost_total") == 0


@short
def test_deleted_files_are_bounded(env):
    """Files that have no name any more cannot be closed and found again: the oldest go, and that is told."""
    sink = Sink(env, up=False)
    writer = Writer(log(env, "app.log"))
    writer.write(60000)
    agent = env.agent(sink.url, config=BOUNDED % log(env, "app.log"))
    env.wait_for(lambda: agent.metric("larch_agent_pauses_total") > 0)
    kept = []
    for i in range(6):
        os.unlink(writer.path)
        writer.reopen()
        first = len(writer.lines)
        writer.write(100)
        kept.append(writer.lines[first:])
        env.wait_for(lambda n=i + 1: agent.metric("larch_agent_rotations_total") == n)
    env.wait_for(lambda: agent.metric("larch_agent_rotated_files_lost_total") == 3)
    assert open_files(agent, writer.path) == 4
    assert "larch.max_rotated_files=3" in agent.log()
    sink.start()
    want = set(sum(kept[2:], []))
    env.wait_for(lambda: want <= set(sink.lines()))


ARRAYS = CONFIG + """\
    pipeline_stages: [{split_json: {}}, {regex: {expression: '^"(?P<tenant>.)'}}, {tenant: {source: tenant}}]
"""


@short
def test_elements_of_a_line_survive_a_crash(env):
    """A line becomes entries of two tenants, and so of two batches: it is done when both are acknowledged."""
    sink = Sink(env)
    sink.status = lambda n: 204 if n == 1 else 503
    with open(log(env, "app.log"), "w", encoding="utf-8") as f:
        for i in range(50):
            f.write(f'["a{i}", "b{i}"]\n')
    agent = env.agent(sink.url, config=ARRAYS % log(env, "app.log"))
    env.wait_for(lambda: agent.metric("promtail_batch_retries_total") > 0)
    env.wait_for(lambda: os.path.exists(env.path("agent-positions.yaml")))
    agent.kill()
    assert sink.count() == 50  # one tenant's
    sink.status = 204
    agent.restart()
    env.wait_for(lambda: sink.count() == 100)
    agent.stop()
    assert sorted(sink.lines()) == sorted(f'"{t}{i}"' for t in "ab" for i in range(50))
