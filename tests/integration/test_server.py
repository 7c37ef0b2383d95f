# SPDX-License-Identifier: GPL-2.0-or-later
"""larch-server alone: durability through crashes, tenants, configuration errors, bad input, full disks."""
import contextlib
import gzip
import json
import os
import random
import socket
import subprocess
import threading
import time
import urllib.parse

from forget import Forget
from harness import SERVER_CONFIG, http_request, short
from ledger import SEC, Ledger

OPEN_LIMITS = "limits_config: {ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}\n"


def check_everything(server, t0):
    assert server.lines('{app="a"}') == ["one", "two", "three"]
    assert server.lines('{app="a"} |= "t"', direction="backward", limit=1) == ["three"]
    labels = server.get("/loki/api/v1/labels").json()["data"]
    assert labels == ["app", "env", "service_name"], labels
    assert server.get("/loki/api/v1/label/app/values").json()["data"] == ["a", "b"]
    series = server.get("/loki/api/v1/series", **{"match[]": '{app="b"}'}).json()["data"]
    assert series == [{"app": "b", "env": "x", "service_name": "b"}], series
    counts = server.instant('sum by (app) (count_over_time({app=~".+"}[1h]))')["result"]
    assert {s["metric"]["app"]: s["value"][1] for s in counts} == {"a": "3", "b": "2"}
    matrix = server.query('bytes_over_time({app="b"}[1m])', step=60)
    assert matrix["resultType"] == "matrix" and matrix["result"]
    assert [s["metric"]["level"] for s in server.instant('sum by (level) (count_over_time({app="b"} | json [1h]))')["result"]] == ["error", "info"]


@short
def test_the_road(env):
    """A push is answered at once, after kill -9, from segments, and from segments after kill -9."""
    server = env.server()
    t0 = time.time_ns() - 5 * SEC
    server.push({"app": "a"}, ["one", "two", "three"], t0)
    server.push({"app": "b", "env": "x"}, ['{"level":"info"}', '{"level":"error"}'], t0)
    check_everything(server, t0)
    server.kill()
    server.restart()
    check_everything(server, t0)
    assert server.post("/flush").status == 204
    check_everything(server, t0)
    server.kill()
    server.restart()
    check_everything(server, t0)
    server.push({"app": "a"}, [(t0 + 1, "two")])  # the same entry again is no new one
    check_everything(server, t0)
    server.stop()
    server.restart()
    check_everything(server, t0)


def crash_loop(env, server, ledger, kills, after):
    rnd = random.Random(kills)
    for i in range(kills):
        want = len(ledger.acked) + 2000
        env.wait_for(lambda: len(ledger.acked) >= want, "acknowledgements")
        time.sleep(rnd.random() * .2)  # anywhere in what the server does; nothing is waited for
        if i % 2:
            threading.Thread(target=flush, args=(server,), daemon=True).start()
        server.kill()
        after()
        server.restart()


def flush(server):
    with contextlib.suppress(OSError):
        server.post("/flush")


def test_power_cut_during_load(env):
    """Kills on a file system that forgets what was not fsync'ed."""
    disk = Forget(env.path("server-data"), env.build)
    server = env.server(OPEN_LIMITS + "larch: {flush_bytes: 1MB}\n", variables={**env.preload("forget"), **{k: v for k, v in disk.environment().items() if k != "LD_PRELOAD"}})
    ledger = Ledger()
    ledger.start(server, writers=2)
    crash_loop(env, server, ledger, 6, disk.power_cut)
    ledger.finish()
    ledger.check(server)
    server.kill()
    disk.power_cut()
    server.restart()
    assert ledger.check(server) > 500


@short
def test_tenants_cannot_see_each_other(env):
    server = env.server(config=SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true"))
    server.push({"app": "a"}, ["of one"], tenant="one")
    server.push({"app": "b", "own": "x"}, ["of two"], tenant="two")
    for step in range(3):
        assert server.lines('{app=~".+"}', tenant="one") == ["of one"]
        assert server.lines('{app=~".+"}', tenant="two") == ["of two"]
        assert server.lines('{app=~".+"}', tenant="three") == []
        assert server.get("/loki/api/v1/labels", headers={"X-Scope-OrgID": "one"}).json()["data"] == ["app", "service_name"]
        assert server.get("/loki/api/v1/label/app/values", headers={"X-Scope-OrgID": "two"}).json()["data"] == ["b"]
        assert len(server.get("/loki/api/v1/series", headers={"X-Scope-OrgID": "one"}, match='{app=~".+"}').json()["data"]) == 1
        if step == 0:
            server.post("/flush")
        elif step == 1:
            server.kill()
            server.restart()
    assert server.get("/loki/api/v1/labels").status == 401
    assert server.post("/loki/api/v1/push", {"streams": []}).status == 401
    for bad in ("a/b", "..", "x" * 151, "one|two"):
        assert server.get("/loki/api/v1/labels", headers={"X-Scope-OrgID": bad}).status == 400, bad


@short
def test_one_process_per_directory(env):
    server = env.server()
    second = env.run("larch-server", f"-larch.data-dir={env.path('server-data', 'larch')}", "-server.http-listen-port=0")
    assert second.returncode == 1 and "another" in second.stderr, second
    assert server.get("/ready").status == 200


OLD_CONFIG = """\
server:
  http_listen_port: 3100
  grpc_listen_port: 9095
storage_config:
  boltdb:
    directory: /loki/index
  filesystem:
    directory: /loki/chunks
ingester:
  lifecycler:
    ring:
      kvstore:
        store: inmemory
  chunk_idle_period: 3m
limits_config:
  max_query_length: 1h
  max_entries_limit: 5000
  retention_period: 168h # 7 days
"""


@short
def test_configuration_errors_name_their_line(env):
    file = env.write("old.yaml", OLD_CONFIG)
    got = env.run("larch-server", f"-config.file={file}")
    assert got.returncode == 1
    for part in (f"{file}:17:3", '"max_entries_limit"', '"max_entries_limit_per_query"'):
        assert part in got.stderr, got.stderr
    fixed = env.write("fixed.yaml", OLD_CONFIG.replace("max_entries_limit:", "max_entries_limit_per_query:"))
    got = env.run("larch-server", f"-config.file={fixed}", "-verify-config")
    assert got.returncode == 0, got.stderr
    assert env.run("larch-server", "-config.file=/nonexistent.yaml").returncode == 1
    assert env.run("larch-server", "nonsense").returncode == 2
    help_ = env.run("larch-server", "--help")
    assert help_.returncode == 0 and "Examples" in help_.stdout
    assert env.run("larch-server", "--version").stdout.startswith("larch-server ")


LOKI_CONFIG = """\
auth_enabled: false
server:
  http_listen_port: {port}
common:
  path_prefix: {data}
  storage:
    filesystem:
      chunks_directory: {data}/chunks
      rules_directory: {data}/rules
  replication_factor: 1
  ring:
    instance_addr: 127.0.0.1
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2024-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
compactor:
  working_directory: {data}/compactor
  compaction_interval: 10m
  retention_enabled: true
  delete_request_store: filesystem
  retention_delete_delay: 2h
  retention_delete_worker_count: 150
limits_config:
  retention_period: 168h
"""


@short
def test_a_usual_configuration_runs(env):
    server = env.server(config=LOKI_CONFIG)
    server.push({"app": "a"}, ["hello"])
    assert server.lines('{app="a"}') == ["hello"]
    log = server.log()
    assert "compactor.working_directory (line 25)" in log and "schema_config.configs[0].store (line 18)" in log, log
    assert "compactor.retention_enabled (line 27)" in log and "retention_period=168h" in log, log
    assert "path_prefix: " + env.path("server-data") in server.get("/config").text


def varint(n):
    out = b""
    while True:
        out += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return out


def snappy(data):
    """Block format, literals only."""
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 60):
        part = data[i:i + 60]
        out.append((len(part) - 1) << 2)
        out += part
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def protobuf(labels, rows):
    stream = field(1, labels)
    for ts, line in rows:
        stamp = b"\x08" + varint(ts // SEC) + b"\x10" + varint(ts % SEC)
        stream += field(2, field(1, stamp) + field(2, line))
    return field(1, stream)


def push_raw(server, body, content_type="application/x-protobuf", **headers):
    return server.post("/loki/api/v1/push", body, content_type, headers)


@short
def test_bytes_are_kept(env):
    """Korean, Russian and Latin-1 lines, byte for byte, in memory and in segments."""
    server = env.server()
    now = time.time_ns() - SEC
    lines = ["안녕하세요 세계".encode(), "Привет, мир".encode(), "caf\xe9 cr\xe8me \xdf".encode("latin-1"), b"tab\tand\x00nul \xff\xfe"]
    assert push_raw(server, snappy(protobuf(b'{app="bytes"}', [(now + i, l) for i, l in enumerate(lines)]))).status == 204
    for _ in range(2):
        got = server.lines('{app="bytes"}')
        assert got[:2] == ["안녕하세요 세계", "Привет, мир"], got
        for line in lines:
            quoted = "".join("\\x%02x" % b for b in line)
            exact = server.instant('sum(bytes_over_time({app="bytes"} |= "%s" [1h]))' % quoted)["result"]
            assert [s["value"][1] for s in exact] == [str(len(line))], (line, exact)
        assert server.lines('{app="bytes"} |~ "(?i)ПРИВЕТ.*мир"') == ["Привет, мир"]
        assert server.post("/flush").status == 204


@short
def test_bad_input_gets_an_answer(env):
    server = env.server()
    now = time.time_ns()
    good = protobuf(b'{app="good"}', [(now, b"fine")])
    assert push_raw(server, snappy(good)).status == 204
    bad = [
        b"", b"\xff" * 10, snappy(good)[:-3], snappy(good[:-2]), snappy(b"\x0a\xff\xff\xff\xff\x0f"), snappy(b"\x0a\x05ab"),
        varint(1 << 31) + b"\x00", varint(4 << 30) + b"x" * 100, snappy(field(1, field(1, b"\xff\xfe") + field(2, b""))),
        snappy(field(1, field(1, b'{a="b"') + field(2, field(2, b"x")))),
    ]
    for body in bad:
        answer = push_raw(server, body)
        assert 400 <= answer.status < 504 and answer.text.strip(), (body[:40], answer)
    for body in ("{", "[]", "nope", '{"streams":5}', '{"streams":[{"stream":{"a":"b"},"values":[["x"]]}]}', "[" * 100000, '{"streams":' * 5000):
        assert push_raw(server, body, "application/json").status == 400, body[:40]
    assert push_raw(server, b"zz", "application/json", **{"Content-Encoding": "gzip"}).status == 400
    assert push_raw(server, b"zz", "application/json", **{"Content-Encoding": "br"}).status == 400
    assert push_raw(server, b"x", "").status == 400
    # A line over the limit takes only itself with it, and the answer says so.
    answer = push_raw(server, snappy(protobuf(b'{app="good"}', [(now + 1, b"L" * (10 << 20)), (now + 2, b"short")])))
    assert answer.status == 400 and "max entry size '262144' bytes exceeded" in answer.text, answer
    assert server.lines('{app="good"}') == ["fine", "short"]
    for query in ("{", '{app="a"} |~ "("', '{app="a"} | json | line_format "{{"', "(" * 10000, '{app=~"(a{1000}){1000}"}', "\x00", "x" * 200000):
        answer = server.get("/loki/api/v1/query_range", query=query[:60000])
        assert answer.status in (400, 414), (query[:30], answer)
    assert server.lines('{app="good"}') == ["fine", "short"]
    assert server.get("/ready").status == 200


def test_bombs_do_not_grow_the_process(env):
    server = env.server()
    zeros = bytes(100 << 20)
    gz = gzip.compress(zeros, 1)
    cases = [(push_raw, (server, zeros)), (push_raw, (server, gz, "application/json"), {"Content-Encoding": "gzip"}),
             (push_raw, (server, gz), {"Content-Encoding": "gzip"}), (push_raw, (server, varint(100 << 20) + b"\xfe\x01\x00" * 1000)),
             (push_raw, (server, snappy(field(1, field(1, b'{a="b"}') + field(2, b"") * (4 << 20)))))]
    for call, args, *more in cases:
        answer = call(*args, **(more[0] if more else {}))
        assert 400 <= answer.status < 504 and answer.text.strip(), answer
    with open(f"/proc/{server.pid}/status") as f:
        peak = [int(l.split()[1]) // 1024 for l in f if l.startswith("VmHWM")][0]
    assert peak < 400, f"{peak} MiB at the peak"
    server.push({"app": "a"}, ["alive"])
    assert server.lines('{app="a"}') == ["alive"]


def slow_query(env):
    """A server and the path of a query that it would work on for minutes."""
    server = env.server(OPEN_LIMITS + "larch: {logql_extensions: true}\n")
    array = json.dumps(list(range(30000)), separators=(",", ":"))
    server.push({"app": "a"}, [array] * 20, time.time_ns() - 60 * SEC)
    slow = 'sum(count_over_time({} | unroll | label_format x=`{{ repeat 300 __line__ | upper | lower }}` | x != "" [1h]))'
    return server, "/loki/api/v1/query?" + urllib.parse.urlencode({"query": " + ".join([slow] * 30)})


def test_a_query_ends_when_its_client_goes(env):
    """A query that takes long: its socket is closed, and it ends at once rather than at its deadline."""
    server, path = slow_query(env)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        env.wait_for(lambda: server.metric("larch_queries_running") == 1, "the query to run")
    env.wait_for(lambda: server.metric("larch_queries_running") == 0, "the query to end")
    assert server.metric("loki_request_duration_seconds_count", route="loki_api_v1_query", status_code="499") == 1
    assert server.lines('{app="a"} |= "x"') == []


def test_queries_take_turns_and_can_be_cancelled(env):
    """Slow queries wait for each other, but no push waits for them; they are listed and cancelled by number."""
    def listed():
        return server.get("/larch/v1/queries").json()["queries"]

    server, path = slow_query(env)
    answers = []
    clients = [threading.Thread(target=lambda: answers.append(server.get(path).status)) for _ in range(6)]
    for client in clients:
        client.start()
    env.wait_for(lambda: len(listed()) == 6)
    env.wait_for(lambda: server.metric("larch_queries_running") == 2)
    assert sorted(q["state"] for q in listed()) == ["running"] * 2 + ["waiting"] * 4
    assert server.metric("larch_queries_waiting") == 4
    server.push({"app": "b"}, ["not kept waiting"])
    for query in listed():
        assert "unroll" in query["query"] and query["tenant"] == "fake"
        answer = http_request("DELETE", f"{server.url}/larch/v1/queries/{query['id']}")
        assert answer.status == 204, answer
    for client in clients:
        client.join()
    assert answers == [499] * 6
    env.wait_for(lambda: not listed())  # it goes just behind its answer
    assert http_request("DELETE", f"{server.url}/larch/v1/queries/1").status == 404
    assert server.lines('{app="b"}') == ["not kept waiting"]
    env.wait_for(lambda: "msg=query" in server.log() and "status=499" in server.log())


@contextlib.contextmanager
def small_disk(env, size):
    """A file system of its own for the server's data."""
    disk = env.path("server-data")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        for p in env.processes:
            if p.running:
                p.kill()
        subprocess.run(["umount", "-l", disk], check=False)


def free(disk):
    space = os.statvfs(disk)
    return space.f_bavail * space.f_frsize


def leave(disk, n):
    """Fills the disk up to n free bytes; the name of the file that does."""
    path = os.path.join(disk, "ballast")
    with open(path, "ab", buffering=0) as f, contextlib.suppress(OSError):
        while free(disk) > n:
            f.write(bytes(4096))
    return path


def rows_of(n, size):
    start = time.time_ns()
    rnd = random.Random(start)
    return [("0", start + k, "%0*x" % (size, rnd.getrandbits(4 * size))) for k in range(n)]


def test_full_disk(env):
    """Pushes get 503 and a clear text, what was acknowledged stays, and queries, flushes and starts go on; when there
    is room, so do pushes."""
    with small_disk(env, 64) as disk:
        server = env.server(OPEN_LIMITS)
        ledger = Ledger()
        assert ledger.push(server, rows_of(1000, 8000))
        reserve = server.metric("larch_disk_reserve_bytes")
        leave(disk, reserve + 7e6)
        text = env.wait_for(lambda: (a := ledger.send(server, rows_of(1, 100))).status == 503 and a.text, "a refusal")
        for part in (disk, "larch.disk_reserve", "bytes free", "no space"):
            assert part in text, text
        ledger.check(server)
        # The entries become segments, which are smaller than the log, and that makes room.
        env.wait_for(lambda: ledger.push(server, rows_of(1, 100)), "a flush to make room")
        ballast = leave(disk, reserve * .9)
        env.wait_for(lambda: ledger.send(server, rows_of(1, 100)).status == 503, "a full disk")
        assert server.post("/flush").status == 204
        assert server.metric("larch_disk_refused_pushes_total") > 1
        server.kill()
        server.restart()
        ledger.check(server)
        assert ledger.send(server, rows_of(1, 100)).status == 503
        os.unlink(ballast)
        env.wait_for(lambda: ledger.push(server, rows_of(1, 100)), "room")
        ledger.check(server)
        server.stop()


def test_full_disk_without_a_reserve(env):
    """The same where writes meet the end of the disk."""
    with small_disk(env, 24) as disk:
        server = env.server(OPEN_LIMITS + "larch: {disk_reserve: 1B}\n")
        ledger = Ledger()
        assert ledger.push(server, rows_of(1000, 100))
        ballast = leave(disk, 0)
        env.wait_for(lambda: ledger.send(server, rows_of(1, 10000)).status == 503, "a full disk")
        ledger.check(server)
        assert server.post("/flush").status == 503
        server.kill()
        server.restart()
        ledger.check(server)
        os.unlink(ballast)
        env.wait_for(lambda: ledger.push(server, rows_of(1, 100)), "room")
        env.wait_for(lambda: server.post("/flush").status == 204, "a flush")
        ledger.check(server)
        server.stop()


@short
def test_status_endpoints(env):
    server = env.server()
    assert server.get("/ready").text == "ready\n"
    info = server.get("/loki/api/v1/status/buildinfo").json()
    assert info["version"]
    server.push({"app": "a"}, ["x", "y"])
    assert server.metric("loki_distributor_lines_received_total", tenant="fake") == 2
    assert server.metric("loki_request_duration_seconds_count", route="loki_api_v1_push", status_code="204") == 1
    assert server.metric("loki_ingester_memory_streams") == 1
    assert server.post("/log_level?log_level=debug").json()["status"] == "success"
    assert server.get("/log_level").json()["message"] == "Current log level is debug"
    assert server.post("/log_level?log_level=loud").status == 400
    assert server.get("/loki/api/v1/nope").status == 404
    assert server.post("/ready").status == 405
    assert env.run("larch-server", "-health", f"-health.url={server.url}/ready").returncode == 0
    server.stop()
    assert env.run("larch-server", "-health", f"-health.url={server.url}/ready").returncode == 1


@short
def test_limits_of_tenants_are_read_again(env):
    def write(text):
        os.replace(env.write("new.yaml", text), env.path("tenants.yaml"))

    def limits_of(tenant):
        answer = server.get("/loki/api/v1/drilldown-limits", headers={"X-Scope-OrgID": tenant})
        return answer.json()["limits"]

    def push(tenant, line, app="x"):
        body = {"streams": [{"stream": {"app": app}, "values": [[str(time.time_ns()), line]]}]}
        return server.post("/loki/api/v1/push", body, headers={"X-Scope-OrgID": tenant}).status

    write("overrides:\n  a: {max_line_size: 10B}\n  b: {max_global_streams_per_user: 1}\n")
    runtime = "runtime_config: {file: %s, period: 50ms}\n" % env.path("tenants.yaml")
    server = env.server(config=SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true") + runtime)
    assert push("a", "more than ten bytes") == 400 and push("b", "more than ten bytes") == 204
    assert push("b", "short", app="y") == 429
    text = server.get("/config/tenant/v1/limits", headers={"X-Scope-OrgID": "a"}).text
    assert "max_line_size: 10B" in text and "max_query_series: 500" in text, text
    write("overrides: {a: {max_query_series: 3}}\n")
    env.wait_for(lambda: limits_of("a")["max_query_series"] == 3)
    assert push("a", "more than ten bytes") == 204 and limits_of("b")["max_query_series"] == 500
    write("overrides: {a: {max_query_serie: 4}}\n")
    env.wait_for(lambda: server.metric("loki_runtime_config_last_reload_successful") == 0)
    assert "max_query_series" in server.log() and limits_of("a")["max_query_series"] == 3


@short
def test_no_configuration_at_all(env):
    port = env.free_port()
    server = env.start("bare", env.command("larch-server", f"-server.http-listen-port={port}"), {"STATE_DIRECTORY": env.path("state")})
    env.wait_for(lambda: http_request("GET", f"http://127.0.0.1:{port}/ready").status == 200)
    assert os.path.isdir(env.path("state"))
    body = json.dumps({"streams": [{"stream": {"a": "b"}, "values": [[str(time.time_ns()), "x"]]}]})
    assert http_request("POST", f"http://127.0.0.1:{port}/loki/api/v1/push", body, {"Content-Type": "application/json", "X-Scope-OrgID": "ignored"}).status == 204
    with open("/proc/net/tcp") as f:
        listening = [l.split()[1] for l in f if l.split()[3] == "0A"]
    assert "0100007F:%04X" % port in listening, listening
    server.stop()
