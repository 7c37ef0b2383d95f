# SPDX-License-Identifier: GPL-2.0-or-later
"""larchctl against a small server of Loki's API that counts and misbehaves on demand."""
import http.server
import json
import os
import subprocess
import threading
import urllib.parse

from harness import short

NOW = 1793527200 * 10**9


class Fake:
    """Answers query_range from a list of (ns, labels, line); remembers requests; fails as told."""

    def __init__(self):
        self.lines, self.requests, self.failures, self.max_answer = [], [], [], None
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urllib.parse.urlsplit(self.path)
                fake.requests.append((url.path, urllib.parse.parse_qs(url.query), self.headers, body))
                status, text = fake.failures.pop(0) if fake.failures else fake.answer(*fake.requests[-1])
                data = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def answer(self, path, args, _headers, _body):
        if path.endswith("/push"):
            return 204, ""
        if path.endswith("/labels"):
            return 200, '{"status":"success","data":["app","env"]}\n'
        if "/label/" in path:
            return 200, '{"status":"success"}\n'
        if path.endswith("/series"):
            return 200, '{"status":"success","data":[{"app":"a"},{"app":"b","env":"x"}]}\n'
        if path.endswith("/query"):
            return 200, self.vector()
        return 200, self.streams(args)

    def streams(self, args):
        start, end, limit = (int(args[k][0]) for k in ("start", "end", "limit"))
        forward = args["direction"] == ["forward"]
        found = sorted((e for e in self.lines if start <= e[0] < end), key=lambda e: e[0], reverse=not forward)[:limit]
        streams = {}
        for ns, labels, line in found:
            streams.setdefault(json.dumps(labels), []).append([str(ns), line])
        result = [{"stream": json.loads(k), "values": v} for k, v in streams.items()]
        return json.dumps({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}})

    @staticmethod
    def vector():
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"app": "a"}, "value": [1793527200, "42"]}]}})


def sortable(rfc3339):
    """The fraction in all nine digits: larchctl cuts trailing zeros."""
    seconds, _, fraction = rfc3339.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def ctl(env, fake, *args, stdin="", variables=None):
    return subprocess.run(env.command("larchctl", *args), input=stdin, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LARCH_ADDR": fake.url, **(variables or {})})


@short
def test_pages_until_the_limit(env):
    fake = Fake()
    # Five thousand lines, forty to each time, some alike: pages begin in the middle of a time.
    fake.lines = [(NOW - i // 40, {"app": "ab"[i % 2]}, f"line {i % 13}") for i in range(5000)]
    for limit in (1, 999, 1000, 2500):
        for forward in ([], ["--forward"]):
            got = ctl(env, fake, "query", "-o", "jsonl", "-n", str(limit), "--to", str(NOW + 1), *forward, "{app=~`.+`}")
            assert got.returncode == 0, got.stderr
            lines = [json.loads(x) for x in got.stdout.splitlines()]
            assert len(lines) == limit, len(lines)
            times = [sortable(x["timestamp"]) for x in lines]
            assert times == sorted(times, reverse=not forward)
            assert f"--limit {limit} reached" in got.stderr, got.stderr
    fake.requests.clear()
    got = ctl(env, fake, "query", "-q", "-o", "raw", "--limit", "0", "--to", str(NOW + 1), "{app=~`.+`}")
    assert sorted(got.stdout.splitlines()) == sorted(line for _, _, line in fake.lines)
    assert got.stderr == ""
    assert all(int(r[1]["limit"][0]) <= 1040 for r in fake.requests)


@short
def test_what_a_request_carries(env):
    fake = Fake()
    got = ctl(env, fake, "query", "--tenant", "t1", "--from", "1793527000", "--to", "2026-11-01T10:00:00Z", "--step", "90s",
              '{a="b c"} |= "+&%"')
    assert (got.returncode, got.stdout) == (0, ""), got
    assert "nothing found" in got.stderr
    path, args, headers, _ = fake.requests[0]
    assert path == "/loki/api/v1/query_range"
    assert args == {"query": ['{a="b c"} |= "+&%"'], "start": ["1793527000000000000"], "end": [str(NOW)], "limit": ["100"],
                    "direction": ["backward"], "step": ["90"]}
    assert headers["X-Scope-OrgID"] == "t1"
    assert headers["User-Agent"].startswith("larchctl/")
    assert "Expect" not in headers


@short
def test_default_output_is_plain_when_piped(env):
    fake = Fake()
    fake.lines = [(NOW + 5 * 10**6, {"app": "a"}, "hello \x1b[31mred")]
    got = ctl(env, fake, "query", "--to", str(NOW + 10**9), "{}")
    assert got.stdout == '2026-11-01T10:00:00.005Z {app="a"} hello \x1b[31mred\n', got.stdout
    got = ctl(env, fake, "query", "--instant", "sum(x)")
    assert got.stdout == ('TIME                      VALUE  SERIES\n'
                          '2026-11-01T10:00:00.000Z     42  {app="a"}\n'), got.stdout
    assert ctl(env, fake, "query", "-o", "raw", "--instant", "sum(x)").stdout == "42\n"


@short
def test_labels_and_series(env):
    fake = Fake()
    assert ctl(env, fake, "labels").stdout == "app\nenv\n"
    assert ctl(env, fake, "labels", "-o", "jsonl").stdout == '"app"\n"env"\n'
    got = ctl(env, fake, "labels", "a/b")
    assert (got.returncode, got.stdout) == (0, "") and "nothing found" in got.stderr
    assert fake.requests[-1][0] == "/loki/api/v1/label/a%2Fb/values"
    assert ctl(env, fake, "series", '{app="a"}', '{app="b"}').stdout == '{app="a"}\n{app="b", env="x"}\n'
    assert fake.requests[-1][1]["match[]"] == ['{app="a"}', '{app="b"}']
    assert ctl(env, fake, "series", "-o", "jsonl").stdout == '{"app":"a"}\n{"app":"b","env":"x"}\n'


@short
def test_failures_and_exit_codes(env):
    fake = Fake()
    fake.failures = [(400, "parse error at line 1, col 2: syntax error: unexpected $end")]
    got = ctl(env, fake, "query", "{")
    assert (got.returncode, got.stdout) == (1, "")
    assert "/loki/api/v1/query_range?query=%7B&" in got.stderr
    assert got.stderr.endswith("answered 400: parse error at line 1, col 2: syntax error: unexpected $end\n")
    for answer in ("", "<html></html>", '{"data":{"resultType":"streams","result":[{"values":[["x"]]}]}}', "[" * 100000):
        fake.failures = [(200, answer)]
        got = ctl(env, fake, "query", "{}")
        assert (got.returncode, got.stdout) == (1, ""), got
        assert got.stderr.startswith("larchctl: the answer is not "), got.stderr
    assert ctl(env, fake, "query", "--server", "http://127.0.0.1:1", "{}").returncode == 1
    for wrong in (["query"], ["query", "a", "b"], ["query", "--limit", "x", "{}"], ["qery"], ["--limit", "1"], ["push"],
                  ["query", "--since", "1h", "--from", "2h", "{}"], ["push", "{a=b}"], ["push", "--label", "a"],
                  ["query", "--server", "::", "{}"]):
        got = ctl(env, fake, *wrong)
        assert got.returncode == 2, (wrong, got)
        assert "--help tells more" in got.stderr


@short
def test_help_and_version(env):
    fake = Fake()
    assert ctl(env, fake, "--version").stdout.startswith("larchctl ")
    assert "Commands:" in ctl(env, fake, "--help").stdout
    for command in ("query", "labels", "series", "push", "delete"):
        got = ctl(env, fake, command, "--help")
        assert got.returncode == 0
        assert "Examples:" in got.stdout and f"larchctl {command}" in got.stdout


@short
def test_push_sends_every_line_and_tries_again(env):
    fake = Fake()
    fake.failures = [(503, "no memory now"), (429, "slow down")]
    lines = [f"line {i} é" for i in range(1000)] + ["", "no line feed at the end"]
    got = ctl(env, fake, "push", "--json", '{env="x"}', "--label", 'app=a"b', "--metadata", "trace=1", stdin="\n".join(lines))
    assert got.returncode == 0, got.stderr
    assert got.stderr.count("trying again") == 2 and "no memory now" in got.stderr
    bodies = [json.loads(r[3]) for r in fake.requests]
    assert bodies[0] == bodies[1] == bodies[2] and len(bodies) == 3
    stream, = bodies[0]["streams"]
    assert stream["stream"] == {"app": 'a"b', "env": "x"}
    assert [v[1] for v in stream["values"]] == lines
    assert all(v[2] == {"trace": "1"} for v in stream["values"])
    times = [int(v[0]) for v in stream["values"]]
    assert all(a < b for a, b in zip(times, times[1:]))


@short
def test_push_gives_up_when_refused(env):
    fake = Fake()
    fake.failures = [(400, "couldn't parse labels\n")]
    got = ctl(env, fake, "push", "--label", "a=b", stdin="x\n")
    assert got.returncode == 1
    assert got.stderr.endswith("/loki/api/v1/push answered 400: couldn't parse labels\n"), got.stderr
    assert len(fake.requests) == 1


@short
def test_push_sends_slow_lines_before_the_end(env):
    fake = Fake()
    proc = subprocess.Popen(env.command("larchctl", "push", "--json", "--server", fake.url, "-l", "a=b"),
                            stdin=subprocess.PIPE)
    proc.stdin.write(b"first\n")
    proc.stdin.flush()
    env.wait_for(lambda: fake.requests, "the first line at the server")
    proc.stdin.write(b"second")
    proc.stdin.close()
    assert proc.wait(60) == 0
    sent = [v[1] for r in fake.requests for v in json.loads(r[3])["streams"][0]["values"]]
    assert sent == ["first", "second"]


def ctl_at(env, server, *args, stdin="", status=0, tenant=None):
    got = ctl(env, server, *args, stdin=stdin, variables={"LARCH_TENANT": tenant} if tenant else None)
    assert got.returncode == status, got
    return got


@short
def test_lines_through_the_real_server(env):
    server = env.server()
    lines = [f"line {i} é \t {{\"level\": \"info\"}}" for i in range(2300)] + ["", "the last"]
    for form, selector in (("protobuf", '{app="p"}'), ("json", '{app="j"}')):
        options = ["--json"] if form == "json" else []
        ctl_at(env, server, "push", *options, selector, "--label", "env=test", stdin="\n".join(lines))
        got = ctl_at(env, server, "query", "-q", "-o", "raw", "--forward", "--limit", "0", selector)
        assert got.stdout.split("\n")[:-1] == lines, (form, got.stdout[-200:])
        got = ctl_at(env, server, "query", "-o", "jsonl", "-n", "1", selector)
        assert json.loads(got.stdout)["line"] == "the last"
        labels = json.loads(got.stdout)["labels"]
        assert labels["app"] == form[0] and labels["env"] == "test", labels
    assert "app" in ctl_at(env, server, "labels").stdout.split()
    assert ctl_at(env, server, "labels", "app").stdout == "j\np\n"
    got = ctl_at(env, server, "series", "-o", "jsonl", '{app="p"}')
    assert [json.loads(x)["app"] for x in got.stdout.splitlines()] == ["p"]
    got = ctl_at(env, server, "query", "-q", "-o", "raw", "--instant", 'sum(count_over_time({app="p"}[1h]))')
    assert got.stdout == f"{len(lines)}\n"
    got = ctl_at(env, server, "query", "-q", "--step", "1m", 'sum by (app) (count_over_time({app=~"j|p"}[1h]))')
    assert {x.split()[2] for x in got.stdout.splitlines()} == {'{app="j"}', '{app="p"}'}, got.stdout
    got = ctl_at(env, server, "query", '{app="p"} |=', status=1)
    assert "answered 400: parse error" in got.stderr, got.stderr
    got = ctl_at(env, server, "push", '{app="p"}', "-m", "x=y", stdin="with metadata\n")
    got = ctl_at(env, server, "query", "-o", "jsonl", '{app="p"} | x="y"')
    assert json.loads(got.stdout)["line"] == "with metadata"
