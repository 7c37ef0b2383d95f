# SPDX-License-Identifier: GPL-2.0-or-later
"""The delete API on a real server: what every kind of query says afterwards, crashes, forms and texts."""
import json
import time
import urllib.parse

from harness import http_request, short

SEC = 10**9
DELETE = "/loki/api/v1/delete"


def call(server, method, path=DELETE, tenant=None, **params):
    return http_request(method, f"{server.url}{path}?{urllib.parse.urlencode(params)}",
                        headers={"X-Scope-OrgID": tenant} if tenant else {})


def delete(server, query, start, end=None, **more):
    """Makes a request; its id."""
    answer = call(server, "POST", query=query, start=start, **({} if end is None else {"end": end}), **more)
    assert (answer.status, answer.body) == (204, b""), answer
    return answer.headers["X-Delete-Request-ID"]


def listed(server, tenant=None):
    answer = call(server, "GET", tenant=tenant)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def matrix_sum(data):
    return sum(float(v) for series in data["result"] for _, v in series["values"])


def every_answer(server, t0):
    """What all kinds of queries say about app=a and app=b: comparable."""
    span = {"start": t0 - 60 * SEC, "end": t0 + 60 * SEC}
    at = t0 + 60 * SEC

    def count(query):
        return {json.dumps(s["metric"], sort_keys=True): s["value"][1] for s in server.instant(query, at=at)["result"]}

    def get(path, **params):
        answer = server.get("/loki/api/v1/" + path, **params)
        assert answer.status == 200, answer
        return answer.json()

    everything = '{app=~".+"}'
    return {
        "lines": sorted(server.lines(everything, **span)),
        "backward": sorted(server.lines(everything, direction="backward", **span)),
        "filtered": sorted(server.lines(everything + ' |= "user"', **span)),
        "count": count("sum by (app) (count_over_time({app=~\".+\"}[10m]))"),
        "filtered count": count("sum by (app) (count_over_time({app=~\".+\"} |= \"user\" [10m]))"),
        "bytes": count("sum by (app) (bytes_over_time({app=~\".+\"}[10m]))"),
        "parsed": count("sum by (user) (count_over_time({app=~\".+\"} | json | __error__=\"\" [10m]))"),
        "matrix": matrix_sum(server.query("sum(count_over_time({app=~\".+\"}[1s]))", step=1, **span)),
        "labels": get("labels", **span).get("data", []),
        "values": get("label/app/values", **span).get("data", []),
        "series": sorted(s["app"] for s in get("series", **{"match[]": everything}, **span).get("data", [])),
        "stats": {k: v for k, v in get("index/stats", query=everything, **span).items() if k != "chunks"},
        "volume": {s["metric"]["app"]: s["value"][1]
                   for s in get("index/volume", query=everything, targetLabels="app", **span)["data"]["result"]},
        "volume_range": matrix_sum(get("index/volume_range", query=everything, step=10, **span).get("data", [])),
        "fields": sorted(f["label"] for f in get("detected_fields", query=everything, **span).get("fields", [])),
        "detected labels": sorted(x["label"] for x in get("detected_labels", query=everything, **span).get("detectedLabels", [])),
    }


def line(user, n):
    return json.dumps({"user": user, "n": n})


def fill(server, t0, entries):
    for app, i, text in entries:
        server.push({"app": app}, [text], t0 + i)


ENTRIES = [(app, i, line(user, i)) for i, (app, user) in
           enumerate([("a", "bob"), ("a", "ann"), ("b", "bob"), ("b", "bob"), ("a", "bob"), ("c", "ann")])] \
    + [("c", 100, "plain text")]


def check_request(env, query, keeps, t0, name):
    """Deletes from heads and from segments; each time the answers are those of a server that never had the lines."""
    other = env.server(name=name + "-without")
    fill(other, t0, [e for e in ENTRIES if keeps(e)])
    want = every_answer(other, t0)
    for flushed in (False, True):
        server = env.server(name=f"{name}-{flushed}")
        fill(server, t0, ENTRIES)
        if flushed:
            assert server.post("/flush").status == 204
        before = every_answer(server, t0)
        request = delete(server, query, t0 // SEC - 1)
        assert every_answer(server, t0) == want
        server.kill()
        server.restart()
        assert every_answer(server, t0) == want
        assert server.post("/flush").status == 204
        assert every_answer(server, t0) == want
        assert call(server, "DELETE", request_id=request).status == 204
        assert every_answer(server, t0) == before
        server.stop()
    other.stop()


@short
def test_a_stream_is_gone_from_every_answer(env):
    check_request(env, '{app="b"}', lambda e: e[0] != "b", time.time_ns() - 10 * SEC, "stream")


@short
def test_lines_are_gone_from_every_answer(env):
    check_request(env, '{app=~"a|b"} |= "bob"', lambda e: e[0] == "c" or "bob" not in e[2], time.time_ns() - 10 * SEC, "lines")


def test_what_a_parser_finds_is_gone_from_every_answer(env):
    check_request(env, '{app=~".+"} | json | user="bob"', lambda e: "bob" not in e[2], time.time_ns() - 10 * SEC, "parsed")


@short
def test_the_same_lines_again_show(env):
    """What arrives after the request is answered, though equal to what is hidden; through crashes."""
    server = env.server()
    t0 = time.time_ns() - 10 * SEC
    fill(server, t0, ENTRIES)
    all_of_it = every_answer(server, t0)
    for turn in range(3):
        delete(server, '{app=~".+"}', t0 // SEC - 1)
        nothing = every_answer(server, t0)
        assert not any(v for k, v in nothing.items() if k != "stats"), nothing
        assert not any(nothing["stats"].values()), nothing
        fill(server, t0, ENTRIES)
        if turn == 1:
            assert server.post("/flush").status == 204
        assert every_answer(server, t0) == all_of_it
        server.kill()
        server.restart()
        assert every_answer(server, t0) == all_of_it
    assert len(listed(server)) == 3


@short
def test_a_crash_right_after_the_answer(env):
    server = env.server()
    t0 = time.time_ns() - 100 * SEC
    for i in range(10):
        server.push({"app": "a"}, [f"line {i}"], t0 + i)
    for i in range(10):
        delete(server, f'{{app="a"}} |= "line {i}"', t0 // SEC)
        server.kill()
        server.restart()
        assert server.lines('{app="a"}', start=t0, end=t0 + SEC) == [f"line {k}" for k in range(i + 1, 10)]
        if i == 5:
            assert server.post("/flush").status == 204
    assert [r["query"] for r in listed(server)] == [f'{{app="a"}} |= "line {i}"' for i in range(10)]


@short
def test_times_are_included_and_exact(env):
    server = env.server()
    t0 = (time.time_ns() // SEC - 100) * SEC
    server.push({"app": "a"}, [(t0 - 1, "before"), (t0, "first"), (t0 + SEC, "last"), (t0 + SEC + 1, "behind")])
    delete(server, '{app="a"}', t0 // SEC, t0 // SEC + 1)
    assert server.lines('{app="a"}', start=t0 - SEC, end=t0 + 2 * SEC) == ["before", "behind"]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t0 // SEC - 1)) + ".999999999Z"
    delete(server, '{app="a"}', stamp, t0 // SEC)
    assert server.lines('{app="a"}', start=t0 - SEC, end=t0 + 2 * SEC) == ["behind"]


@short
def test_forms_and_texts(env):
    server = env.server()
    now = int(time.time())
    assert call(server, "GET").body == b"[]\n"
    assert call(server, "GET", path="/loki/api/v1/cache/generation_numbers").body == b'""\n'
    good = {"query": '{app="a"}', "start": now - 7200}
    for change, text in (
            ({"query": ""}, "query not set"),
            ({"query": "sum(rate({a=`b`}[1m]))"}, "invalid query expression"),
            ({"query": "{a=`b`", "start": ""}, "invalid query expression"),
            ({"start": ""}, "start time not set"),
            ({"start": "yesterday"}, "invalid start time: require unix seconds or RFC3339 format"),
            ({"start": f"{now}000"}, "invalid start time: require unix seconds or RFC3339 format"),
            ({"end": "1e3"}, "invalid end time: require unix seconds or RFC3339 format"),
            ({"end": now + 3600}, "deletes in the future are not allowed"),
            ({"end": now - 7200}, "start time can't be greater than or equal to end time"),
            ({"end": now - 9200}, "start time can't be greater than or equal to end time"),
            ({"max_interval": "1d"}, "invalid max_interval: valid time units are 's', 'm', 'h'"),
            ({"max_interval": "25h"}, "max_interval can't be greater than 24h0m0s"),
            ({"max_interval": "2h", "end": now - 3600},
             "max_interval can't be greater than the interval to be deleted (1h0m0s)")):
        answer = call(server, "POST", **{**good, **change})
        assert (answer.status, answer.text) == (400, text + "\n"), (change, answer)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert listed(server) == []
    first = delete(server, '{app="a"} |= "<&>"', now - 7200, now - 3600, max_interval="1h")
    answer = call(server, "PUT", query='{app="b"}', start="2026-01-01T00:00:00.5+02:00", end=now - 10)
    assert answer.status == 204, answer
    second = answer.headers["X-Delete-Request-ID"]
    requests = listed(server)
    created = [r.pop("created_at") for r in requests]
    assert all(now - 1 <= c <= time.time() for c in created) and created == sorted(created)
    assert requests == [
        {"request_id": first, "start_time": now - 7200, "end_time": now - 3600, "query": '{app="a"} |= "<&>"',
         "status": "received", "user_id": ""},
        {"request_id": second, "start_time": 1767218400.5, "end_time": now - 10, "query": '{app="b"}',
         "status": "received", "user_id": ""}]
    raw = call(server, "GET").text
    assert raw.startswith(f'[{{"request_id":"{first}","start_time":{now - 7200},"end_time":{now - 3600},"query":'
                          '"{app=\\"a\\"} |= \\"\\u003c\\u0026\\u003e\\""'), raw
    assert raw.endswith("]\n")
    generation = call(server, "GET", path="/loki/api/v1/cache/generation_numbers").text
    assert generation not in ('""\n', "")
    answer = call(server, "DELETE", request_id="nothing")
    assert (answer.status, answer.text) == (404, "could not find delete request with given id\n"), answer
    assert call(server, "DELETE", request_id=first).status == 204
    assert call(server, "DELETE", request_id=first).status == 404
    assert [r["request_id"] for r in listed(server)] == [second]
    assert call(server, "GET", path="/loki/api/v1/cache/generation_numbers").text != generation
    assert server.metric("loki_compactor_delete_requests_received_total", user="fake") == 2
    assert server.metric("loki_compactor_pending_delete_requests_count") == 1
    assert call(server, "PATCH").status == 405


@short
def test_cancelling_ends_with_the_period(env):
    server = env.server("compactor: {delete_request_cancel_period: 1ns}\n")
    t0 = time.time_ns() - 10 * SEC
    server.push({"app": "a"}, ["one", "two"], t0)
    request = delete(server, '{app="a"} |= "one"', t0 // SEC)
    if listed(server)[0]["status"] == "processed":
        answer = call(server, "DELETE", request_id=request)
        assert (answer.status, answer.text) == \
            (400, "deletion of request which is in process or already processed is not allowed\n"), answer
        return
    answer = call(server, "DELETE", request_id=request)
    assert (answer.status, answer.text) == (400, "Unable to cancel partially completed delete request. To force, use the "
                                            "?force query parameter\n"), answer
    assert call(server, "DELETE", request_id=request, force="true").status == 204
    assert server.lines('{app="a"}') == ["one", "two"]


@short
def test_tenants_and_modes(env):
    overrides = env.write("overrides.yaml", "overrides:\n  shy: {deletion_mode: disabled}\n  keeps: {deletion_mode: filter-only}\n")
    config = ("auth_enabled: true\nserver: {http_listen_address: 127.0.0.1, http_listen_port: {port}}\n"
              "common: {path_prefix: {data}}\ncompactor: {delete_request_cancel_period: 1ns}\n"
              f"runtime_config: {{file: {overrides}}}\n")
    server = env.server(config=config)
    t0 = time.time_ns() - 10 * SEC
    for tenant in ("shy", "keeps", "x"):
        server.push({"app": "a"}, ["one", "two"], t0, tenant=tenant)
    for method in ("POST", "PUT", "GET", "DELETE"):
        answer = call(server, method, tenant="shy", query='{app="a"}', start=t0 // SEC, request_id="x")
        assert (answer.status, answer.text) == (403, "deletion is not available for this tenant\n"), answer
    assert call(server, "GET").status == 401
    assert call(server, "POST", tenant="keeps", query='{app="a"} |= "one"', start=t0 // SEC).status == 204
    assert server.lines('{app="a"}', tenant="keeps") == ["two"]
    assert server.lines('{app="a"}', tenant="x") == server.lines('{app="a"}', tenant="shy") == ["one", "two"]
    assert listed(server, tenant="x") == []
    request = listed(server, tenant="keeps")[0]
    assert request["status"] == "received"
    # nothing goes from the disk, so it may be cancelled at any time
    assert call(server, "DELETE", tenant="keeps", request_id=request["request_id"]).status == 204
    assert server.lines('{app="a"}', tenant="keeps") == ["one", "two"]


@short
def test_larchctl_creates_lists_and_cancels(env):
    server = env.server()
    t0 = (time.time_ns() // SEC - 100) * SEC
    server.push({"app": "a"}, [(t0, "one"), (t0 + 1, "two"), (t0 + 2, "one")])

    def ctl(*args, status=0):
        got = env.run("larchctl", "delete", *args, "--server", server.url)
        assert got.returncode == status, got
        return got

    assert "nothing found" in ctl("list").stderr
    first = ctl("create", "--from", str(t0), "--to", str(t0 + 2), '{app="a"} |= "one"').stdout.strip()
    assert server.lines('{app="a"}') == ["two", "one"]
    assert ctl("list", "-o", "raw").stdout == first + "\n"
    second = ctl("create", "--since", "1h", '{app="b"}').stdout.strip()
    found = [json.loads(x) for x in ctl("list", "-o", "jsonl").stdout.splitlines()]
    assert [r["id"] for r in found] == [first, second]
    assert found[0]["query"] == '{app="a"} |= "one"' and found[0]["status"] == "received"
    table = ctl("list").stdout.splitlines()
    assert table[0].split() == ["ID", "STATUS", "CREATED", "FROM", "TO", "QUERY"]
    assert table[1].startswith(first + "  received") and table[1].endswith('{app="a"} |= "one"')
    ctl("cancel", first)
    assert server.lines('{app="a"}') == ["one", "two", "one"]
    got = ctl("cancel", first, status=1)
    assert got.stderr.endswith("answered 404: could not find delete request with given id\n"), got.stderr
    for wrong in (["create", '{app="a"}'], ["create", "--since", "1h"], ["list", "x"], ["cancel"], ["remove"], []):
        assert ctl(*wrong, status=2).stdout == ""
    assert len(ctl("list", "-o", "raw").stdout.splitlines()) == 1
