# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documentation says of the programs is what they say themselves."""
import json
import os
import re
import subprocess
import time

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


def shape(value):
    """Keys, and kinds of values; of a list that of its first item."""
    if isinstance(value, dict):
        return {key: shape(v) for key, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def same_shape(doc, answer):
    """Is the answer of the documented shape? Lists may be empty, and null stands for anything."""
    if isinstance(doc, dict) and isinstance(answer, dict):
        return doc.keys() == answer.keys() and all(same_shape(doc[k], answer[k]) for k in doc)
    if isinstance(doc, list) and isinstance(answer, list):
        return not doc or not answer or same_shape(doc[0], answer[0])
    return doc == answer or "NoneType" in (doc, answer)


@short
def test_examples_of_the_api(env):
    """Every command runs; an answer that stands behind it has the shape of the one that is given."""
    server = env.server()
    server.push({"app": "api"}, ["level=info msg=new", "level=warn msg=newer"])
    server.push({"app": "api"}, [(time.time_ns() - 3700 * 10**9, "level=info msg=old")])
    examples = re.findall(r"```sh\n(.*?)```(?:\n```json\n(.*?)```)?", read("API.md"), re.S)
    assert len(examples) >= 5
    for command, answer in examples:
        endless = "curl -N" in command
        command = command.strip().replace("http://127.0.0.1:3100", server.url).replace("curl ", "curl --fail-with-body ", 1)
        done = subprocess.run(["sh", "-c", command.replace("curl ", "curl -m 2 ") if endless else command], capture_output=True, text=True, timeout=60)
        assert done.returncode == (28 if endless else 0), (command, done.stdout, done.stderr)
        if answer:
            got = json.loads(done.stdout)
            assert same_shape(shape(json.loads(answer)), shape(got)), (command, got)
