"""prometheus.yml, rendered as Ansible renders it, and as promtool reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.tests.unit.monitoring.test_rules import ROOT, promtool
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

ROLE = ROOT / "roles/monitoring"
ON_CPU = entry(devices={"cpu": True})


def rendered(*entries: dict[str, Any], monitoring: Any = True) -> str:
    given = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    given["__monitoring_scraped"] = trust_as_template(given["__monitoring_scraped"])
    fact = fleet(*entries, monitoring=monitoring).public()
    variables = {"fleet": fact, "ansible_managed": "Ansible", "inventory_hostname": "gpu1.example.com", **given}
    source = trust_as_template((ROLE / "templates/prometheus.yml.j2").read_text())
    text: str = Templar(DataLoader(), variables).template(source, overrides={"trim_blocks": True})
    return text


def jobs(*entries: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in yaml.safe_load(rendered(*entries))["scrape_configs"]}


def test_everything_that_runs_is_scraped_and_dcgm_where_there_are_gpus() -> None:
    without = {"vllm", "litellm", "prometheus", "caddy", "node-exporter", "certificate"}
    assert jobs(ON_CPU).keys() == without
    assert jobs(entry()).keys() == without | {"dcgm-exporter"}


def test_no_model_changes_it() -> None:
    """Models are in files that Prometheus watches."""
    assert rendered(ON_CPU) == rendered(*(entry(name=f"m-{n}", devices={"cpu": True}, replicas=3) for n in range(9)))
    assert jobs()["vllm"]["file_sd_configs"] == [{"files": ["targets/vllm.json"]}]


def test_it_comes_to_litellm_with_a_key_that_stands_in_a_file() -> None:
    assert jobs()["litellm"]["authorization"] == {"credentials_file": "/run/secrets/litellm_key"}


def test_certificates_are_looked_at_through_caddy_whatever_the_name() -> None:
    steps = {step.get("target_label"): step for step in jobs()["certificate"]["relabel_configs"]}
    assert steps["instance"]["source_labels"] == ["__address__"]
    assert steps["__param_target"]["replacement"] == "caddy:443"
    assert steps["__address__"]["replacement"] == "blackbox-exporter:9115"


def test_alertmanagers_are_told_under_the_hosts_name() -> None:
    assert "alerting" not in yaml.safe_load(rendered())
    told = rendered(monitoring={"alertmanagers": ["https://alerts.example.com/prefix", "http://[fd00::1]:9093"]})
    config = yaml.safe_load(told)
    assert config["global"]["external_labels"] == {"host": "gpu1.example.com"}
    found = [
        (one["scheme"], one["static_configs"][0]["targets"], one["path_prefix"])
        for one in config["alerting"]["alertmanagers"]
    ]
    assert found == [("https", ["alerts.example.com"], "/prefix"), ("http", ["[fd00::1]:9093"], "/")]


def test_prometheus_takes_it(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(
        rendered(entry(), monitoring={"alertmanagers": ["http://alerts.example.com:9093"]})
    )
    assert "is valid" in promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
