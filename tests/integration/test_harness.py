# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness itself, with Python's own web server in the place of ours."""
import os
import subprocess
import sys

from harness import Env, HttpProcess, Process, short


def web_server(env):
    port = env.free_port()
    env.write("www/ready", "yes\n")
    env.write("www/metrics", 'x_total{a="1",b="q\\"}"} 2\nx_total{a="2"} 3.5\nx_total_other 9\n')
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", env.path("www")]
    return env.add(HttpProcess(env, "web", argv, port))


@short
def test_process_lives_and_dies(env):
    web = web_server(env)
    assert web.get("/ready").text == "yes\n"
    assert web.get("/absent").status == 404
    assert web.metric("x_total") == 5.5
    assert web.metric("x_total", a="2") == 3.5
    web.kill()
    assert not web.running
    try:
        web.get("/ready")
        assert False, "the dead server answered"
    except OSError:
        pass
    web.restart()
    assert web.get("/ready").status == 200
    assert web.log().count("GET /ready") >= 3


@short
def test_wait_for_returns_the_value_or_fails(env):
    values = iter([None, 0, 7])
    assert env.wait_for(lambda: next(values)) == 7
    try:
        env.wait_for(lambda: 0, "a miracle", timeout=0.1)
        assert False, "it waited for nothing"
    except AssertionError as e:
        assert "a miracle" in str(e)


@short
def test_ports_are_not_given_twice(env):
    ports = [env.free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)


@short
def test_unexpected_ends_are_complaints(env):
    inner = Env(env.build, "inner")
    ends = {
        "dies": "raise SystemExit(3)",
        "reports": "print('ERROR: AddressSanitizer: x', flush=True)",
        "fine": "pass",
    }
    for name, code in ends.items():
        process = inner.add(Process(inner, name, [sys.executable, "-c", code]))
        if name != "dies":
            process.wait()
        else:
            process.proc.wait()
    complaints = inner.close()
    inner.remove()
    assert len(complaints) == 2, complaints
    assert not os.path.exists(inner.dir)


@short
def test_runner_counts_failures(env):
    """A failing module makes the runner's process fail, and its log is shown."""
    module = env.write("test_bad.py", "def test_bad(env):\n    env.start('cat', ['echo', 'hello']).wait()\n    assert 1 == 2\n")
    harness = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness.py")
    done = subprocess.run([sys.executable, harness, "--build", env.build, "--run", module, "test_bad"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "assert 1 == 2" in done.stdout and "hello" in done.stdout
