# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Prometheus scrapes both programs; its promtool finds nothing wrong with what they expose."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from harness import HttpProcess  # noqa: E402


class Prometheus(HttpProcess):
    def wait_ready(self, path="/-/ready"):
        super().wait_ready(path)

    def value(self, query):
        result = self.get("/api/v1/query", query=query).json()["data"]["result"]
        return float(result[0]["value"][1]) if result else None


def test_prometheus_scrapes_server_and_agent(env):
    server = env.server()
    env.write("app.txt", "one\ntwo\nthree\n")
    agent = env.agent(server.url)
    env.wait_for(lambda: sorted(server.lines('{job="files"}')) == ["one", "three", "two"])
    for program in (server, agent):
        lint = subprocess.run(["promtool", "check", "metrics"], input=program.get("/metrics").text, capture_output=True, text=True)
        errors = [l for l in (lint.stdout + lint.stderr).splitlines() if "error" in l.lower()]
        assert not errors, errors
    config = env.write("prometheus.yml", "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
                       f" - {{job_name: larch, static_configs: [{{targets: ['127.0.0.1:{server.port}', '127.0.0.1:{agent.port}']}}]}}\n")
    port = env.free_port()
    prometheus = env.add(Prometheus(env, "prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={env.path('tsdb')}",
                                                        f"--web.listen-address=127.0.0.1:{port}"], port))
    env.wait_for(lambda: prometheus.value('sum(up{job="larch"})') == 2, "both targets to be up")
    env.wait_for(lambda: prometheus.value("sum(loki_distributor_lines_received_total)") == 3)
    env.wait_for(lambda: prometheus.value("sum(promtail_sent_entries_total)") == 3)
    server.push({"app": "x"}, ["four"], time.time_ns())
    env.wait_for(lambda: prometheus.value("sum(loki_distributor_lines_received_total)") == 4)
    assert prometheus.value('histogram_quantile(1, sum by (le) (rate(loki_request_duration_seconds_bucket{route="loki_api_v1_push"}[1m])))') is not None
