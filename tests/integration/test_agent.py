# SPDX-License-Identifier: GPL-2.0-or-later
"""larch-agent's command line, pages, and sources other than files."""
import json
import os
import signal
import socket
import subprocess

from harness import short
from sink import Sink

CHECKS = [  # what is wrong, and what the message must hold
    ("clients: [{url: 'http://h/p'}]\nscrape_configs:\n- job_name: a\n  static_config: []\n", [":4:3", "static_configs"]),
    ("clients: [{url: 'http://h/p'}]\nscrape_configs:\n- job_name: a\n  static_configs:\n  - labels: {__path__: '/var/log/[x'}\n",
     [":5:", "[ without ]"]),
    ("clients: [{url: 'http://h/p'}]\nscrape_configs:\n- job_name: a\n  static_configs: []\n  relabel_configs:\n  - regex: '('\n"
     "    target_label: x\n", [":6:", "missing closing )"]),
    ("clients: [{url: 'http://h/p'}]\nscrape_configs:\n- job_name: a\n  static_configs: []\n  pipeline_stages:\n  - nope: {}\n",
     [":6:5", "nope"]),
    ("clients: [{url: 'http://h/p', bearer_tokn: x}]\n", [":1:", "bearer_token"]),
    ("clients: [{url: 'http://h/p'}]\nlimits_config: {readline_rate_enabled: true, readline_rate: 0}\n", [":2:", "readline_rate"]),
    ("scrape_configs: []\n", ["no client"]),
    ("clients: [{url: 'http://h/p'}]\nclients: []\n", [":2:1"]),
]


@short
def test_check_syntax(env):
    for i, (text, words) in enumerate(CHECKS):
        file = env.write(f"bad{i}.yaml", text)
        done = env.run("larch-agent", f"-config.file={file}", "-check-syntax")
        assert done.returncode == 1, done
        for word in words:
            assert word in done.stderr, (word, done.stderr)
    good = env.write("good.yaml", "clients: [{url: 'http://h/p'}]\nscrape_configs:\n- job_name: a\n"
                                  "  static_configs: [{labels: {__path__: '/x/{a,b}/**/*.log'}}]\n")
    assert env.run("larch-agent", "--config.file", f"/no/such/file,{good}", "--check-syntax").returncode == 0
    assert env.run("larch-agent", "-config.file=/no/such/file", "-check-syntax").returncode == 1


@short
def test_usage(env):
    done = env.run("larch-agent", "--help")
    assert done.returncode == 0 and "Examples:" in done.stdout and "-client.url" in done.stdout
    assert env.run("larch-agent", "-version").stdout.startswith("larch-agent, version ")
    for args in (["-no-such-flag"], ["stray"], ["-config.file"], ["-dry-run=perhaps"]):
        done = env.run("larch-agent", *args)
        assert done.returncode == 2 and done.stderr, args


@short
def test_stdin(env):
    sink = Sink(env)
    done = env.run("larch-agent", "-stdin", "-server.disable", f"-client.url={sink.url}/push",
                   "-client.external-labels=env=test", f"-positions.file={env.path('p.yaml')}",
                   stdin="one\r\n\ntwo\nlast")
    assert done.returncode == 0, done
    assert sink.lines() == ["one", "two", "last"]
    labels = sink.entries()[0].labels
    assert 'env="test"' in labels and 'job="stdin"' in labels and "hostname=" in labels


PIPELINE = """\
clients: [{url: "http://127.0.0.1:1/push"}]
scrape_configs:
- job_name: a
  static_configs: [{labels: {job: x, __path__: /dev/null}}]
  pipeline_stages:
  - regex: {expression: '^(?P<level>\\w+) (?P<msg>.*)$'}
  - labels: {level: }
  - output: {source: msg}
"""

METRICS = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
positions: {filename: "{positions}"}
clients: [{url: "{url}/push", batchwait: 50ms}]
scrape_configs:
- job_name: a
  static_configs: [{labels: {__path__: "{dir}/in/*.log"}}]
  pipeline_stages:
  - regex: {expression: '^(?P<word>\\w+)'}
  - metrics: {words_total: {type: Counter, source: word, config: {action: inc}}}
"""


@short
def test_metrics_of_pipelines(env):
    sink = Sink(env)
    env.write("in/a.log", "one\ntwo\n")
    agent = env.agent(sink.url, config=METRICS)
    env.wait_for(lambda: sink.count() == 2)
    assert agent.metric("promtail_custom_words_total") == 2


@short
def test_ships_while_its_port_is_taken(env):
    sink = Sink(env)
    env.write("in/a.log", "one\ntwo\n")
    agent = env.agent(sink.url, config=METRICS, start=False)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", agent.port))
        other.listen()
        agent.start()
        env.wait_for(lambda: sink.count() == 2)
        assert "Address already in use" in agent.log(), agent.log()
    agent.wait_ready()
    assert agent.metric("promtail_custom_words_total") == 2


@short
def test_dry_run_and_inspect(env):
    file = env.write("agent.yaml", PIPELINE)
    done = env.run("larch-agent", f"-config.file={file}", "-stdin", "-dry-run", "-inspect", stdin="INFO hello\nnothing\n")
    assert done.returncode == 0, done
    lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    assert [line[1:] for line in lines] == [['{job="x", level="INFO"}', "hello"], ['{job="x"}', "nothing"]], done.stdout
    assert "[inspect: labels stage]:" in done.stderr and '+: INFO' in done.stderr and "none" in done.stderr, done.stderr


@short
def test_dry_run_saves_nothing(env):
    env.write("in/a.log", "line\n")
    file = env.write("agent.yaml", "positions: {filename: %s}\nclients: [{url: 'http://127.0.0.1:1/push'}]\nscrape_configs:\n"
                                   "- job_name: a\n  static_configs: [{labels: {__path__: '%s'}}]\n"
                     % (env.path("p.yaml"), env.path("in/*.log")))
    agent = env.start("dry", env.command("larch-agent", f"-config.file={file}", "-dry-run"))
    env.wait_for(lambda: "\tline\n" in agent.log())
    agent.stop()
    assert not [name for name in os.listdir(env.dir) if name.startswith("p.yaml")]


@short
def test_dry_run_lets_go_of_deleted_files(env):
    """Lines of a file that is deleted while a stage holds them: their rows must still be there when they are dropped."""
    env.write("in/a.log", "S one\n more\n")
    file = env.write("agent.yaml", """
positions: {filename: %s}
clients: [{url: 'http://127.0.0.1:1/push'}]
target_config: {sync_period: 200ms}
scrape_configs:
- job_name: a
  static_configs: [{labels: {__path__: '%s'}}]
  pipeline_stages: [{multiline: {firstline: ^S, max_wait_time: 4s}}, {drop: {expression: one}}]
""" % (env.path("p.yaml"), env.path("in/*.log")))
    agent = env.start("dry", env.command("larch-agent", f"-config.file={file}", "-dry-run"))
    env.wait_for(lambda: "reading a file" in agent.log())
    os.unlink(env.path("in/a.log"))
    env.wait_for(lambda: "a file was rotated" in agent.log())
    env.write("in/b.log", "S two\nS three\n")
    env.wait_for(lambda: "\tS two\n" in agent.log())
    env.wait_for(lambda: "\tS three\n" in agent.log())  # as old as the one that was dropped
    agent.stop()
    assert "S one" not in agent.log()


@short
def test_stages_of_alloy(env):
    file = env.write("agent.yaml", """
larch: {pipeline_dialect: alloy}
clients: [{url: 'http://127.0.0.1:1/push'}]
scrape_configs:
- job_name: a
  static_configs: [{labels: {job: x, __path__: /dev/null}}]
  pipeline_stages:
  - regex: {expression: '^(?P<level>[A-Z]+)', labels_from_groups: true}
  - label_drop: {values: [job]}
""")
    done = env.run("larch-agent", f"-config.file={file}", "-stdin", "-dry-run", stdin="INFO hello\n")
    assert done.returncode == 0 and '\t{level="INFO"}\tINFO hello\n' in done.stdout, done
    env.write("agent.yaml", open(file, encoding="utf-8").read().replace("alloy", "promtail"))
    done = env.run("larch-agent", f"-config.file={file}", "-check-syntax")
    assert done.returncode != 0 and 'unknown pipeline stage "label_drop"; did you mean "labeldrop"?' in done.stderr, done


ADMIN = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}, log_level: debug}
positions: {filename: "{positions}"}
clients:
  - {name: main, url: "{url}/push", batchwait: 50ms, tenant_id: fixed, headers: {X-Extra: "1", User-Agent: mine},
     basic_auth: {username: u, password_file: "{dir}/password"}}
scrape_configs:
  - job_name: files
    pipeline_stages:
      - regex: {expression: '^(?P<t>\\w+):'}
      - tenant: {source: t}
    static_configs:
      - labels: {job: "<b>", __path__: "{dir}/in/*.log"}
      - labels: {job: elsewhere, __host__: another-machine, __path__: /x}
      - labels: {job: nowhere}
"""


@short
def test_pages_tenants_and_headers(env):
    sink = Sink(env)
    env.write("password", "secret\n")
    env.write("in/a.log", "team: one\nplain\n")
    agent = env.agent(sink.url, config=ADMIN)
    env.wait_for(lambda: sink.count() == 2)
    assert {(e.tenant, e.line) for e in sink.entries()} == {("team", b"team: one"), ("fixed", b"plain")}
    assert all("__tenant_id__" not in e.labels for e in sink.entries())
    headers = sink.requests[0][1]
    assert headers["Authorization"] == "Basic dTpzZWNyZXQ=" and headers["X-Extra"] == "1"
    assert headers["User-Agent"].startswith("larch-agent/")
    targets = agent.get("/targets", format="json").json()
    states = [t["reason"] for t in targets["jobs"][0]["targets"]]
    assert states == ["", "wrong_host", "no_path"], targets
    assert targets["jobs"][0]["targets"][0]["files"][0]["offset"] == 16
    page = agent.get("/targets")
    assert "&lt;b&gt;" in page.text and "<b>" not in page.text
    assert agent.get("/targets", headers={"Accept": "application/json"}).json() == agent.get("/service-discovery", format="json").json()
    assert agent.get("/").status == 303
    assert "secret" not in agent.get("/config").text and "batchwait: 50ms" in agent.get("/config").text
    assert agent.metric("promtail_sent_entries_total") == 2
    assert agent.metric("promtail_read_lines_total", path=env.path("in/a.log")) == 2
    assert agent.metric("promtail_targets_failed_total") == 2
    assert agent.metric("promtail_files_active_total") == 1


@short
def test_second_agent_on_the_same_positions_is_refused(env):
    sink = Sink(env)
    env.write("a.txt", "x\n")
    agent = env.agent(sink.url)
    done = env.run("larch-agent", agent.argv[-1], "-server.http-listen-port=0", timeout=60)
    assert done.returncode == 1 and "another" in done.stderr, done


# ---- journald ----

REMOTE = "/lib/systemd/systemd-journal-remote"
JOURNAL = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: {port}}
positions: {filename: "{positions}", sync_period: 200ms}
clients: [{url: "{url}/push", batchwait: 50ms}]
scrape_configs:
  - job_name: j
    journal: {path: "{dir}/journal", max_age: 87600h, labels: {job: journal}%s}
    relabel_configs:
      - {source_labels: [__journal__systemd_unit], target_label: unit}
      - {source_labels: [__journal_priority_keyword], target_label: level}
      - {source_labels: [__journal_message], regex: unwanted.*, action: drop}
"""


def journal_entry(us, **named):
    lines = [f"__REALTIME_TIMESTAMP={us}", f"__MONOTONIC_TIMESTAMP={us % 10**9}", "_BOOT_ID=" + "b" * 32]
    return "\n".join(lines + [f"{k}={v}" for k, v in named.items()]) + "\n\n"


def write_journal(env, name, entries):
    os.makedirs(env.path("journal"), exist_ok=True)
    subprocess.run([REMOTE, "-o", env.path("journal", name + ".journal"), "-"], input="".join(entries).encode(), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@short
def test_journal(env):
    sink = Sink(env)
    base = 1700000000 * 10**6
    write_journal(env, "one", [
        journal_entry(base + 1, MESSAGE="first", _SYSTEMD_UNIT="a.service", PRIORITY="3"),
        journal_entry(base + 2, MESSAGE="", _SYSTEMD_UNIT="a.service", PRIORITY="6"),
        journal_entry(base + 3, OTHER="no message"),
        journal_entry(base + 4, MESSAGE="unwanted noise"),
        journal_entry(base + 5, MESSAGE="last", PRIORITY="42"),
    ])
    agent = env.agent(sink.url, config=JOURNAL % "")
    env.wait_for(lambda: sink.count() >= 3)
    got = [(e.ts, e.labels, e.line) for e in sink.entries()]
    assert got == [((base + 1) * 1000, '{job="journal", level="error", unit="a.service"}', b"first"),
                   ((base + 2) * 1000, '{job="journal", level="info", unit="a.service"}', b""),
                   ((base + 5) * 1000, '{job="journal", level="42"}', b"last")], got
    assert agent.metric("promtail_journal_target_parsing_errors_total", error="no_message") == 1
    agent.stop()
    with open(env.path("agent-positions.yaml"), encoding="utf-8") as f:
        assert "\n  cursor-j: s=" in f.read()
    before = len(sink.stored)
    write_journal(env, "two", [journal_entry(base + 6, MESSAGE="after")])
    agent.restart()
    env.wait_for(lambda: len(sink.stored) > before)
    assert [e.line for e in sink.stored[before:]] == [b"after"]  # not the cursor's own entry again
    agent.kill()
    write_journal(env, "three", [journal_entry(base + 7, MESSAGE="later")])
    agent.restart()
    env.wait_for(lambda: b"later" in {e.line for e in sink.entries()})
    assert sink.count() == 5  # whatever came twice is the same entry


@short
def test_journal_json_and_matches(env):
    sink = Sink(env)
    base = 1700000000 * 10**6
    write_journal(env, "one", [journal_entry(base, MESSAGE="a<b", _SYSTEMD_UNIT="x.service", PRIORITY="1"),
                               journal_entry(base + 1, MESSAGE="other", _SYSTEMD_UNIT="y.service", PRIORITY="1")])
    env.agent(sink.url, config=JOURNAL % ', json: true, matches: "_SYSTEMD_UNIT=x.service PRIORITY=1"')
    env.wait_for(lambda: sink.count() >= 1)
    line = sink.entries()[0].line.decode()
    assert '"MESSAGE":"a\\u003cb"' in line
    fields = json.loads(line)
    assert list(fields) == sorted(fields) and fields["_SYSTEMD_UNIT"] == "x.service"
    assert sink.count() == 1


@short
def test_damaged_journal_does_not_stop_the_rest(env):
    sink = Sink(env)
    base = 1700000000 * 10**6
    write_journal(env, "one", [journal_entry(base + i, MESSAGE=f"one {i}") for i in range(50)])
    write_journal(env, "two", [journal_entry(base + 10**6 + i, MESSAGE=f"two {i}") for i in range(50)])
    path = env.path("journal", "one.journal")
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        at = data.index(b"MESSAGE=one 25")
        data[at - 200:at + 3000] = b"\xff" * 3200
        f.seek(0)
        f.write(data)
    agent = env.agent(sink.url, config=JOURNAL % "")
    env.wait_for(lambda: "two 49" in sink.lines())
    assert len([line for line in sink.lines() if line.startswith("two ")]) == 50
    assert "one 1" in sink.lines()
    assert agent.running


@short
def test_notify(env):
    """systemd is told when the agent is ready."""
    path = env.path("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(60)
        sink = Sink(env)
        env.write("a.txt", "x\n")
        agent = env.agent(sink.url, variables={"NOTIFY_SOCKET": path})
        assert s.recv(1000) == b"READY=1"
        agent.signal(signal.SIGTERM)
        assert s.recv(1000) == b"STOPPING=1"
        assert agent.wait() == 0
