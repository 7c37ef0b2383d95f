# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps one tenant's queries and records in bounds: blocked queries, estimates, mappings of attributes, ending."""
import signal
import time

from harness import SERVER_CONFIG, http_request, short

TENANTS = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true")
RUNTIME = """\
overrides:
  strict:
    max_query_bytes_read: 1KB
    max_query_series: 2
    blocked_queries:
      - {pattern: '.*secret.*', regex: true, types: 'filter,limited'}
      - {query_tags: {source: dashboard}}
  otel:
    otlp_config:
      resource_attributes:
        ignore_defaults: true
        attributes_config:
          - {action: index_label, attributes: [service.name]}
          - {action: drop, regex: 'process\\..*'}
      log_attributes:
        - {action: index_label, attributes: [tier]}
        - {action: drop, attributes: [password]}
      severity_text_as_label: true
"""


def tenants(env, text=RUNTIME):
    file = env.write("runtime.yaml", text)
    return env.server(config=TENANTS, more="runtime_config: {file: %s, period: 10s}\nquerier: {multi_tenant_queries_enabled: true}\n" % file)


def ask(server, tenant, query, **headers):
    return server.get("/loki/api/v1/query_range", query=query, headers={"X-Scope-OrgID": tenant, **headers})


@short
def test_a_tenants_queries_are_guarded(env):
    server = tenants(env)
    for tenant in ("strict", "free"):
        for app in "abcd":
            server.push({"app": app}, ["x" * 100 for _ in range(4)], tenant=tenant)
    assert ask(server, "free", '{app="a"} |= "secret"').status == 200
    answer = ask(server, "strict", '{app="a"} |= "secret"')
    assert (answer.status, answer.text) == (400, "query blocked by policy"), answer
    assert ask(server, "strict", 'count_over_time({app="a"} |= "secret" [1m])').status == 200
    assert ask(server, "strict", '{app="a"}', **{"X-Query-Tags": "Source=Dashboard,x=y"}).status == 400
    assert ask(server, "strict", '{app="a"}', **{"X-Query-Tags": "Source=explore"}).status == 200
    assert server.metric("loki_blocked_queries", user="strict") == 2
    # Who asks for several tenants gets the strictest of their limits.
    assert ask(server, "free|strict", '{app="a"} |= "secret"').status == 400
    answer = ask(server, "strict", '{app=~".+"}')
    assert answer.status == 400 and "1.6kB" in answer.text and "max_query_bytes_read" in answer.text, answer
    answer = ask(server, "strict", 'sum by (app) (count_over_time({app=~"a|b|c"} | label_format app="{{.app}}{{.app}}" [1m]))')
    assert answer.status == 400, answer


@short
def test_drilldown_gets_what_there_is(env):
    server = tenants(env)
    for n, app in enumerate("abc"):
        server.push({"app": app}, ["x"] * (n + 1), tenant="strict")
    query = "sum by (app) (count_over_time({app=~`a|b|c`}[1h]))"
    answer = ask(server, "strict", query)
    assert answer.status == 400 and answer.text.startswith("maximum number of series (2) reached"), answer
    answer = ask(server, "strict", query, **{"X-Query-Tags": "Source=grafana-lokiexplore-app"}).json()
    assert {s["metric"]["app"] for s in answer["data"]["result"]} == {"b", "c"}, answer
    assert answer["warnings"] == ["maximum number of series (2) reached for a single query; returning partial results"]


@short
def test_estimates(env):
    server = tenants(env)
    now = time.time_ns()
    server.push({"app": "a"}, [(now - 10**9, "x" * 600), (now - 60 * 10**9, "y" * 600)], tenant="strict")

    def estimate(**params):
        answer = server.get("/larch/v1/estimate", headers={"X-Scope-OrgID": "strict"}, **params)
        assert answer.status == 200, answer
        return answer.json()

    got = estimate(query='{app="a"}', start=now - 30 * 10**9, end=now)
    assert got["allowed"] and got["limits"]["max_query_bytes_read"] == "1KB", got
    assert got["total"]["entries"] == 1 and got["total"]["bytes"] == 600 and got["total"]["streams"] == 1, got
    got = estimate(query='sum(rate({app="a"}[10s])) / sum(rate({app="a"}[10s] offset 55s))', time=now)
    assert [r["entries"] for r in got["reads"]] == [1, 1] and got["total"]["bytes"] == 1200, got
    assert got["reads"][1] == {**got["reads"][1], "selector": '{app="a"}', "start": str(now - 65 * 10**9), "end": str(now - 55 * 10**9)}
    assert not got["allowed"] and "max_query_bytes_read" in got["refusal"], got
    answer = server.get("/larch/v1/estimate", headers={"X-Scope-OrgID": "strict"}, query="{")
    assert answer.status == 400 and answer.text.startswith("parse error"), answer


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


@short
def test_attributes_go_where_the_tenant_says(env):
    server = tenants(env)
    now = time.time_ns()
    resource = {"attributes": [attribute("service.name", "cart"), attribute("k8s.pod.name", "p"), attribute("process.pid", "7")]}
    records = [{"timeUnixNano": str(now), "severityText": "WARN", "body": {"stringValue": "one"},
                "attributes": [attribute("tier", "gold"), attribute("password", "x"), attribute("user.id", "9")]},
               {"timeUnixNano": str(now), "body": {"stringValue": "two"}}]
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    for tenant in ("otel", "free"):
        assert server.post("/otlp/v1/logs", body, headers={"X-Scope-OrgID": tenant}).status == 204
    series = server.get("/loki/api/v1/series", headers={"X-Scope-OrgID": "otel"}).json()["data"]
    assert sorted(series, key=len) == [{"service_name": "cart"}, {"service_name": "cart", "tier": "gold", "severity_text": "WARN"}], series
    labels = server.entries('{tier="gold"}', tenant="otel")[0][2]
    assert labels["k8s_pod_name"] == "p" and labels["user_id"] == "9" and labels["detected_level"] == "warn", labels
    assert "password" not in labels and "process_pid" not in labels, labels
    series = server.get("/loki/api/v1/series", headers={"X-Scope-OrgID": "free"}).json()["data"]
    assert series == [{"service_name": "cart", "k8s_pod_name": "p"}], series
    assert server.entries('{service_name="cart"} |= "one"', tenant="free")[0][2]["process_pid"] == "7"
    # A mistake in the file leaves what was before.
    env.write("runtime.yaml", RUNTIME.replace("action: drop", "action: forget"))
    server.signal(signal.SIGHUP)
    env.wait_for(lambda: server.metric("loki_runtime_config_last_reload_successful") == 0, "the bad file is seen")
    assert server.post("/otlp/v1/logs", body, headers={"X-Scope-OrgID": "otel"}).status == 204
    assert len(server.get("/loki/api/v1/series", headers={"X-Scope-OrgID": "otel"}).json()["data"]) == 2


@short
def test_shutdown(env):
    server = env.server()
    server.push({"app": "a"}, ["kept"])
    assert server.get("/ingester/prepare_shutdown").status == 500
    assert server.post("/ingester/shutdown?terminate=maybe").status == 400
    assert server.post("/ingester/shutdown?terminate=false").status == 204
    answer = server.post("/loki/api/v1/push", {"streams": [{"stream": {"app": "a"}, "values": [[str(time.time_ns()), "late"]]}]})
    assert answer.status == 503 and "/ingester/shutdown" in answer.text, answer
    assert server.get("/ready").status == 503
    assert server.lines('{app="a"}') == ["kept"]  # queries go on
    assert server.metric("larch_head_entries") == 0 and server.metric("larch_flushed_entries_total") == 1
    assert server.post("/ingester/shutdown").status == 503
    server.stop()
    server.restart()
    assert server.lines('{app="a"}') == ["kept"]
    assert server.post("/ingester/shutdown?flush=false").status == 204
    assert server.wait() == 0
    server.restart()
    assert server.lines('{app="a"}') == ["kept"]


@short
def test_a_mark_flushes_at_the_stop(env):
    server = env.server(more="ingester: {shutdown_marker_path: %s}\n" % env.path("marks"))
    server.push({"app": "a"}, ["kept"])
    assert server.get("/ingester/prepare_shutdown").text == "unset\n"
    assert server.post("/ingester/prepare_shutdown").status == 204
    assert server.get("/ingester/prepare_shutdown").text == "set\n"
    server.stop()
    server.restart()
    assert server.metric("larch_head_entries") == 0
    assert server.lines('{app="a"}') == ["kept"]
    server.push({"app": "a"}, ["replayed"])
    assert server.metric("larch_head_entries") == 1
    assert server.post("/ingester/prepare_shutdown").status == 204
    delete = http_request("DELETE", server.url + "/ingester/prepare_shutdown")
    assert delete.status == 204 and server.get("/ingester/prepare_shutdown").text == "unset\n"
    server.stop()
    server.restart()
    assert server.metric("larch_head_entries") == 1
