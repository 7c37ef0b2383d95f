# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test with real processes needs; standard library only.

A test is a function test_*(env) of a module tests/integration/test_*.py; it fails by raising. `env` (class Env)
is made for each test and cleans up behind it: every process is stopped, and one that died by itself, exited with
another status than 0, or printed a sanitizer's report fails the test; on failure all logs are printed. Mark a test
with @short when it is quick enough to run under sanitizers. Nothing depends on time: wait for a condition with
env.wait_for(), whose deadline is generous.

    from harness import short

    @short
    def test_a_line_is_answered(env):
        server = env.server()
        server.push({"app": "a"}, ["hello"])
        assert server.lines('{app="a"}') == ["hello"]

As a program (what tests/run calls): harness.py --list FILE; harness.py --build O --run FILE FUNCTION.
"""
import argparse
import fcntl
import http.client
import importlib.util
import json
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

DEADLINE = 60  # seconds for a condition that normally holds within milliseconds
REPORTS = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def short(function):
    """Marks a test as quick enough for sanitizer runs."""
    function.short = True
    return function


def launcher(build):
    """What goes in front of a program's command line. ThreadSanitizer of older compilers cannot place its shadow
    where the kernel randomises more than 28 bits of an address."""
    try:
        with open("/proc/sys/vm/mmap_rnd_bits", encoding="ascii") as f:
            bits = int(f.read())
    except OSError:
        bits = 0
    if os.path.basename(os.path.abspath(build)) == "tsan" and bits > 28:
        return ["setarch", platform.machine(), "-R"]
    return []


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"HTTP {self.status}: {self.text[:2000]}"


def http_request(method, url, body=None, headers=None, timeout=DEADLINE):
    """One request on a connection of its own; any status is an answer, a failed connection raises OSError."""
    parts = urllib.parse.urlsplit(url)
    conn = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        conn.request(method, urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), body, headers or {})
        answer = conn.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    except http.client.HTTPException as e:  # a server that dies while it answers
        raise ConnectionError(f"{url}: {e!r}") from e
    finally:
        conn.close()


class Process:
    """A program under test. It can be started again after it ended; its log goes on in the same file."""

    def __init__(self, env, name, argv, variables=None):
        self.env, self.name, self.argv, self.variables = env, name, argv, variables or {}
        self.log_path = env.path(name + ".log")
        self.proc = None
        self.expect_end = True  # whether it may be found dead at the end of the test

    def start(self):
        assert not self.running, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.env.dir,
                                         env={**os.environ, **self.variables})
        self.expect_end = False
        return self

    @property
    def running(self):
        return self.proc is not None and self.proc.poll() is None

    @property
    def pid(self):
        return self.proc.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self, timeout=DEADLINE):
        """Waits for the program to end by itself; its exit status."""
        self.expect_end = True
        return self.proc.wait(timeout)

    def signal(self, number):
        self.proc.send_signal(number)

    def stop(self, status=0):
        """SIGTERM, and the program must end in order."""
        self.signal(signal.SIGTERM)
        got = self.wait()
        assert got == status, f"{self.name} ended with {got} instead of {status} after SIGTERM"

    def kill(self):
        """kill -9: the crash that everything on disk must survive."""
        self.signal(signal.SIGKILL)
        self.wait()

    def restart(self):
        self.start()
        self.wait_ready()
        return self

    def wait_ready(self):
        """What start() of a program with a known readiness waits for; nothing for others."""


class HttpProcess(Process):
    """A program that serves HTTP on 127.0.0.1:port and says at /ready when it does."""

    def __init__(self, env, name, argv, port, variables=None):
        super().__init__(env, name, argv, variables)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def wait_ready(self, path="/ready"):
        def ready():
            assert self.running, f"{self.name} ended with {self.proc.returncode} before it was ready"
            return self.get(path).status == 200
        self.env.wait_for(ready, f"{self.name} answers {path}")

    def get(self, path, headers=None, **params):
        query = "?" + urllib.parse.urlencode(params, doseq=True) if params else ""
        return http_request("GET", self.url + path + query, headers=headers)

    def post(self, path, body=b"", content_type="application/json", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        return http_request("POST", self.url + path, body, {"Content-Type": content_type, **(headers or {})})

    def metric(self, name, **labels):
        """Sum of the series of `name` that have these labels; 0 when there is none."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            m = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", line)
            if not m or m[1] != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            if all(have.get(k) == v for k, v in labels.items()):
                total += float(m[3])
        return total


class Server(HttpProcess):
    """larch-server with helpers for pushing and querying; `tenant` sets X-Scope-OrgID."""

    def push(self, stream, lines, start_ns=None, tenant=None):
        """Pushes lines (strings, or (ns, line) pairs) to one stream, 1 ns apart from start_ns (default: now)."""
        at = time.time_ns() if start_ns is None else start_ns
        values = [[str(v[0]), v[1]] if isinstance(v, tuple) else [str(at + i), v] for i, v in enumerate(lines)]
        answer = self.post("/loki/api/v1/push", {"streams": [{"stream": stream, "values": values}]},
                           headers=tenant_header(tenant))
        assert answer.status == 204, answer
        return answer

    def query(self, logql, start=None, end=None, limit=5000, direction="forward", tenant=None, **more):
        """Data of /loki/api/v1/query_range; times in ns, by default all of the last day and the next minute."""
        now = time.time_ns()
        answer = self.get("/loki/api/v1/query_range", headers=tenant_header(tenant), query=logql,
                          start=now - 86400 * 10**9 if start is None else start,
                          end=now + 60 * 10**9 if end is None else end,
                          limit=limit, direction=direction, **more)
        assert answer.status == 200, answer
        return answer.json()["data"]

    def instant(self, logql, at=None, tenant=None, **more):
        answer = self.get("/loki/api/v1/query", headers=tenant_header(tenant), query=logql,
                          time=time.time_ns() if at is None else at, **more)
        assert answer.status == 200, answer
        return answer.json()["data"]

    def entries(self, logql, **more):
        """(ns, line, labels) of a log query, in order of time."""
        found = [(int(value[0]), value[1], stream["stream"])
                 for stream in self.query(logql, **more)["result"] for value in stream["values"]]
        return sorted(found, key=lambda e: e[0])

    def lines(self, logql, **more):
        return [line for _, line, _ in self.entries(logql, **more)]


def tenant_header(tenant):
    return {"X-Scope-OrgID": tenant} if tenant else {}


SERVER_CONFIG = """\
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {port}
common:
  path_prefix: {data}
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
"""

AGENT_CONFIG = """\
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {port}
positions:
  filename: {positions}
  sync_period: 1s
clients:
  - url: {url}/loki/api/v1/push
    batchwait: 50ms
scrape_configs:
"""

SCRAPE_FILES = """\
  - job_name: files
    static_configs:
      - targets: [localhost]
        labels:
          job: files
          __path__: {pattern}
"""


class Env:
    """One test's world: a temporary directory, ports, processes."""

    def __init__(self, build, name):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix=f"larch-{name}-")
        self.processes = []
        self.reserved = []  # locks of ports

    # ---- files and ports ----

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text, mode="w"):
        """Writes (or with mode "a" appends) a file below the test's directory; its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode + ("b" if isinstance(text, bytes) else "")) as f:
            f.write(text)
        return path

    def free_port(self):
        """A port outside of the ephemeral range that no other test takes as long as this one runs."""
        folder = os.path.join(tempfile.gettempdir(), f"larch-test-ports-{os.getuid()}")
        os.makedirs(folder, exist_ok=True)
        for port in random.sample(range(20000, 32000), 1000):
            lock = open(os.path.join(folder, str(port)), "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.reserved.append(lock)
            return port
        raise RuntimeError("no free port between 20000 and 32000")

    # ---- processes ----

    def program(self, name):
        return os.path.join(self.build, name)

    def command(self, name, *args):
        """The command line of one of our programs."""
        return launcher(self.build) + [self.program(name), *args]

    def add(self, process, start=True):
        """Registers a Process (or a kind of it) for cleanup, starts it and waits until it is ready."""
        self.processes.append(process)
        return process.restart() if start else process

    def start(self, name, argv, variables=None):
        return self.add(Process(self, name, argv, variables))

    def preload(self, helper):
        """Variables that load build/tests/HELPER.so (from tests/integration/HELPER.c) into a program."""
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": self.program(f"tests/{helper}.so"), "ASAN_OPTIONS": options + ":verify_asan_link_order=0"}

    def server(self, more="", config=None, name="server", args=(), variables=None, start=True):
        """larch-server on a free port with its data below the test's directory. `more` is YAML put behind the
        default configuration; `config` replaces it and may use {port} and {data}."""
        port = self.free_port()
        text = (config or SERVER_CONFIG).replace("{port}", str(port)).replace("{data}", self.path(name + "-data"))
        file = self.write(name + ".yaml", text + more)
        argv = self.command("larch-server", f"-config.file={file}", *args)
        return self.add(Server(self, name, argv, port, variables), start)

    def agent(self, url, scrape=None, pattern=None, config=None, name="agent", args=(), variables=None, start=True):
        """larch-agent that ships to the server at `url`. `scrape` is the YAML of scrape_configs (two blanks deep);
        `pattern` is short for one job of files. `config` replaces all and may use {port} {url} {positions} {dir}."""
        port = self.free_port()
        scrape = scrape or SCRAPE_FILES.replace("{pattern}", pattern or self.path("*.txt"))
        text = config or AGENT_CONFIG + scrape
        for key, value in (("port", port), ("url", url), ("positions", self.path(name + "-positions.yaml")),
                           ("dir", self.dir)):
            text = text.replace("{" + key + "}", str(value))
        file = self.write(name + ".yaml", text)
        argv = self.command("larch-agent", f"-config.file={file}", *args)
        return self.add(HttpProcess(self, name, argv, port, variables), start)

    def run(self, name, *args, stdin=b"", timeout=DEADLINE):
        """Runs one of our programs to its end: CompletedProcess with text."""
        return subprocess.run(self.command(name, *args), input=stdin.decode() if isinstance(stdin, bytes) else stdin,
                              capture_output=True, text=True, cwd=self.dir, timeout=timeout)

    # ---- waiting ----

    def wait_for(self, condition, what="the condition", timeout=DEADLINE):
        """Polls until condition() is true and returns its value. A refused connection counts as not yet."""
        end = time.monotonic() + timeout
        while True:
            try:
                value = condition()
                if value:
                    return value
            except OSError as e:
                value = e
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s for {what}; last: {value!r}")
            time.sleep(0.02)

    # ---- the end ----

    def _end(self, process):
        """Stops one process; what is wrong with how it ended, or None."""
        if process.running:
            process.signal(signal.SIGTERM)
            try:
                status = process.proc.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                return f"{process.name} did not end within {DEADLINE} s after SIGTERM"
            if status not in (0, -signal.SIGTERM):
                return f"{process.name} ended with {status} after SIGTERM"
        elif not process.expect_end:
            return f"{process.name} ended by itself with {process.proc.returncode}"
        if process.proc and REPORTS.search(process.log()):
            return f"{process.name} printed a sanitizer's report"
        return None

    def close(self):
        """Stops everything, newest first; the complaints."""
        complaints = [c for c in map(self._end, reversed(self.processes)) if c]
        for lock in self.reserved:
            lock.close()
        return complaints

    def print_logs(self):
        for process in self.processes:
            if process.proc:
                text = process.log()
                cut = f"(last 100 KB of {len(text)})\n" if len(text) > 100000 else ""
                print(f"---- log of {process.name}:\n{cut}{text[-100000:].rstrip()}")

    def remove(self):
        if os.environ.get("KEEP"):
            print(f"kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def load(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.modules.setdefault("harness", sys.modules[__name__])
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_test(path, name, build):
    """True when the test passed."""
    function = getattr(load(path), name)
    env = Env(build, name)
    failure = None
    try:
        function(env)
    except Exception:  # whatever it is, clean up and show it
        failure = traceback.format_exc()
    complaints = env.close()
    if failure or complaints:
        env.print_logs()
        print(failure or "", *complaints, sep="\n")
    env.remove()
    return not failure and not complaints


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--list")
    args.add_argument("--build", default="build")
    args.add_argument("--run", nargs=2)
    args = args.parse_args()
    if args.list:
        for name, value in vars(load(args.list)).items():
            if name.startswith("test_") and callable(value):
                print(name, "short" if getattr(value, "short", False) else "long")
        return 0
    return 0 if run_test(*args.run, args.build) else 1


if __name__ == "__main__":
    sys.exit(main())
