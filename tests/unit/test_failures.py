"""No exception of Python reaches a user as it is: every module and plugin ends with a message."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3.exceptions
from ansible.errors import AnsibleConnectionFailure, AnsibleFilterError, AnsibleLookupError
from ansible_collections.inference.fleet.plugins.action import show
from ansible_collections.inference.fleet.plugins.filter import open_keys
from ansible_collections.inference.fleet.plugins.lookup import program_digest
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of, words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.work import MARKED
from ansible_collections.inference.fleet.plugins.modules import gpu_info
from ansible_collections.inference.fleet.tests.unit.running import Module

PLUGINS = Path(__file__).parents[2] / "plugins"
COLLECTION = "ansible_collections.inference.fleet.plugins"


def plugins(kind: str) -> list[str]:
    return sorted(path.stem for path in (PLUGINS / kind).glob("*.py"))


def loaded(kind: str, name: str) -> Any:
    return importlib.import_module(f"{COLLECTION}.{kind}.{name}")


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_given: Any, **_more: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "/etc/os-release"), "/etc/os-release: Permission denied"),
        (FleetError("a: expected b", "c: expected d"), "a: expected b\nc: expected d"),
        (OSError(28, "No space left on device"), "No space left on device ("),
        (RecursionError("maximum recursion depth exceeded"), "the data is nested too deeply ("),
        (KeyError("Id"), "inference.fleet does not expect this: KeyError: 'Id' ("),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "inference.fleet does not expect this: UnicodeDecodeError"),
    ],
)
def test_a_module_ends_with_a_message(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_info, "NvidiaSmi", raising(error))
    answer = Module(gpu_info.main, capsys)()
    assert answer["failed"] is True
    assert answer["msg"].startswith(message)
    if message.endswith("("):
        assert "modules.gpu_info, line " in answer["msg"], "the place in the code, for a report"


def test_a_long_message_is_cut() -> None:
    assert len(fault_of(ValueError("x" * 5000))) < 500


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            requests.ConnectionError(
                urllib3.exceptions.ProtocolError(
                    "Connection aborted.", ConnectionRefusedError(111, "Connection refused")
                )
            ),
            "Connection refused",
        ),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (EOFError(), "EOFError"),
        (
            requests.ReadTimeout("UnixHTTPConnectionPool(host='localhost', port=None): Read timed out."),
            "Read timed out.",
        ),
    ],
)
def test_of_nested_exceptions_the_system_s_words_are_reported(error: Exception, words: str) -> None:
    assert words_of(error) == words


@pytest.mark.parametrize("name", plugins("modules"))
def test_every_module_reports_its_exceptions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded("modules", name)
    if not hasattr(module, "main"):
        pytest.skip("an action without a module")
    called: list[Any] = []
    monkeypatch.setattr(module, "AnsibleModule", lambda **_how: "the module")
    monkeypatch.setattr(module, "run", lambda *given, **alone: called.append((*given, alone)))
    module.main()
    assert called == [(module._work, "the module", {"alone": name} if name in MARKED else {})]


@pytest.mark.parametrize("name", plugins("action"))
def test_every_action_reports_its_exceptions(name: str) -> None:
    assert loaded("action", name).ActionModule.run.__wrapped__


@pytest.mark.parametrize("name", plugins("lookup"))
def test_every_lookup_reports_its_exceptions(name: str) -> None:
    assert loaded("lookup", name).LookupModule.run.__wrapped__


@pytest.mark.parametrize("name", plugins("filter"))
def test_every_filter_reports_its_exceptions(name: str) -> None:
    for function in loaded("filter", name).FilterModule().filters().values():
        assert function.__wrapped__


def act(plugin: Any, **arguments: Any) -> Any:
    action = plugin.ActionModule(SimpleNamespace(args=arguments, check_mode=False), *[None] * 5)
    return action.run(task_vars={"inventory_hostname": "gpu1"})


def test_an_action_fails_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "headed", raising(TypeError("unhashable")))
    answer = act(show, lines=["a"])
    assert answer["failed"] is True
    assert answer["msg"].startswith("inference.fleet does not expect this: TypeError: unhashable (action.show, line ")


def test_an_error_of_ansible_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "headed", raising(AnsibleConnectionFailure("lost")))
    with pytest.raises(AnsibleConnectionFailure):
        act(show, lines=["a"])


def test_a_lookup_and_a_filter_raise_ansible_s_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleLookupError, match=r"^no.module: the collection has no such module"):
        program_digest.LookupModule().run(["no.module"])
    monkeypatch.setattr(program_digest, "program_files", raising(SyntaxError("invalid syntax")))
    with pytest.raises(AnsibleLookupError, match=r"^inference.fleet does not expect this: SyntaxError"):
        program_digest.LookupModule().run(["plugins.module_utils.energy.sampler"])
    with pytest.raises(AnsibleFilterError, match=r"^inference.fleet does not expect this: KeyError: 'values'"):
        open_keys.FilterModule().filters()["open_keys"]({}, [])
