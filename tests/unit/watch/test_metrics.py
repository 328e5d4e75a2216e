"""What Prometheus answers, and what it could answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.metrics import firing, rates
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "alerts", "result", "metric", "value", "labels", "state"]), inner)
    ),
    max_leaves=10,
)


def vector(*series: tuple[Any, Any]) -> dict[str, Any]:
    result = [{"metric": {"model": model}, "value": [1795490400.1, value]} for model, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def alert(name: str = "ModelDown", severity: str = "critical", since: str = "2026-11-24T03:12:40Z", **more: Any) -> Any:
    labels = {"alertname": name, "severity": severity}
    return {"labels": labels, "annotations": {"summary": "s"}, "state": "firing", "activeAt": since, **more}


def test_the_rates_by_model() -> None:
    assert rates(vector(("a", "1.5"), ("b", "0"))) == {"a": 1.5, "b": 0.0}


def test_a_rate_that_is_no_number_is_left_out() -> None:
    assert rates(vector(("a", "NaN"), ("b", "+Inf"), ("", "1"), (None, "1"), ("c", "2"))) == {"c": 2.0}


@pytest.mark.parametrize("answer", [None, [], {"status": "error"}, {"data": {"resultType": "matrix", "result": []}}])
def test_another_answer_is_none(answer: object) -> None:
    assert rates(answer) is None
    assert firing(answer) is None


def test_only_alerts_that_fire_critical_ones_first() -> None:
    found = firing(
        {
            "data": {
                "alerts": [
                    alert("Old", "warning", "2026-11-20T00:00:00Z"),
                    alert("New"),
                    alert("Older", since="2026-11-23T00:00:00Z"),
                    alert("Pending", state="pending"),
                ]
            }
        }
    )
    assert found is not None
    assert [one["name"] for one in found] == ["Older", "New", "Old"]
    assert found[1] == {"name": "New", "severity": "critical", "since": "2026-11-24T03:12:40Z", "summary": "s"}


def test_names_of_models_are_cut() -> None:
    long = "m" * 1_000_000
    assert [len(name) for name in rates(vector((long, "1"))) or ()] == [200]
    found = firing({"data": {"alerts": [alert(annotations={"summary": f"{long}\x1b[2J"})] * 5000}})
    assert found is not None
    assert len(found) == 100 and len(found[0]["summary"]) == 500


@given(JSON)
def test_whatever_it_answers_is_no_exception(answer: Any) -> None:
    json.dumps([rates(answer), firing(answer)], allow_nan=False)
