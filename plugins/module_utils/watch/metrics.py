# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Prometheus answers: requests and tokens by model and by virtual key, and the alerts that fire. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import as_list, as_mapping, number, text

# Four scrapes (roles/monitoring/templates/prometheus.yml.j2).
QUERIES: Mapping[str, str] = {
    "requests": "sum by (model) (rate(vllm:request_success_total[1m]))",
    "tokens": "sum by (model) (rate(vllm:generation_tokens_total[1m]))",
}
# Of LiteLLM, for the virtual keys with an alias.
KEY_QUERIES: Mapping[str, str] = {
    "requests": "sum by (api_key_alias) (increase(litellm_proxy_total_requests_metric_total[1d]))",
    "tokens": "sum by (api_key_alias) (increase(litellm_total_tokens_metric_total[1d]))",
}
_MOST_ALERTS = 100


def rates(answer: object, by: str = "model") -> Optional[dict[str, float]]:
    """What the label `by` has -> value. None for what is no answer to an instant query."""
    data = as_mapping(as_mapping(answer).get("data"))
    if data.get("resultType") != "vector":
        return None
    found: dict[str, float] = {}
    for series in map(as_mapping, as_list(data.get("result"))):
        name = text(as_mapping(series.get("metric")).get(by))
        value = number((as_list(series.get("value")) or [None])[-1])
        if name and value is not None:
            found[name] = value
    return found


def firing(answer: object) -> Optional[list[dict[str, Any]]]:
    """The alerts that fire, critical ones first, then the oldest first. None if it is no answer of /api/v1/alerts."""
    listed = as_mapping(as_mapping(answer).get("data")).get("alerts")
    if not isinstance(listed, list):
        return None
    found = [_alert(one) for one in map(as_mapping, as_list(listed)) if one.get("state") == "firing"]
    return sorted(found, key=lambda one: (one["severity"] != "critical", one["since"], one["name"]))[:_MOST_ALERTS]


def _alert(one: Mapping[str, Any]) -> dict[str, Any]:
    labels, notes = as_mapping(one.get("labels")), as_mapping(one.get("annotations"))
    return {
        "name": text(labels.get("alertname")),
        "severity": text(labels.get("severity")),
        "since": text(one.get("activeAt"), 40),
        "summary": text(notes.get("summary"), 500),
    }
