# SPDX-License-Identifier: GPL-2.0-or-later
"""The server on a real S3: Ceph's gateway."""
import os
import random
import shutil
import string
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ceph import Ceph  # noqa: E402
from harness import SERVER_CONFIG  # noqa: E402

BUCKET = "logs"


def config(ceph, more="", secret=None, bucket=BUCKET):
    """A server that keeps its objects in the bucket and asks for news often."""
    storage = (f"  storage: {{s3: {{endpoint: '{ceph.endpoint}', bucketnames: {bucket}, access_key_id: {ceph.KEY}, "
               f"secret_access_key: {secret or ceph.SECRET}, s3forcepathstyle: true, "
               "backoff_config: {min_period: 10ms, max_period: 100ms}, http_config: {response_header_timeout: 5s}}}\n")
    text = SERVER_CONFIG.replace("  replication_factor: 1\n", "  replication_factor: 1\n" + storage)
    return text.replace("object_store: filesystem", "object_store: s3") + "larch:\n  catalog_refresh: 100ms\n" + more


def flush(server):
    answer = server.post("/flush")
    assert answer.status == 204, answer


def numbered(n, word="line"):
    return [f"{word} {i}" for i in range(n)]


def test_the_road_through_a_bucket(env):
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    server = env.server(config=config(ceph))
    for i in range(3):
        server.push({"app": "a"}, numbered(1000, f"round {i}"))
        flush(server)
    want = sorted(line for r in range(3) for line in numbered(1000, f"round {r}"))
    assert sorted(server.lines('{app="a"}')) == want
    keys = ceph.keys(BUCKET)
    assert len([k for k in keys if k.startswith("larch/fake/segments/")]) == 3, keys
    assert len([k for k in keys if k.startswith("larch/fake/catalog/")]) >= 3, keys
    assert not [k for k in keys if "probe" in k], keys
    assert not os.path.exists(env.path("server-data", "larch", "store")), "objects must be in the bucket only"

    # What was uploaded is in the cache; without it, it comes from the bucket, once.
    assert server.metric("larch_object_cache_fetched_bytes_total") == 0
    server.stop()
    shutil.rmtree(env.path("server-data"))
    server.restart()
    assert sorted(server.lines('{app="a"}')) == want
    fetched = server.metric("larch_object_cache_fetched_bytes_total")
    assert fetched > 0
    assert server.metric("loki_s3_request_duration_seconds_count", operation="S3.GetObject", status_code="206") > 0
    server.stop()
    server.restart()
    assert sorted(server.lines('{app="a"}')) == want
    assert server.metric("larch_object_cache_fetched_bytes_total") == 0, "the cache survives a restart"


def test_two_servers_share_a_bucket(env):
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    one = env.server(config=config(ceph), name="one")
    two = env.server(config=config(ceph), name="two")
    for i in range(10):
        one.push({"app": "a"}, numbered(50, f"one {i}"))
        two.push({"app": "a"}, numbered(50, f"two {i}"))
        flush(one)
        flush(two)
    want = sorted(line for i in range(10) for s in ("one", "two") for line in numbered(50, f"{s} {i}"))
    for server in (one, two):
        env.wait_for(lambda: sorted(server.lines('{app="a"}')) == want, "what both wrote")
    one.kill()
    one.restart()
    assert sorted(one.lines('{app="a"}')) == want
    names = [k for k in ceph.keys(BUCKET, "larch/fake/catalog/") if "checkpoint" not in k]
    assert len(names) == 20, "every flush has a number of its own"


def test_large_objects_go_in_parts(env):
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    server = env.server(config=config(ceph, "  multipart_bytes: 5MB\n  flush_bytes: 1GB\n"),
                        more="limits_config: {ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}\n")
    rng, alphabet, lines = random.Random(1), string.ascii_letters + string.digits + "+/", []
    for _ in range(8):
        batch = ["".join(rng.choices(alphabet, k=2000)) for _ in range(1000)]
        server.push({"app": "a"}, batch)
        lines += batch
    flush(server)
    sizes = ceph.keys(BUCKET, "larch/fake/segments/").values()
    assert max(sizes) > 5 << 20, sizes
    assert server.metric("loki_s3_request_duration_seconds_count", operation="S3.UploadPart", status_code="200") >= 3
    assert server.metric("loki_s3_request_duration_seconds_count", operation="S3.CompleteMultipartUpload") == 1
    server.stop()
    shutil.rmtree(env.path("server-data"))
    server.restart()
    found = []
    for a in range(0, 8000, 2000):
        found += server.lines('{app="a"} |~ "^[%s]"' % alphabet[a // 2000 * 16:a // 2000 * 16 + 16].replace("+", "\\\\+"))
    assert sorted(found) == sorted(lines)


def test_wrong_keys_are_named(env):
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    for text, words in ((config(ceph, secret="wrong"), ("SignatureDoesNotMatch", "secret_access_key", BUCKET)),
                        (config(ceph, bucket="nobucket"), ("NoSuchBucket", "nobucket", "create the bucket")),
                        (config(ceph).replace(ceph.KEY, "OTHER"), ("InvalidAccessKeyId", "access_key_id"))):
        server = env.server(config=text, name=f"server-{words[0]}", start=False)
        server.start()
        assert server.wait() == 1
        for word in words:
            assert word in server.log(), (word, server.log())


def test_an_outage_costs_no_lines(env):
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    server = env.server(config=config(ceph))
    server.push({"app": "a"}, numbered(100, "before"))
    flush(server)
    ceph.gateway.kill()
    want = numbered(100, "before")
    for i in range(5):
        server.push({"app": "a"}, numbered(100, f"during {i}"))
        want += numbered(100, f"during {i}")
    server.post("/flush")  # on the local disk at first
    assert sorted(server.lines('{app="a"}')) == sorted(want)
    server.kill()
    server.restart()  # on what it knows of the bucket; what it uploaded is in its cache
    assert sorted(server.lines('{app="a"}')) == sorted(want)
    server.push({"app": "a"}, ["last"])
    want.append("last")
    ceph.gateway.restart()
    assert len(ceph.keys(BUCKET, "larch/fake/segments/")) >= 1
    env.wait_for(lambda: server.post("/flush").status == 204, "a flush")
    env.wait_for(lambda: len(ceph.keys(BUCKET, "larch/fake/segments/")) > 1, "uploads to go on")
    assert sorted(server.lines('{app="a"}')) == sorted(want)
    server.stop()

    def all_there():
        shutil.rmtree(env.path("other-data"), ignore_errors=True)
        return sorted(other.lines('{app="a"}')) == sorted(want)
    other = env.server(config=config(ceph), name="other")
    env.wait_for(all_there, "everything to be in the bucket")


def test_kills_and_a_start_in_an_outage(env):
    """The log and the outbox survive kill -9 while the bucket is out of reach; a server that has seen it starts without."""
    ceph = Ceph(env)
    ceph.make_bucket(BUCKET)
    server = env.server(config=config(ceph))
    server.push({"app": "a"}, numbered(100, "before"))
    flush(server)
    ceph.gateway.kill()
    want = numbered(100, "before")
    for i in range(3):
        server.push({"app": "a"}, numbered(100, f"flushed {i}"))
        assert server.post("/flush").status != 204  # it waits for the upload
        server.push({"app": "a"}, numbered(100, f"logged {i}"))
        want += numbered(100, f"flushed {i}") + numbered(100, f"logged {i}")
        server.kill()
        server.restart()
        got = server.lines('{app="a"}')
        assert sorted(got) == sorted(want)  # what is in the bucket is in the cache
    assert "out of reach" in str(server.get("/loki/api/v1/query_range", query='{app="a"}').json())
    assert server.metric("larch_outbox_segments") > 0
    env.wait_for(lambda: server.metric("larch_outbox_failing") == 1, "an attempt to upload")
    ceph.gateway.restart()
    env.wait_for(lambda: server.post("/flush").status == 204, "uploads")
    assert server.metric("larch_outbox_segments") == 0
    other = env.server(config=config(ceph), name="other")
    assert sorted(other.lines('{app="a"}')) == sorted(want)
    assert sorted(server.lines('{app="a"}')) == sorted(want)
