# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The summary line of a run on a host, from the results of its tasks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# A service's container -> the variable with the result of the task that runs the container.
CONTAINERS: Mapping[str, str] = {
    "postgres": "__postgres",
    "litellm": "__litellm",
    "caddy": "__caddy",
    "node-exporter": "__monitoring_node_exporter",
    "blackbox-exporter": "__monitoring_blackbox_exporter",
    "dcgm-exporter": "__monitoring_dcgm_exporter",
    "prometheus": "__monitoring_prometheus",
    "grafana": "__monitoring_grafana",
}
_RESTARTS = "__litellm_restart"  # until this is set, __litellm is the plan from check mode
_INSTALLED = "__fleet_files"  # result of the task that follows the installation of what __fleet_host lists
# Variable -> the name of what changed, if its task returned changed.
_UPDATES: Mapping[str, str] = {
    "__fleet_files": "config.json",
    "__fleet_secrets": "secrets",
    "__fleet_network": "the Docker networks",
    "__fleet_rules": "the host's rules",
    "__litellm_keys": "open routes' keys",
    "__virtual_keys": "virtual keys",
    "__caddy_keys": "Caddy's keys",
    "__caddy_config": "Caddy's configuration",
    "__monitoring_files": "monitoring's configuration",
    "__monitoring_gpu_models": "monitoring's configuration",
    "__restore_kit": "the host's copy of the collections",
    "__restore_files": "the restore's unit",
    "__restore_environment": "the restore's Python environment",
    "__energy_files": "the energy sampler",
    "__energy_removed": "the energy sampler",
}
# A step's name in `failed:` -> the variable with its result. Faults of models have the model's name instead.
_STEPS: Mapping[str, str] = {
    "inventory": "__fleet_inventory",
    "checks": "__fleet_host",
    "lock": "__fleet_lock",
    "previous version": "__fleet_previous",
    "host rules": "__fleet_rules",
    "postgres": "__postgres_ready",
    "MIG": "__mig",
    "recipes": "__recipes",
    "weights": "__weights",
    "models": "__vllm_model",
    "caddy": "__caddy_reload",
    "virtual keys": "__virtual_keys",
    "answers": "__fleet_answers",
}
# The verbs of the actions on a container, an image or a repository -> the outcome; the first match counts.
_OUTCOMES = (
    ({"replace"}, "replaced"),
    ({"remove", "create"}, "recreated"),
    ({"create"}, "created"),
    ({"remove"}, "removed"),
    ({"start"}, "restarted"),
    ({"unpause"}, "restarted"),
    ({"stop"}, "stopped"),
    ({"build"}, "built"),
    ({"download"}, "downloaded"),
    ({"pull"}, "pulled"),
)
_ORDER = (
    "installed",
    "partitioned",
    "pulled",
    "built",
    "downloaded",
    "created",
    "replaced",
    "recreated",
    "restarted",
    "stopped",
    "removed",
    "updated",
)
_LONGEST = 120
_SEE = "see above"


def summary(results: Mapping[str, Any], check_mode: bool, ended_early: bool) -> str:
    """`created: vllm-a-1, caddy; failed: b (died with exit code 1)`.

    results: a host's variables, with the registered results of tasks. ended_early: whether a task failed without a
    rescue, on this host, or on another host if a failure there ends the play for all.
    """
    parts: dict[str, set[str]] = {outcome: set() for outcome in _ORDER}
    for outcome, name in _done(results):
        parts[outcome].add(name)
    lines = [f"{outcome}: {', '.join(sorted(names))}" for outcome, names in parts.items() if names]
    if check_mode:
        lines = ["check mode, nothing was changed", *lines]
    failed = list(dict.fromkeys(_failed(results)))
    if failed:
        lines.append(f"failed: {', '.join(failed)}")
    elif ended_early:
        lines.append("stopped: a task failed on this host or on another one, see above")
    return "; ".join(lines) or "nothing changed"


def changes(results: Mapping[str, Any]) -> bool:
    """Whether the line has a change, or in check mode a planned one."""
    return any(True for _one in _done(results))


def fault(results: Mapping[str, Any]) -> str:
    """What failed first, as in the summary line; empty if no step and no model failed."""
    return next(iter(_failed(results)), "")


def _done(results: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Pairs of outcome and name."""
    host = _of(results, "__fleet_host")
    if _INSTALLED in results:
        yield from (("installed", name) for name in (*host.get("packages", ()), *host.get("gpu_to_do", ())))
    gpus = (re.match(r"GPU \d+(?=:)", action) for action in _of(results, "__mig").get("actions", ()))
    yield from (("partitioned", gpu[0]) for gpu in gpus if gpu)
    for variable in ("__recipes", "__weights", "__vllm_model"):
        yield from _of_actions(_of(results, variable).get("actions", ()))
    for name, variable in CONTAINERS.items():
        result = _of(results, variable)
        if result.get("changed") and not result.get("failed") and (name != "litellm" or _RESTARTS in results):
            yield _outcome(name, result, host), name
    for one in _of(results, "__monitoring_removed").get("results", ()):
        if one.get("changed"):
            yield "removed", one["item"]
    if _of(results, "__monitoring_dcgm_removed").get("changed"):
        yield "removed", "dcgm-exporter"
    yield from (("updated", what) for variable, what in _UPDATES.items() if _of(results, variable).get("changed"))


def _outcome(name: str, result: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """Of a service whose container changed. A container that ran and is the same changed only its networks."""
    if name not in host.get("services", ()):
        return "created"
    kept = (result.get("container") or {}).get("Id")
    return "updated" if kept and kept == host.get("running", {}).get(name) else "restarted"


def _of_actions(actions: Iterable[str]) -> Iterable[tuple[str, str]]:
    """actions: from the modules' results, each `verb name (reason)`."""
    verbs: dict[str, set[str]] = {}
    for action in actions:
        verb, name = action.split()[:2]
        verbs.setdefault(name, set()).add(verb)
    for name, found in verbs.items():
        yield next((outcome for needed, outcome in _OUTCOMES if needed <= found), "updated"), name


def _failed(results: Mapping[str, Any]) -> Iterable[str]:
    """Models and steps that failed, each with the start of the reason. A service has no reason here, since Docker's
    message may contain secrets."""
    for step, variable in _STEPS.items():
        yield from (_fault(name, fault) for name, fault in _faults(step, _of(results, variable)).items())
    yield from (_fault(name, _SEE) for name, one in CONTAINERS.items() if _of(results, one).get("failed"))
    for step, variable in (("litellm", "__litellm_fault"), ("monitoring", "__monitoring_faults")):
        if fault := results.get(variable):
            yield _fault(step, fault)


def _faults(step: str, result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The faults of a step by name; a task with `failed_when: false` has failed if its result has a message."""
    faults = result.get("faults")
    if isinstance(faults, Mapping) and faults:
        return faults
    if isinstance(faults, (list, tuple)) and faults:
        return {step: faults[0]}
    failed = result.get("failed") or ("failed_when_result" in result and "msg" in result)
    return {step: result.get("msg", _SEE)} if failed else {}


def _of(results: Mapping[str, Any], variable: str) -> Mapping[str, Any]:
    result = results.get(variable)
    return result if isinstance(result, Mapping) else {}


def _fault(name: str, message: object) -> str:
    """The name, and the first line of the message without the advice."""
    first = next(iter(str(message).splitlines()), "").removeprefix(f"{name}: ")
    why = re.split(r"; |, is restarting", first, maxsplit=1)[0].rstrip(" :")
    return f"{name} ({why if len(why) <= _LONGEST else f'{why[:_LONGEST]}…'})"
