# SPDX-License-Identifier: GPL-2.0-or-later
"""Pushes as other clients send them: curl, gzip'ed JSON, snappy protobuf and OpenTelemetry made by hand."""
import gzip
import json
import subprocess
import time
import zlib

from harness import SERVER_CONFIG, short

SEC = 10**9


# ---- wire formats ----

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(field_number, n):
    return varint(field_number << 3) + varint(n)


def fixed64(field_number, n):
    return varint(field_number << 3 | 1) + n.to_bytes(8, "little")


def snappy_literals(data):
    """A snappy block that copies nothing."""
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 60):
        piece = data[i:i + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return bytes(out)


def push_request(labels, entries):
    body = field(1, labels.encode())
    for ns, line in entries:
        stamp = number(1, ns // SEC) + number(2, ns % SEC)
        body += field(2, field(1, stamp) + field(2, line.encode()))
    return field(1, body)


def attribute(key, text):
    return field(1, key.encode()) + field(2, field(1, text.encode()))


def otlp_request(service, records):
    """records: (ns, severity number, line)"""
    logs = b"".join(field(2, fixed64(1, ns) + number(2, severity) + field(5, field(1, line.encode())) + field(9, b"\xab" * 16))
                    for ns, severity, line in records)
    resource = field(1, attribute("service.name", service)) + field(1, attribute("host.arch", "arm64"))
    return field(1, field(1, resource) + field(2, field(1, field(1, b"lib")) + logs))


def otlp_json(service, ns, line):
    return {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                              "scopeLogs": [{"logRecords": [{"timeUnixNano": str(ns), "body": {"stringValue": line}}]}]}]}


def curl(url, data, *args):
    """Status, content type and body that curl saw."""
    done = subprocess.run(["curl", "-sS", "-X", "POST", "--data-binary", "@-", "-w", "\n%{http_code} %{content_type}", *args, url],
                          input=data, stdout=subprocess.PIPE, timeout=60, check=True)
    body, _, tail = done.stdout.rpartition(b"\n")
    status, _, kind = tail.decode().partition(" ")
    return int(status), kind, body


def status_message(body):
    """Of a google.rpc.Status with a message below 128 bytes."""
    assert body[0] == 2 << 3 | 2 and body[1] == len(body) - 2, body
    return body[2:].decode()


# ---- tests ----

@short
def test_loki_clients(env):
    server = env.server()
    now = time.time_ns()
    push = server.url + "/loki/api/v1/push"
    text = json.dumps({"streams": [{"stream": {"app": "curl"}, "values": [[str(now), "from curl"]]}]}).encode()
    assert curl(push, text, "-H", "Content-Type: application/json")[0] == 204
    for encoding, pack in (("gzip", gzip.compress), ("deflate", lambda b: zlib.compress(b)[2:-4])):
        body = pack(text.replace(b'"curl"', b'"%s"' % encoding.encode()))
        assert curl(push, body, "-H", "Content-Type: application/json; charset=utf-8", "-H", "Content-Encoding: " + encoding)[0] == 204
        assert server.lines('{app="%s"}' % encoding) == ["from curl"]
    proto = snappy_literals(push_request('{app="proto"}', [(now, "one"), (now + 1, "two\0three")]))
    for encoding in ([], ["-H", "Content-Encoding: snappy"]):
        assert curl(push, proto, "-H", "Content-Type: application/x-protobuf", *encoding)[0] == 204
    assert server.lines('{app="proto"}') == ["one", "two\0three"]
    assert server.lines('{app="curl"}') == ["from curl"]
    status, _, body = curl(push, text, "-H", "Content-Type: application/json", "-H", "Content-Encoding: br")
    assert (status, body) == (400, b'Content-Encoding "br" not supported\n')


@short
def test_both_json_forms_are_stored_on_both_routes(env):
    server = env.server()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for name, path in (("new", "/loki/api/v1/push"), ("old", "/api/prom/push")):
        assert server.post(path, {"streams": [{"stream": {"app": name}, "values": [[str(time.time_ns()), "v1"]]}]}).status == 204
        assert server.post(path, {"streams": [{"labels": '{app="%s"}' % name, "entries": [{"ts": stamp, "line": "legacy"}]}]}).status == 204
        assert sorted(server.lines('{app="%s"}' % name)) == ["legacy", "v1"]
    assert server.post("/loki/api/v1/push", {"streams": [{"stream": {"app": "none"}}]}).status == 204
    assert server.lines('{app="none"}') == []


@short
def test_otlp(env):
    server = env.server()
    url, now = server.url + "/otlp/v1/logs", time.time_ns()
    body = otlp_request("cart", [(now, 17, "boom"), (now + 1, 9, "fine \0")])
    for args in ((body, []), (gzip.compress(body), ["gzip"]), (packed("zstd", body), ["zstd"]), (packed("lz4", body), ["lz4"])):
        if args[0] is None:
            continue
        header = ["-H", "Content-Encoding: " + args[1][0]] if args[1] else []
        assert curl(url, args[0], "-H", "Content-Type: application/x-protobuf", *header) == (204, "", b""), args[1]
    assert server.lines('{service_name="cart"}') == ["boom", "fine \0"]
    assert server.lines('{service_name="cart"} | detected_level="error" | host_arch="arm64" | scope_name="lib" | trace_id="%s"' % ("ab" * 16)) == ["boom"]
    assert server.lines('{service_name="cart"} | detected_level="info"') == ["fine \0"]
    assert server.post("/otlp/v1/logs", otlp_json("shop", now, "json")).status == 204
    server.kill()
    server.restart()
    assert server.lines('{service_name="shop"}') == ["json"]


def packed(program, data):
    """Through a command-line tool; None where it is not installed."""
    try:
        return subprocess.run([program, "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    except FileNotFoundError:
        return None


@short
def test_otlp_errors(env):
    server = env.server("limits_config: {max_line_size: 10}\ndistributor: {otlp_config: {default_resource_attributes_as_index_labels: [service.name, host.arch]}}\n")
    url, now = server.url + "/otlp/v1/logs", time.time_ns()
    cases = [
        (b"{}", ["application/json"], 422, "error at least one valid stream is required for ingestion"),
        (b"{}", ["application/json; charset=utf-8"], 400, "content type: application/json; charset=utf-8 is not supported"),
        (b"{}", ["application/json", "snappy"], 400, 'Content-Encoding "snappy" not supported'),
        (b"x", ["application/x-protobuf"], 400, "protobuf: bad varint at byte 1"),
        (json.dumps(otlp_json("s", now - 30 * 86400 * SEC, "old")).encode(), ["application/json"], 400, None),
    ]
    for body, kind, want, message in cases:
        headers = ["-H", "Content-Type: " + kind[0]] + (["-H", "Content-Encoding: " + kind[1]] if kind[1:] else [])
        status, content_type, answer = curl(url, body, *headers)
        assert (status, content_type) == (want, "application/octet-stream"), (status, content_type, answer)
        if message:
            assert status_message(answer) == message, answer
    # What is good of a request is stored, and still the answer says that something was dropped.
    status, _, answer = curl(url, otlp_request("cart", [(now, 9, "short"), (now, 9, "longer than ten")]), "-H", "Content-Type: application/x-protobuf")
    assert status == 400 and b"max entry size '10' bytes exceeded" in answer
    assert server.lines('{service_name="cart", host_arch="arm64"}') == ["short"]


@short
def test_a_body_over_the_limit_names_the_setting(env):
    server = env.server("distributor: {max_recv_msg_size: 64KB, max_decompressed_size: 256KB}\n")
    for path in ("/loki/api/v1/push", "/api/prom/push", "/otlp/v1/logs"):
        answer = server.post(path, b" " * 65537)
        assert answer.status == 413 and "(65537 vs 65536)" in answer.text and "distributor.max_recv_msg_size" in answer.text, answer
        assert server.post(path, b" " * 65535 + b"x").status == 400
    answer = server.post("/loki/api/v1/push", gzip.compress(b" " * (1 << 20)), headers={"Content-Encoding": "gzip"})
    assert answer.status == 413 and "262144" in answer.text and "distributor.max_decompressed_size" in answer.text, answer
    answer = server.post("/loki/api/v1/push", varint(1 << 20) + b"\0", content_type="application/x-protobuf")
    assert answer.status == 413 and "distributor.max_decompressed_size" in answer.text, answer


@short
def test_tenants_of_otlp(env):
    server = env.server(config=SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true"))
    body = otlp_json("s", time.time_ns(), "of one")
    assert server.post("/otlp/v1/logs", body).status == 401
    assert server.post("/otlp/v1/logs", body, headers={"X-Scope-OrgID": "one"}).status == 204
    assert server.lines('{service_name="s"}', tenant="one") == ["of one"]
    assert server.lines('{service_name="s"}', tenant="two") == []
