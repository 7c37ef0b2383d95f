# SPDX-License-Identifier: GPL-2.0-or-later
"""The server with its data in a bucket: a small one of the test's own. A real one: tests/services/test_s3.py."""
import random
import shutil
import time

from fake_s3 import Bucket
from harness import short


def flush(server):
    answer = server.post("/flush")
    assert answer.status == 204, answer


def numbered(n, word):
    return [f"{word} {i}" for i in range(n)]


@short
def test_everything_is_in_the_bucket(env):
    bucket = Bucket(env)
    server = env.server(config=bucket.config())
    want = []
    for i in range(3):
        server.push({"app": "a"}, numbered(100, f"round {i}"))
        want += numbered(100, f"round {i}")
        flush(server)
    assert all(n.startswith("larch/fake/") for n in bucket.names()), bucket.names()
    assert len(bucket.names("/segments/")) == 3
    server.stop()
    shutil.rmtree(env.path("server-data"))
    server.restart()
    assert sorted(server.lines('{app="a"}')) == sorted(want)


@short
def test_a_bucket_without_put_if_absent_is_refused(env):
    for conditions in ("ignored", "refused"):
        bucket = Bucket(env)
        bucket.conditions = conditions
        server = env.server(config=bucket.config(), name=f"server-{conditions}", start=False)
        server.start()
        assert server.wait() == 1
        assert "put-if-absent" in server.log() and "larch.single_writer: true" in server.log(), server.log()
        assert bucket.names() == []
        alone = env.server(config=bucket.config("  single_writer: true\n"), name=f"alone-{conditions}")
        for i in range(3):
            alone.push({"app": "a"}, [f"line {i}"])
            flush(alone)
        assert alone.lines('{app="a"}') == ["line 0", "line 1", "line 2"]
        assert len([n for n in bucket.names("/catalog/") if "checkpoint" not in n]) == 3


def test_lost_answers_make_no_copies(env):
    """Every fourth request is carried out without an answer, or comes to nothing: entries are there once."""
    bucket, rng = Bucket(env), random.Random(7)
    bucket.fault = lambda method, name: rng.choice(["lose", "hang up", 500, 503]) if rng.random() < .25 else None
    server = env.server(config=bucket.config())
    want = []
    for i in range(20):
        server.push({"app": "a"}, numbered(20, f"round {i}"))
        want += numbered(20, f"round {i}")
        env.wait_for(lambda: server.post("/flush").status == 204, "a flush")
        assert sorted(server.lines('{app="a"}')) == sorted(want)
    bucket.fault = None
    assert server.metric("loki_s3_request_duration_seconds_count", status_code="503") > 0
    server.kill()
    shutil.rmtree(env.path("server-data"))
    server.restart()
    assert sorted(server.lines('{app="a"}')) == sorted(want)


@short
def test_it_stops_while_the_bucket_is_away(env):
    bucket = Bucket(env)
    server = env.server(config=bucket.config())
    server.push({"app": "a"}, ["one"])
    flush(server)
    bucket.down = True
    server.push({"app": "a"}, ["two"])
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < 30
    bucket.down = False
    server.restart()
    assert server.lines('{app="a"}') == ["one", "two"]
