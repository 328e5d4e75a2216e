"""The summary line at the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.report import summary as made
from ansible_collections.inference.fleet.plugins.module_utils.report.summary import summary
from hypothesis import given
from hypothesis import strategies as st

ROLES = Path(__file__).parents[3] / "roles"


def line(check_mode: bool = False, ended_early: bool = False, **results: Any) -> str:
    """results: of the tasks, by the variable without its underscores."""
    return summary({f"__{name}": result for name, result in results.items()}, check_mode, ended_early)


def models(*actions: str, **more: Any) -> dict[str, Any]:
    return {"changed": bool(actions), "actions": list(actions), **more}


def test_a_run_that_did_nothing_says_so() -> None:
    assert line() == "nothing changed"
    assert line(vllm_model=models(), litellm={"changed": False}, caddy_reload={"changed": False}) == "nothing changed"


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (["create vllm-a-1 (missing)", "start vllm-a-1"], "created: vllm-a-1"),
        (["remove vllm-a-1 (image differs)", "create vllm-a-1", "start vllm-a-1"], "recreated: vllm-a-1"),
        (["remove vllm-a-1 (no longer in the inventory)"], "removed: vllm-a-1"),
        (["start vllm-a-1"], "restarted: vllm-a-1"),
        (["unpause vllm-a-1"], "restarted: vllm-a-1"),
        (["stop vllm-a-1"], "stopped: vllm-a-1"),
        (["disconnect vllm-a-1 (bridge)", "connect vllm-a-1 (llm-network)"], "updated: vllm-a-1"),
        (["pull own/vllm:1"], "pulled: own/vllm:1"),
        (["create vllm-a-1", "create vllm-b-1", "start vllm-b-1"], "created: vllm-a-1, vllm-b-1"),
    ],
)
def test_what_became_of_a_model_container(actions: list[str], told: str) -> None:
    assert line(vllm_model=models(*actions)) == told


def test_a_service_is_created_where_the_host_had_none_and_restarted_where_it_had() -> None:
    host = {"services": ["caddy"]}
    changed = {"changed": True}
    assert line(fleet_host=host, caddy=changed, postgres=changed) == "created: postgres; restarted: caddy"


def test_a_service_whose_networks_alone_changed_was_not_restarted() -> None:
    host = {"services": ["caddy", "litellm"], "running": {"caddy": "6edb"}}
    same, other = ({"changed": True, "container": {"Id": one}} for one in ("6edb", "90af"))
    assert line(fleet_host=host, caddy=same) == "updated: caddy"
    assert line(fleet_host=host, caddy=other) == "restarted: caddy"
    assert line(fleet_host={**host, "running": {}}, caddy=same) == "restarted: caddy"  # it was stopped


def test_litellm_counts_from_where_it_is_stopped() -> None:
    """Before the restart, the registered result is a plan of check mode."""
    assert line(litellm={"changed": True}) == "nothing changed"
    assert line(litellm={"changed": True}, litellm_restart={"changed": False}) == "created: litellm"


def test_all_that_a_run_did_stands_in_one_line_in_a_fixed_order() -> None:
    told = line(
        energy_files={"changed": True},
        monitoring_removed={
            "results": [{"changed": True, "item": "grafana"}, {"changed": False, "item": "prometheus"}]
        },
        vllm_model=models("remove vllm-old-1", "create vllm-a-1"),
        weights={"actions": ["download own/a at 0123456789ab (3 files, 1.0 GB)"]},
        recipes={"actions": ["build inference-fleet/recipe-x:1 (missing)", "remove inference-fleet/recipe-y:1 (2 GB)"]},
        mig={
            "actions": [
                "stop vllm-b-1",
                "GPU 0: destroy 1g.5gb at 0",
                "GPU 0: create 2g.10gb at 0",
                "GPU 1: enable MIG",
            ]
        },
        fleet_host={"packages": ["docker.io"], "gpu_to_do": ["toolkit"]},
        fleet_files={"changed": True},
        fleet_secrets={"changed": True},
    )
    assert told == (
        "installed: docker.io, toolkit; partitioned: GPU 0, GPU 1; built: inference-fleet/recipe-x:1; "
        "downloaded: own/a; created: vllm-a-1; removed: grafana, inference-fleet/recipe-y:1, vllm-old-1; "
        "updated: config.json, secrets, the energy sampler"
    )


def test_what_was_to_be_installed_is_not_called_so_where_the_run_ended_before() -> None:
    told = line(ended_early=True, fleet_host={"packages": ["docker.io"]})
    assert told == "stopped: a task failed on this host or on another one, see above"


def test_check_mode_says_what_would_be_done() -> None:
    assert line(True, vllm_model=models("create vllm-a-1")) == "check mode, nothing was changed; created: vllm-a-1"


# What failed


def test_a_model_that_failed_comes_by_name_with_the_beginning_of_why() -> None:
    faults = {
        "vllm-b-1": "vllm-b-1: died with exit code 1, is restarting now; the end of its log:\n    ValueError: no",
        "own/c:1": "image own/c:1: cannot be pulled and is not on this host: no route",
    }
    told = line(vllm_model=models("create vllm-a-1", failed=True, faults=faults, msg="\n".join(faults.values())))
    assert told == (
        "created: vllm-a-1; failed: vllm-b-1 (died with exit code 1), "
        "own/c:1 (image own/c:1: cannot be pulled and is not on this host: no route)"
    )


def test_a_task_that_keeps_its_failure_for_the_end_of_the_run_has_failed() -> None:
    kept = {"failed": False, "failed_when_result": False}
    faults = {"vllm-a-1": "vllm-a-1: died with exit code 1, is exited now"}
    assert line(vllm_model={**kept, "faults": faults, "msg": "text"}) == (
        "failed: vllm-a-1 (died with exit code 1, is exited now)"
    )
    assert line(weights={**kept, "msg": "hub: no answer"}) == "failed: weights (hub: no answer)"
    assert line(weights={**kept, "actions": []}, fleet_host={"faults": []}) == "nothing changed"
    assert line(fleet_host={"faults": ["port 443: taken by nginx", "more"]}) == (
        "failed: checks (port 443: taken by nginx)"
    )


def test_a_step_that_failed_without_more_is_its_message() -> None:
    failed = {"failed": True, "msg": "nvidia-smi: the driver is gone\nmore"}
    assert line(vllm_model=failed) == "failed: models (nvidia-smi: the driver is gone)"
    assert line(weights={**failed, "actions": []}, fleet_host=failed) == (
        "failed: checks (nvidia-smi: the driver is gone), weights (nvidia-smi: the driver is gone)"
    )


def test_what_docker_says_of_a_service_is_not_shown() -> None:
    """The error message for a container that cannot be created may contain its environment."""
    failed = {"failed": True, "msg": "LITELLM_MASTER_KEY=sk-1 is wrong"}
    assert line(litellm=failed, caddy=failed) == "failed: litellm (see above), caddy (see above)"


def test_what_a_rescue_has_kept_is_told() -> None:
    told = line(litellm_fault="litellm: runs, but is not ready after 300 s; its log", monitoring_faults="grafana: died")
    assert told == "failed: litellm (runs, but is not ready after 300 s), monitoring (grafana: died)"


def test_a_failure_that_is_known_needs_no_reference_to_the_output() -> None:
    assert line(ended_early=True, mig={"failed": True, "msg": "GPU 0: in use"}) == "failed: MIG (GPU 0: in use)"


def test_a_long_message_is_cut_off() -> None:
    assert len(line(mig={"failed": True, "msg": "x" * 1000})) < 150


values = st.none() | st.booleans() | st.text(max_size=5) | st.dictionaries(st.text(max_size=5), st.none(), max_size=2)
VARIABLES = sorted({*made.CONTAINERS.values(), *made._STEPS.values(), *made._UPDATES, "__litellm_fault"})


@given(st.dictionaries(st.sampled_from(VARIABLES), values), st.booleans())
def test_is_one_line_whatever_was_registered(results: dict[str, Any], ended_early: bool) -> None:
    assert "\n" not in summary(results, False, ended_early)


def test_every_variable_that_is_read_is_registered_by_a_role() -> None:
    registered = {
        task.get("register")
        for file in [*ROLES.glob("*/tasks/*.yml"), ROLES.parent / "playbooks" / "keys.yml"]
        for task in _tasks(yaml.safe_load(file.read_text()))
    }
    read = {*made.CONTAINERS.values(), *made._STEPS.values(), *made._UPDATES, made._RESTARTS, made._INSTALLED}
    assert {*read, "__monitoring_removed", "__monitoring_dcgm_removed"} - registered == set()


def _tasks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [task.get(part) or [] for task in tasks for part in ("tasks", "block", "rescue", "always")]
    return [*tasks, *(found for one in inner for found in _tasks(one))]
