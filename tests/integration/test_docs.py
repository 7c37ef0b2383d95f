# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documentation says of the programs is what they say themselves."""
import os
import re
import subprocess

from harness import short

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def read(name):
    with open(os.path.join(TESTS, "..", "docs", name), encoding="utf-8") as f:
        return f.read()


@short
def test_generated_tables_are_current(env):
    done = subprocess.run([os.path.join(TESTS, "docs"), env.build, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@short
def test_every_metric_is_listed(env):
    names = set(re.findall(r"`(\w+)`", read("METRICS.md")))
    server = env.server()
    server.push({"app": "a"}, ["x"])
    server.lines('{app="a"}')
    for line in server.get("/metrics").text.splitlines():
        name = re.match(r"(?:# \w+ )?(\w+)", line)[1]
        assert names & {name, re.sub(r"_(bucket|sum|count)$", "", name)}, f"{name} is not in docs/METRICS.md"
