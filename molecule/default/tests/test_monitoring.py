"""What an operator was promised to see, on a host that serves."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.fixtures import Admin, Door, address, identities, inspect, wait_until
from lab.prometheus import Prometheus
from testinfra.host import Host

testinfra_hosts = ["ansible://real"]

ROLE = Path(__file__).parents[3] / "roles/monitoring"
WATCHING = {"prometheus", "grafana", "node-exporter", "blackbox-exporter", "dcgm-exporter"}
PATIENCE_S = 90
ALERT_S = 150  # RestoreFailed waits for a minute; until it is scraped, and evaluated, it is half a minute more
# Series that come from a GPU alone; here from a stand-in of the DCGM exporter.
FROM_GPUS = re.compile(r"DCGM_|fleet:gpu_")

FIRING = "overview: Firing alerts"  # the only panel that is empty as long as all is well
SEEN = 4  # requests of a kind


def counted(prometheus: Prometheus) -> Counter[str]:
    """Requests to the model tiny-chat: what its engine answered, and what LiteLLM did by status. LiteLLM does not count
    unknown keys; Caddy does."""
    engine, gateway, refused = prometheus.query_all(
        [
            'sum(vllm:request_success_total{model="tiny-chat"})',
            'sum by (status_code) (litellm_proxy_total_requests_metric_total{requested_model="tiny-chat"})',
            'sum by (code) (caddy_http_request_duration_seconds_count{handler="subroute", server!~"inner|metrics", '
            'code="401"})',
        ]
    )
    return Counter(
        {one.get("status_code", one.get("code", "engine")): int(one["value"]) for one in [*engine, *gateway, *refused]}
    )


@pytest.fixture(scope="module")
def prometheus(host: Host) -> Prometheus:
    return Prometheus(host)


@pytest.fixture(scope="module")
def devices(host: Host) -> list[dict[str, Any]]:
    """The host's GPUs and slices, of which the DCGM exporter's stand-in is told, since no driver tells it."""
    found = host.ansible("inference.fleet.gpu_info", become=True)["devices"]
    told = shlex.quote(json.dumps(found))
    host.check_output(f"printf %s {told} > /tmp/gpus.json && docker cp /tmp/gpus.json dcgm-exporter:/tmp/gpus.json")
    return list(found)


@pytest.fixture(scope="module")
def seen(prometheus: Prometheus, door: Door, devices: list[dict[str, Any]]) -> Counter[str]:
    """Requests that were answered, refused and failed, by either route; and how many of each Prometheus has seen
    before them."""
    now = prometheus.query("vector(time())")[0]["value"]
    wait_until(lambda: prometheus.scraped(since=now), "the requests of earlier tests are counted", PATIENCE_S)
    before = counted(prometheus)
    body = {"model": "tiny-chat", "max_tokens": 5, "messages": [{"role": "user", "content": "Say something."}]}
    for _number in range(SEEN):
        assert door.chat("tiny-chat").status_code == 200
        assert door.chat("slice").status_code == 200
        assert door.chat("tiny-chat", key="sk-wrong").status_code == 401
        assert door.chat("tiny-chat", temperature=-1).status_code == 400
        assert door.request("POST", "/models/tiny-chat/v1/chat/completions", json=body).status_code == 200
    return before


@pytest.fixture
def fires(host: Host) -> Iterator[None]:
    """An alert, on a host that gives no reason for one: it has restored nothing yet, and is to have failed in it."""
    path = "/var/lib/inference-fleet/metrics/restore.prom"
    host.check_output(f"echo inference_fleet_restore_failed 1 > {path}")
    yield
    host.check_output(f"rm {path}")


def queries() -> list[tuple[str, str]]:
    """Of every dashboard: the panel, and its query as Grafana would send it."""
    found = []
    for file in sorted((ROLE / "files/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h")
                found.append((f"{file.stem}: {panel['title']}", expression.replace("$model", ".*")))
    return found


def test_every_replica_and_every_service_is_scraped(prometheus: Prometheus) -> None:
    wait_until(
        lambda: {one["health"] for one in prometheus.targets().values()} == {"up"},
        "all targets are up",
        PATIENCE_S,
    )
    targets = prometheus.targets()
    replicas = {"vllm-tiny-chat-1", "vllm-slice-1", "vllm-whole-1"}
    services = {"litellm", "caddy", "prometheus", "node-exporter", "dcgm-exporter"}
    assert targets.keys() >= replicas | services
    labels = targets["vllm-tiny-chat-1"]["labels"]
    assert (labels["model"], labels["replica"], labels["type"]) == ("tiny-chat", "1", "chat")


def test_every_query_of_every_dashboard_has_an_answer(prometheus: Prometheus, seen: Counter[str]) -> None:
    wanted = [(panel, expression) for panel, expression in queries() if panel != FIRING]
    assert len(wanted) > 50

    def silent() -> list[tuple[str, str]]:
        answers = prometheus.query_all([expression for _panel, expression in wanted])
        return [query for query, answer in zip(wanted, answers, strict=True) if not answer]

    deadline = time.monotonic() + PATIENCE_S
    while (left := silent()) and time.monotonic() < deadline:
        time.sleep(5)
    assert left == []


@pytest.mark.extended
def test_an_alert_that_fires_is_in_the_table_of_alerts(prometheus: Prometheus, fires: None) -> None:
    (table,) = [expression for panel, expression in queries() if panel == FIRING]
    wait_until(
        lambda: (
            ("RestoreFailed", "critical") in {(one["alertname"], one["severity"]) for one in prometheus.query(table)}
        ),
        "RestoreFailed fires",
        ALERT_S,
    )


def test_few_of_them_need_a_gpu() -> None:
    panels = {panel for panel, expression in queries() if FROM_GPUS.search(expression)}
    assert {panel.partition(":")[0] for panel in panels} == {"gpus", "model"}
    assert {panel for panel in panels if panel.startswith("model")} == {"model: GPU use"}


def test_numbers_are_those_of_what_was_asked_for(prometheus: Prometheus, seen: Counter[str]) -> None:
    """Each kind came SEEN times; the engine answered those of both routes."""
    wanted = seen + Counter({"engine": 2 * SEEN, "200": SEEN, "400": SEEN, "401": SEEN})
    wait_until(lambda: counted(prometheus) == wanted, f"{wanted} is counted")


def test_each_slice_and_gpu_has_the_model_that_runs_there(
    prometheus: Prometheus, devices: list[dict[str, Any]], seen: Counter[str]
) -> None:
    found = {
        (one["UUID"], one.get("GPU_I_ID")): one.get("model", "") for one in prometheus.query("fleet:gpu_use:ratio")
    }
    wanted = {
        (one["uuid"], None if one["instance"] is None else str(one["instance"])): ", ".join(one["models"])
        for one in devices
    }
    assert found == wanted
    assert sorted(found.values()) == ["", "slice", "whole"]


def test_all_alert_rules_are_loaded_and_none_has_an_error(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
    files = [yaml.safe_load(file.read_text()) for file in (ROLE / "files/rules").glob("*.yml")]
    mine = {
        rule.get("alert") or rule["record"] for file in files for group in file["groups"] for rule in group["rules"]
    }
    assert {rule["name"] for rule in rules} == mine
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}


def test_nothing_of_it_is_reachable_but_grafana_through_caddy(door: Door) -> None:
    for path in ("/metrics", "/metrics/", "/prometheus/", "/api/v1/query?query=up", "/v1/metrics"):
        assert door.request("GET", path).status_code == 404, path


def test_caddys_admin_api_is_not_where_its_metrics_are(host: Host) -> None:
    caddy = address(host, "caddy", "fleet-monitoring")
    assert "caddy_http_requests_total" in host.check_output(f"curl -s http://{caddy}:9180/metrics")
    assert "no such path" in host.check_output(f"curl -s http://{caddy}:9180/config/")
    assert host.run(f"curl -s http://{caddy}:2019/config/").rc != 0


def test_prometheus_reaches_of_the_containers_only_their_metrics(host: Host) -> None:
    caddy = f"http://{address(host, 'caddy', 'fleet-monitoring')}:9180"
    for path in ("/replicas/postgres/metrics", "/replicas/vllm-whole-1/v1/models", "/litellm/key/list"):
        assert "no such path" in host.check_output(f"curl -s {caddy}{path}"), path


def test_litellm_tells_its_metrics_to_prometheus_alone_whose_key_opens_nothing_else(host: Host) -> None:
    litellm = address(host, "litellm", "fleet-litellm")
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://{litellm}:4000"
    assert host.check_output(f"{ask}/metrics/") == "401"
    header = '-H "Authorization: Bearer $(cat /etc/inference-fleet/monitoring/litellm_key)"'
    assert host.check_output(f"{ask}/metrics/ {header}") == "200"
    assert host.check_output(f"{ask}/v1/models {header}") in ("401", "403")


def test_grafana_is_behind_a_login_of_its_own(host: Host, door: Door) -> None:
    for path in ("/grafana/", "/grafana/d/fleet-overview", "/grafana/api/dashboards/uid/fleet-overview"):
        answer = door.request("GET", path, key="")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/grafana/login"), path
    assert door.request("GET", "/grafana").headers["Location"] == "/grafana/"
    given = door.request("GET", "/grafana/stand-in").json()
    assert given["dashboards"].keys() == {"overview.json", "model.json", "gpus.json", "gateway.json"}
    assert given["datasources"] == ["Prometheus"]
    for served in ("AUTH_ANONYMOUS", "METRICS", "SNAPSHOTS", "PUBLIC_DASHBOARDS"):
        assert given["environment"][f"GF_{served}_ENABLED"] == "false"
    assert given["environment"]["GF_USERS_ALLOW_SIGN_UP"] == "false"
    password = host.check_output("cat /etc/inference-fleet/monitoring/grafana_admin_password")
    assert len(password) > 40
    assert password not in json.dumps(inspect(host, "grafana"))


def test_status_shows_the_services(host: Host, admin: Admin) -> None:
    told = admin.play("status", "--limit", "real").messages
    for service in (*WATCHING, "caddy", "litellm", "postgres"):
        assert re.search(rf"{service} +Up ", told), service


@pytest.mark.extended
def test_a_model_that_stops_is_told_of(host: Host, prometheus: Prometheus) -> None:
    host.check_output("docker stop vllm-whole-1")
    try:
        wait_until(lambda: prometheus.alerts().get("ModelDown", {}).get("state") == "pending", "ModelDown is pending")
        assert prometheus.alerts()["ModelDown"]["annotations"]["summary"] == "whole: no replica answers"
    finally:
        host.check_output("docker start vllm-whole-1")
    wait_until(lambda: "ModelDown" not in prometheus.alerts(), "ModelDown is over")


@pytest.mark.extended
def test_a_model_that_comes_is_scraped_and_nothing_is_restarted(
    host: Host, door: Door, admin: Admin, prometheus: Prometheus
) -> None:
    before = {name: one for name, one in identities(host).items() if name != "litellm"}
    new = {"name": "newcomer", "type": "tts", "source": "/srv/models/tiny-chat", "devices": {"cpu": True}}
    models = [*door.models, {**new, "image": "inference-fleet/engine-stand-in:1"}]
    run = admin.play("install", "--limit", "real", variables={"fleet_models": models})
    assert run.status == 0, run.output
    after = identities(host)
    assert {name: after[name] for name in before} == before
    # Prometheus watches the file: nobody tells it.
    wait_until(lambda: prometheus.targets().get("vllm-newcomer-1", {}).get("health") == "up", "the newcomer is scraped")


@pytest.mark.extended
def test_a_restore_is_told_to_prometheus(host: Host, admin: Admin, prometheus: Prometheus) -> None:
    """And brings back what was stopped, last of all; the inventory takes the newcomer away again."""
    host.check_output("docker stop grafana prometheus node-exporter")
    run = admin.play("reboot_restore", "--limit", "real")
    assert run.status == 0, run.output
    assert "monitoring" in run.messages
    wait_until(
        lambda: [one["value"] for one in prometheus.query("inference_fleet_restore_failed")] == [0],
        "Prometheus knows of the restore",
    )
    assert "vllm-newcomer-1" not in prometheus.targets()


@pytest.mark.extended
def test_switched_off_it_is_gone_and_what_was_seen_is_kept(host: Host, admin: Admin, door: Door) -> None:
    run = admin.play("install", "--limit", "real", variables={"fleet_monitoring": False})
    assert run.status == 0, run.output
    assert not WATCHING & inspect(host).keys()
    assert host.check_output("ls /var/lib/docker/volumes/fleet-prometheus/_data/wal")
    assert host.file("/var/lib/docker/volumes/fleet-grafana/_data/grafana.db").exists
    assert door.request("GET", "/grafana/").status_code == 404
