"""A long module is asked first, then runs in the background, and what it tells is shown as it comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.inference.fleet.plugins.action import model_containers
from ansible_collections.inference.fleet.plugins.plugin_utils import watched
from ansible_collections.inference.fleet.plugins.plugin_utils.watched import LOST_AT_MOST, Watched

RUNNING = {"started": True, "finished": False}
ENDED = {"started": True, "finished": True, "ansible_job_id": "j1", "changed": True, "actions": ["done"]}


class Action(Watched):
    """On a FAKE host. looks: what the module says in check mode. polls: what its job says, look by look;
    with each it has added a line. journal: what was executed."""

    module = "module"

    def __init__(self, looks: dict[str, Any], *polls: Any, check_mode: bool = False) -> None:
        self._task = SimpleNamespace(check_mode=check_mode, async_val=0)
        self.arguments = {"a": 1}
        self.looks, self.polls = looks, list(polls)
        self.journal: list[str] = []
        self.lines: list[str] = []

    def _execute_module(
        self,
        module_name: str = "",
        module_args: Any = None,
        task_vars: Any = None,
        wrap_async: bool = False,
        **_more: Any,
    ) -> dict[str, Any]:
        if module_name == "ansible.legacy.async_status":
            return self._poll(module_args)
        self.journal.append(f"{'start' if wrap_async else 'look'} {'check' if self._task.check_mode else 'do'}")
        if wrap_async:
            assert self._task.async_val
            assert module_args.pop("progress").startswith("/run/inference-fleet/progress-")
            assert module_args == {"a": 1}
            return {"ansible_job_id": "j1"}
        return self.looks

    def _poll(self, arguments: dict[str, Any]) -> dict[str, Any]:
        assert arguments["jid"] == "j1"
        if arguments["mode"] == "cleanup":
            self.journal.append("cleanup")
            return {}
        answer = self.polls.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.lines.append(f"line {len(self.lines) + 1}")
        return dict(answer)

    def _low_level_execute_command(self, command: str, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        if command.startswith("rm -f /run/inference-fleet/progress-"):
            self.journal.append("forget")
        return {"stdout": "".join(f"{line}\n" for line in self.lines)}

    def get_shell_option(self, option: str, default: Any = None) -> Any:
        return default

    def _remote_expand_user(self, path: str, *_arguments: Any, **_options: Any) -> str:
        return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(watched, "Display", lambda: SimpleNamespace(display=lines.append))
    monkeypatch.setattr(watched, "POLL_SECONDS", 0)
    return lines


def run(action: Action) -> dict[str, Any]:
    return action.carry_out({"inventory_hostname": "gpu1"})


@pytest.mark.parametrize("looks", [{"changed": False}, {"changed": False, "failed": True, "msg": "no"}])
def test_where_nothing_is_to_be_done_that_is_one_call(looks: dict[str, Any], shown: list[str]) -> None:
    action = Action(looks)
    assert run(action) == looks
    assert (action.journal, action._task.check_mode) == (["look check"], False)


def test_check_mode_is_one_call(shown: list[str]) -> None:
    action = Action({"changed": True}, check_mode=True)
    assert run(action) == {"changed": True}
    assert action.journal == ["look check"]


def test_what_is_to_be_done_is_done_in_the_background_and_each_line_is_shown_once(shown: list[str]) -> None:
    action = Action({"changed": True}, RUNNING, RUNNING, ENDED)
    assert run(action) == {"changed": True, "actions": ["done"]}
    assert action.journal == ["look check", "start do", "forget", "cleanup"]
    assert shown == ["  gpu1: line 1", "  gpu1: line 2", "  gpu1: line 3"]
    assert action._task.async_val == 0, "the executor does not poll too"


def test_what_can_be_done_in_part_is_done_although_something_is_wrong(shown: list[str]) -> None:
    action = Action({"changed": True, "failed": True}, {**ENDED, "failed": True, "msg": "no"})
    assert run(action) == {"changed": True, "actions": ["done"], "failed": True, "msg": "no"}


def test_a_connection_that_breaks_off_is_made_anew(shown: list[str]) -> None:
    action = Action({"changed": True}, RUNNING, AnsibleConnectionFailure("lost"), ENDED)
    assert run(action)["actions"] == ["done"]


def test_a_connection_that_stays_away_ends_the_watching(shown: list[str]) -> None:
    action = Action({"changed": True}, *[AnsibleConnectionFailure("lost")] * LOST_AT_MOST)
    with pytest.raises(AnsibleConnectionFailure):
        run(action)


# inference.fleet.model_containers, which also waits for models that another run started

LOADING = {"name": "vllm-a-1", "wanted": True, "ready": False}


class Containers(Action, model_containers.ActionModule):
    pass


@pytest.mark.parametrize(
    ("arguments", "containers", "in_background"),
    [
        ({}, [LOADING], True),
        ({}, [{**LOADING, "ready": True}], False),
        ({}, [{**LOADING, "wanted": False}], False),
        ({"wait": False}, [LOADING], False),
    ],
)
def test_a_model_that_still_loads_is_waited_for_in_the_background(
    arguments: dict[str, Any], containers: list[dict[str, Any]], in_background: bool, shown: list[str]
) -> None:
    action = Containers({"changed": False, "containers": containers}, ENDED)
    action.arguments.update(arguments)
    run(action)
    assert ("start do" in action.journal) == in_background


def test_a_restore_runs_the_module_alone(shown: list[str]) -> None:
    action = Containers({"changed": True})
    action.arguments = {"keep_going": "true"}
    assert run(action) == {"changed": True}
    assert action.journal == ["look do"]
