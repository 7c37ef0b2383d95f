# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries of several lines stay whole when a restart, a crash or a rotation comes between their lines."""
import os

from harness import short
from sink import Sink

# Only the next first line ends an entry: nothing here depends on time.
TRACES = "multiline: {firstline: '^\\d{4}-', max_wait_time: 1h}"
CONFIG = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
positions: {filename: "{positions}", sync_period: 200ms}
clients: [{url: "{url}/loki/api/v1/push", batchwait: 50ms}]
target_config: {sync_period: 500ms}
scrape_configs:
- job_name: a
  static_configs: [{labels: {job: t, __path__: "{dir}/in/*.log"}}]
  pipeline_stages: [{%s}]
"""
FIRST = ["2026-11-01 ERROR boom", "java.lang.IllegalStateException: x", "\tat a.B.c(B.java:1)"]
REST = ["Caused by: java.io.IOException: y", "\tat a.D.e(D.java:2)", "\t... 3 more"]
NEXT = ["2026-11-01 INFO next"]


def append(env, lines, name="in/a.log"):
    with open(env.path(name), "a", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))


def wait_read(env, agent, count):
    env.wait_for(lambda: agent.metric("promtail_read_lines_total") >= count, "lines to be read")


def check_whole(env, sink, want):
    env.wait_for(lambda: sink.count() >= len(want))
    assert sink.lines() == want, sink.lines()


def interrupted(env, stage, first, rest, following, want, interrupt):
    """Lines, an interruption in the middle of an entry, the entry's rest, and a line that ends the last entry."""
    sink = Sink(env)
    os.makedirs(env.path("in"))
    append(env, first)
    agent = env.agent(sink.url, config=CONFIG % stage)
    wait_read(env, agent, len(first))
    interrupt(agent)
    append(env, rest + following)
    if not agent.running:
        agent.restart()
    check_whole(env, sink, want)
    agent.stop()
    assert sink.lines() == want, sink.lines()


@short
def test_trace_over_a_restart(env):
    first = ["2026-11-01 INFO before"] + FIRST
    interrupted(env, TRACES, first, REST, NEXT, [first[0], "\n".join(FIRST + REST)], lambda agent: agent.stop())


@short
def test_trace_over_a_crash(env):
    interrupted(env, TRACES, FIRST, REST, NEXT, ["\n".join(FIRST + REST)], lambda agent: agent.kill())


@short
def test_trace_over_a_rotation(env):
    def rotate(_agent):
        os.rename(env.path("in/a.log"), env.path("in/a.log.1"))

    interrupted(env, TRACES, FIRST, REST, NEXT, ["\n".join(FIRST + REST)], rotate)


@short
def test_trace_over_a_rotation_while_down(env):
    def rotate(agent):
        agent.stop()
        append(env, REST[:1])
        os.rename(env.path("in/a.log"), env.path("in/a.log.1"))

    interrupted(env, TRACES, FIRST, REST[1:], NEXT, ["\n".join(FIRST + REST)], rotate)


def cri(flag, text):
    return f"2026-11-01T12:00:00.5Z stderr {flag} {text}"


@short
def test_partial_lines_of_containers_over_a_restart(env):
    interrupted(env, "cri: {}", [cri("F", "one"), cri("P", "two ")], [cri("P", "three "), cri("F", "four")], [],
                ["one", "two three four"], lambda agent: agent.stop())


@short
def test_trace_in_partial_lines_over_a_restart(env):
    first = [cri("P", FIRST[0][:9]), cri("F", FIRST[0][9:]), cri("F", FIRST[1]), cri("P", FIRST[2][:5])]
    rest = [cri("F", FIRST[2][5:])] + [cri("F", line) for line in REST]
    interrupted(env, "cri: {}}, {" + TRACES, first, rest, [cri("F", NEXT[0])], ["\n".join(FIRST + REST)],
                lambda agent: agent.stop())


@short
def test_trace_in_partial_lines_over_a_rotation(env):
    def rotate(_agent):
        os.rename(env.path("in/a.log"), env.path("in/a.log.1"))

    first = [cri("P", FIRST[0][:9]), cri("F", FIRST[0][9:]), cri("P", FIRST[1][:7])]
    rest = [cri("F", FIRST[1][7:]), cri("F", FIRST[2])] + [cri("F", line) for line in REST]
    interrupted(env, "cri: {}}, {" + TRACES, first, rest, [cri("F", NEXT[0])], ["\n".join(FIRST + REST)], rotate)


@short
def test_trace_in_partial_lines_over_a_crash_and_a_rotation(env):
    """With a preset, and the rotation while nobody reads."""
    def crash(agent):
        env.wait_for(lambda: os.path.exists(env.path("agent-positions.yaml.larch")))
        agent.kill()
        append(env, [cri("F", REST[0][9:])])
        os.rename(env.path("in/a.log"), env.path("in/a.log.1"))

    first = [cri("F", line) for line in FIRST] + [cri("P", REST[0][:9])]
    interrupted(env, "cri: {}}, {multiline: {preset: java, max_wait_time: 1h}", first, [cri("F", line) for line in REST[1:]],
                [cri("F", NEXT[0])], ["\n".join(FIRST + REST)], crash)


@short
def test_trace_in_a_file_of_which_nothing_was_sent(env):
    """What is read is known to the ledger soon, though a stage holds it and positions are saved rarely."""
    sink = Sink(env)
    os.makedirs(env.path("in"))
    agent = env.agent(sink.url, config=CONFIG.replace("sync_period: 200ms", "sync_period: 1h") % TRACES, start=False)
    append(env, NEXT, "in/b.log")
    agent.start()
    env.wait_for(lambda: os.path.exists(env.path("agent-positions.yaml")))  # the first time, and then not for an hour
    append(env, FIRST)

    def noted():
        with open(env.path("agent-positions.yaml.larch"), "rb") as f:
            return b"in/a.log" in f.read()
    env.wait_for(noted)
    agent.kill()
    append(env, REST)
    os.rename(env.path("in/a.log"), env.path("in/a.log.1"))
    append(env, NEXT)
    agent.restart()
    check_whole(env, sink, ["\n".join(FIRST + REST)])


@short
def test_standard_input_is_sent_whole(env):
    sink = Sink(env)
    file = env.write("stdin.yaml", "clients: [{url: '%s/push'}]\nscrape_configs:\n- job_name: a\n  static_configs: "
                                   "[{labels: {job: x, __path__: /dev/null}}]\n  pipeline_stages: [{%s}]\n" % (sink.url, TRACES))
    done = env.run("larch-agent", f"-config.file={file}", "-stdin", "-server.disable",
                   f"-positions.file={env.path('p.yaml')}", stdin="\n".join(FIRST))
    assert done.returncode == 0, done
    assert sink.lines() == ["\n".join(FIRST)]
