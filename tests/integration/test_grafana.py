# SPDX-License-Identifier: GPL-2.0-or-later
"""What Grafana asks of a Loki data source, request by request, with the answers that it needs: its health check,
Explore, the logs volume, the label browser, context, live tail, Logs Drilldown and the list of alerts. Each is asked
of entries in memory and once more of flushed ones."""
import gzip
import http.client
import json
import time
import urllib.parse

from harness import Response, short
from websocket import Closed, WebSocket

SEC, MIN = 10**9, 60 * 10**9
API = "/loki/api/v1/"
HEADERS = {"User-Agent": "Grafana/11.4.0", "Accept": "application/json", "Accept-Encoding": "gzip"}
CATEGORIES = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
SUMMARY = ("bytesProcessedPerSecond", "linesProcessedPerSecond", "totalBytesProcessed", "totalLinesProcessed", "execTime",
           "queueTime", "totalEntriesReturned")


class Grafana:
    """The data source's proxy: keeps one connection, sends its headers, takes gzip."""

    def __init__(self, server):
        self.conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.server = server

    def ask(self, path, headers=None, method="GET", **params):
        """Status, headers and body; the body expanded."""
        query = urllib.parse.urlencode(params, doseq=True)
        target = path + ("?" + query if query and method == "GET" else "")
        body = query if method == "POST" else None
        more = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        self.conn.request(method, target, body, {**HEADERS, **more, **(headers or {})})
        answer = self.conn.getresponse()
        data = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        return Response(answer.status, answer.headers, data)

    def json(self, path, headers=None, **params):
        answer = self.ask(path, headers, **params)
        assert answer.status == 200, (path, params, answer)
        assert answer.headers["Content-Type"].startswith("application/json"), answer.headers
        return answer.json()

    def range(self, query, start, end, headers=None, **params):
        """Data of a range query, whose statistics must be numbers."""
        body = self.json(API + "query_range", headers, query=query, start=start, end=end, **params)
        assert body["status"] == "success" and "warnings" not in body, body
        assert all(isinstance(body["data"]["stats"]["summary"][key], (int, float)) for key in SUMMARY), body["data"]["stats"]
        return body["data"]


class Shop:
    """Half an hour of three kinds of logs, one entry of each a minute; half of it is in segments."""

    def __init__(self, env):
        self.server = env.server()
        self.end = time.time_ns() // (30 * MIN) * 30 * MIN
        self.start = self.end - 30 * MIN
        for half in (range(0, 15), range(15, 30)):
            for i in half:
                self.push(i)
            if half[0] == 0:
                assert self.server.get("/flush").status == 204

    def push(self, i):
        at = self.start + i * MIN
        level = "error" if i % 10 == 3 else "info"
        api = {"level": level, "status": 500 if level == "error" else 200, "took": i / 4, "user": {"id": f"u{i % 3}"}, "path": f"/item/{i}"}
        self.server.push({"namespace": "shop", "app": "api", "pod": f"api-{i % 2}"}, [(at, json.dumps(api))])
        self.server.push({"namespace": "shop", "app": "worker"}, [(at + 1, f'level={level} msg="job done" took={i}ms size={i + 1}KB')])
        self.server.push({"namespace": "infra", "app": "sshd"}, [(at + 2, f"Failed password for root from 10.0.0.{i} port {2000 + i} ssh2")])


def points(series):
    return {series_point[0]: float(series_point[1]) for series_point in series["values"]}


# ---- the sequence ----

def health(g, shop):
    """Save & test: the time is meant in nanoseconds and read as seconds, which is in 2096."""
    data = g.json(API + "query", query="vector(1)+vector(1)", time="4000000000", direction="backward", limit=10)["data"]
    assert data["resultType"] == "vector" and data["result"] == [{"metric": {}, "value": [4000000000, "2"]}], data


def explore_logs(g, shop):
    data = g.range('{app="api"}', shop.start, shop.end, CATEGORIES, direction="backward", limit=1000, step="60000ms")
    assert data["resultType"] == "streams" and data["encodingFlags"] == ["categorize-labels"], data
    assert sorted(s["stream"]["pod"] for s in data["result"]) == ["api-0", "api-1"]
    for stream in data["result"]:
        assert set(stream["stream"]) == {"namespace", "app", "pod", "service_name"}, stream["stream"]
        times = [int(v[0]) for v in stream["values"]]
        assert len(times) == 15 and times == sorted(times, reverse=True) and all(isinstance(v[0], str) for v in stream["values"])
        for value in stream["values"]:
            level = json.loads(value[1])["level"]
            assert value[2] == {"structuredMetadata": {"detected_level": level}}, value
    # Parsed labels stand apart, and the limit takes the newest.
    data = g.range('{app="api"} | json | status=`500`', shop.start, shop.end, CATEGORIES, direction="backward", limit=2, step="60000ms")
    found = [v for s in data["result"] for v in s["values"]]
    assert sorted(int(v[0]) for v in found) == [shop.start + 13 * MIN, shop.start + 23 * MIN], found
    assert found[0][2]["parsed"]["user_id"].startswith("u") and found[0][2]["parsed"]["status"] == "500", found
    # Without the flag (dashboards of old) all labels are the stream's.
    data = g.range('{app="worker"} | logfmt', shop.start, shop.end, direction="forward", limit=1, step="60000ms")
    assert "encodingFlags" not in data and data["result"][0]["stream"]["took"] == "0ms" and len(data["result"][0]["values"][0]) == 2, data


def explore_metrics(g, shop):
    query = 'sum by (level) (count_over_time({app="api"} | json [5m]))'
    data = g.range(query, shop.start + 5 * MIN, shop.start + 25 * MIN, step="300000ms")
    assert data["resultType"] == "matrix", data
    series = {s["metric"]["level"]: points(s) for s in data["result"]}
    at = lambda m: shop.start // SEC + m * 60  # noqa: E731
    assert series["error"] == {at(m): 1 for m in (5, 15, 25)}, series
    assert series["info"] == {at(m): n for m, n in ((5, 4), (10, 5), (15, 4), (20, 5), (25, 4))}, series
    data = g.json(API + "query", query='topk(1, sum by (app) (count_over_time({namespace=~".+"}[30m])))', time=shop.end)["data"]
    assert data["resultType"] == "vector" and data["result"][0]["value"][1] == "30", data
    # Dashboards may send forms.
    answer = g.ask(API + "query_range", method="POST", query=query, start=shop.start, end=shop.end, step="60s")
    assert answer.status == 200 and answer.json()["data"]["resultType"] == "matrix", answer


def logs_volume(g, shop):
    query = "sum by (level, detected_level) (count_over_time({namespace=`shop`} |= `` | drop __error__[1m]))"
    data = g.range(query, shop.start, shop.end, {"X-Query-Tags": "Source=logvolhist"}, step="60000ms", direction="backward", limit=1000)
    series = {s["metric"]["detected_level"]: points(s) for s in data["result"]}
    assert set(series) == {"info", "error"}, series
    assert sum(series["error"].values()) == 6 and sum(series["info"].values()) == 54, series
    assert 'tags="Source=logvolhist"' in shop.server.log(), "the query's line names who asked"


def label_browser(g, shop):
    window = {"start": shop.start, "end": shop.end}
    assert g.json(API + "labels", **window)["data"] == ["app", "namespace", "pod", "service_name"]
    assert g.json(API + "labels", query='{app="worker"}', **window)["data"] == ["app", "namespace", "service_name"]
    assert g.json(API + "label/app/values", **window)["data"] == ["api", "sshd", "worker"]
    assert g.json(API + "label/app/values", query='{namespace="shop"}', **window)["data"] == ["api", "worker"]
    series = g.json(API + "series", **{"match[]": '{namespace="shop", app="api"}'}, **window)["data"]
    assert sorted(s["pod"] for s in series) == ["api-0", "api-1"] and len(series[0]) == 4, series
    assert "data" not in g.json(API + "labels", start=shop.start - 3600 * SEC, end=shop.start - 1800 * SEC)


def size_hint(g, shop):
    stats = g.json(API + "index/stats", query='{namespace="shop"}', start=shop.start, end=shop.end)
    assert stats["streams"] == 3 and stats["entries"] == 60 and stats["bytes"] > 1000 and stats["chunks"] >= 3, stats


def context(g, shop):
    """Two queries about a row: what follows it, itself included, and what precedes it."""
    at, query, found = shop.start + 15 * MIN, '{app="api", pod="api-1"}', {}
    for direction, start, end in (("FORWARD", at, at + 7200 * SEC), ("BACKWARD", at - 7200 * SEC, at)):
        data = g.range(query, start, end, CATEGORIES, direction=direction, limit=3)
        found[direction] = [int(v[0]) for s in data["result"] for v in s["values"]]
    assert found == {"FORWARD": [at, at + 2 * MIN, at + 4 * MIN], "BACKWARD": [at - 2 * MIN, at - 4 * MIN, at - 6 * MIN]}, found


def format_button(g, shop):
    body = g.json(API + "format_query", query='sum(rate({app="api"}[5m]))by(app)')
    assert body == {"status": "success", "data": 'sum by (app)(rate({app="api"}[5m]))'}, body
    answer = g.ask(API + "format_query", query="sum(")
    assert answer.status == 400 and answer.json()["status"] == "invalid-query" and "parse error" in answer.json()["error"], answer


def drilldown(g, shop):
    window, source = {"start": shop.start, "end": shop.end}, {"X-Query-Tags": "Source=grafana-lokiexplore-app"}
    limits = g.json(API + "drilldown-limits", source)
    assert limits["pattern_ingester_enabled"] is True and limits["limits"]["volume_enabled"] is True and limits["version"], limits
    assert "service_name" not in limits["limits"]["discover_service_name"] and limits["limits"]["max_query_series"] == 500, limits
    # The list of services, with their volumes.
    body = g.json(API + "index/volume", source, query='{service_name=~".+"}', targetLabels="service_name", limit=100, **window)
    volumes = {s["metric"]["service_name"]: int(s["value"][1]) for s in body["data"]["result"]}
    assert set(volumes) == {"api", "worker", "sshd"} and list(volumes.values()) == sorted(volumes.values(), reverse=True), volumes
    data = g.json(API + "index/volume_range", source, query='{service_name="api"}', targetLabels="pod", step="300s", **window)["data"]
    assert data["resultType"] == "matrix" and {s["metric"]["pod"] for s in data["result"]} == {"api-0", "api-1"}, data
    # Labels, fields and their values.
    labels = {x["label"]: x["cardinality"] for x in g.json(API + "detected_labels", source, query='{service_name="api"}', **window)["detectedLabels"]}
    assert labels["pod"] == 2 and labels["namespace"] == 1, labels
    fields = g.json(API + "detected_fields", source, query='{service_name="api"} | json | logfmt | drop __error__, __error_details__', line_limit=1000, limit=1000, **window)
    by_name = {f["label"]: f for f in fields["fields"]}
    assert by_name["status"]["type"] == "int" and by_name["status"]["cardinality"] == 2 and by_name["took"]["type"] == "float", by_name
    assert by_name["user_id"]["parsers"] == ["json"] and by_name["user_id"]["jsonPath"] == ["user", "id"], by_name["user_id"]
    assert by_name["detected_level"]["parsers"] is None, by_name["detected_level"]
    fields = g.json(API + "detected_fields", source, query='{service_name="worker"}', **window)
    by_name = {f["label"]: f for f in fields["fields"]}
    assert by_name["took"]["type"] == "duration" and by_name["size"]["type"] == "bytes" and by_name["msg"]["parsers"] == ["logfmt"], by_name
    values = g.json(API + "detected_field/user_id/values", source, query='{service_name="api"}', line_limit=1000, **window)
    assert sorted(values["values"]) == ["u0", "u1", "u2"], values
    # A field's own panel.
    data = g.range('sum by (user_id) (count_over_time({service_name="api"} | json | user_id!="" [1m]))', shop.start, shop.end, source, step="60000ms")
    assert {s["metric"]["user_id"] for s in data["result"]} == {"u0", "u1", "u2"}, data


def patterns(g, shop):
    body = g.json(API + "patterns", query='{service_name="sshd"}', start=shop.start, end=shop.end, step="60s")
    assert body["status"] == "success" and len(body["data"]) == 1, body
    found = body["data"][0]
    assert found["pattern"] == "Failed password for root from <_> port <_> ssh2" and found["level"] == "unknown", found
    assert [t for t, _ in found["samples"]] == [(shop.start + i * MIN) // SEC for i in range(30)], found
    assert all(n == 1 for _, n in found["samples"]), found
    # A click on it makes it a filter.
    query = "{service_name=`sshd`} |> `%s`" % found["pattern"]
    data = g.json(API + "query", query=f"sum(count_over_time({query}[30m]))", time=shop.end)["data"]
    assert [s["value"][1] for s in data["result"]] == ["30"], data
    lines = g.range(query, shop.start, shop.end, CATEGORIES, limit=1000)
    assert sum(len(s["values"]) for s in lines["result"]) == 30, lines


def alert_list(g, shop):
    body = g.json("/prometheus/api/v1/rules")
    assert body["status"] == "success" and body["data"]["groups"] == [], body
    # Can rules be written? One of two texts says that they cannot.
    answer = g.ask("/api/prom/rules/test/test")
    assert answer.status == 404 and "page not found" in answer.text, answer


def errors(g, shop):
    """Shown as they are."""
    for query, text in (("{app=", "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING"),
                        ("", "parse error : syntax error: unexpected $end")):
        answer = g.ask(API + "query_range", query=query, start=shop.start, end=shop.end)
        assert (answer.status, answer.text) == (400, text), answer
    answer = g.ask(API + "query", query='{app="api"}')
    assert answer.status == 400 and "log queries are not supported as an instant query type" in answer.text, answer


def old_releases(g, shop):
    assert "app" in g.json("/api/prom/label", start=shop.start, end=shop.end)["values"]
    assert g.json("/api/prom/label/app/values", start=shop.start, end=shop.end)["values"] == ["api", "sshd", "worker"]
    assert g.json(API + "label", start=shop.start, end=shop.end)["status"] == "success"


SEQUENCE = (health, explore_logs, explore_metrics, logs_volume, label_browser, size_hint, context, format_button, drilldown, patterns,
            alert_list, errors, old_releases)


@short
def test_everything_that_grafana_asks(env):
    shop = Shop(env)
    g = Grafana(shop.server)
    for step in SEQUENCE:
        step(g, shop)
    shop.server.stop()
    shop.server.restart()
    assert shop.server.get("/flush").status == 204
    g = Grafana(shop.server)
    for step in SEQUENCE:
        step(g, shop)


@short
def test_live_tail(env):
    """A WebSocket with the query alone; lines come as they are pushed, and a server that stops says so."""
    server = env.server()
    tail = WebSocket(server.port, API + "tail?" + urllib.parse.urlencode({"query": '{app="live"} | json'}), dict(HEADERS, Origin="http://grafana"))
    server.push({"app": "live"}, ['{"level":"warn","n":1}'])
    frame = json.loads(tail.receive())
    assert [s["values"][0][1] for s in frame["streams"]] == ['{"level":"warn","n":1}'], frame
    assert frame["streams"][0]["stream"]["n"] == "1" and frame["streams"][0]["stream"]["detected_level"] == "warn", frame
    server.stop()
    try:
        tail.receive()
        raise AssertionError("the tail outlived its server")
    except Closed as e:
        assert e.code in (1001, 1006, 1011), e  # Grafana opens another
