"""inference.fleet.litellm_key: the whole module, on a fake LiteLLM over HTTP."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway import litellm as api
from ansible_collections.inference.fleet.plugins.modules import litellm_key
from ansible_collections.inference.fleet.tests.unit.gateway.fake_docker import FakeDocker
from ansible_collections.inference.fleet.tests.unit.gateway.fake_litellm import MASTER_KEY, FakeLiteLLM, error, serve
from ansible_collections.inference.fleet.tests.unit.running import Module

Run = Callable[..., dict[str, Any]]
VALUE = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


@pytest.fixture
def fake() -> FakeLiteLLM:
    return FakeLiteLLM()


@pytest.fixture
def run(
    fake: FakeLiteLLM, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """The task with these keys and options."""
    file = tmp_path / "master_key"
    file.write_text(MASTER_KEY)
    module = Module(litellm_key.main, capsys)
    monkeypatch.setattr(litellm_key, "Docker", FakeDocker)
    with serve(fake) as port:
        monkeypatch.setattr(api.LiteLLM.__init__, "__defaults__", (port,))
        yield lambda *keys, **options: module(keys=list(keys), master_key_file=str(file), **options)


def app(alias: str = "app", **more: Any) -> dict[str, Any]:
    return {"alias": alias, **more}


def test_makes_what_is_missing_and_then_has_nothing_to_do(run: Run, fake: FakeLiteLLM) -> None:
    entry = app(models=["b", "a"], max_budget=20, budget_duration="30d", expires="2099-01-01", metadata={"n": 1})
    first = run(entry)
    assert (first["changed"], first["actions"], first["missing"]) == (True, ["create app (missing)"], ["app"])
    second = run(entry)
    assert (second["changed"], second["actions"], second["missing"]) == (False, [], [])
    assert second["diff"] == {"before": "", "after": ""}
    assert fake.by_alias("app")["budget_duration"] == "30d"


def test_names_the_other_keys_but_no_session_of_the_web_interface(run: Run, fake: FakeLiteLLM) -> None:
    run(app("mine"), app("by-hand"), app("nameless"), app("session"))
    fake.by_alias("session").update(key_alias=None, team_id="litellm-dashboard")
    nameless = fake.by_alias("nameless")
    nameless["key_alias"] = None
    assert run(app("mine"), app("new"), check=True)["others"] == sorted(["by-hand", f"{nameless['token'][:8]}..."])
    assert run(app("mine"), app("by-hand"), check=True)["others"] == [f"{nameless['token'][:8]}..."]


def test_removes_the_keys_of_a_prefix_that_are_not_in_the_list(run: Run, fake: FakeLiteLLM) -> None:
    run(app("fleet-open-a"), app("fleet-open-b"), app("mine"))
    planned = run(app("fleet-open-a"), exclusive_prefix="fleet-open-", check=True)
    assert planned["actions"] == ["delete fleet-open-b (not wanted)"]
    assert run(app("fleet-open-a"), exclusive_prefix="fleet-open-")["actions"] == planned["actions"]
    assert run(exclusive_prefix="fleet-open-")["actions"] == ["delete fleet-open-a (not wanted)"]
    assert run(exclusive_prefix="fleet-open-")["changed"] is False
    assert fake.by_alias("mine")


def test_shows_no_value_that_was_given(run: Run) -> None:
    made = run(app(f"app of {VALUE}", key=VALUE))
    assert made["changed"]
    assert VALUE not in str(made)


def test_returns_a_new_key_once(run: Run, fake: FakeLiteLLM) -> None:
    value = run(app())["new_keys"]["app"]
    assert re.fullmatch(r"sk-[\w-]{43}", value)
    assert fake.by_alias("app")["token"] == hashlib.sha256(value.encode()).hexdigest()
    again = run(app())
    assert again["new_keys"] == {}
    assert again["tokens"] == {"app": fake.by_alias("app")["token"]}


def test_a_key_of_ones_own_is_not_returned(run: Run, fake: FakeLiteLLM) -> None:
    answer = run(app(key=VALUE))
    assert (answer["actions"], answer["new_keys"], answer["missing"]) == (["create app (missing)"], {}, [])
    assert VALUE not in str(answer)
    assert run(app(key=VALUE))["changed"] is False


def test_another_value_makes_the_key_anew(run: Run, fake: FakeLiteLLM) -> None:
    run(app(key=VALUE))
    answer = run(app(key=OTHER))
    assert answer["actions"] == ["delete app (has another value)", "create app (missing)"]
    assert fake.by_alias("app")["token"] == hashlib.sha256(OTHER.encode()).hexdigest()


def test_values_are_for_keys_that_are_made_and_for_no_others(run: Run, fake: FakeLiteLLM) -> None:
    fake.add("there", OTHER)
    answer = run(app("there"), app("new"), values={"there": VALUE, "new": VALUE})
    assert (answer["actions"], answer["new_keys"]) == (["create new (missing)"], {})
    assert fake.by_alias("there")["token"] == hashlib.sha256(OTHER.encode()).hexdigest()
    assert fake.by_alias("new")["token"] == hashlib.sha256(VALUE.encode()).hexdigest()
    assert VALUE not in str(answer)


def test_nothing_is_generated_where_values_were_given(run: Run, fake: FakeLiteLLM) -> None:
    answer = run(app("a"), app("b"), values={"b": VALUE})
    assert (answer["failed"], answer["msg"]) == (True, "a: the key is to be created, but `values` has no value for it")
    assert (answer["actions"], answer["new_keys"]) == (["create b (missing)"], {})


def test_check_mode_shows_what_the_run_then_does_and_does_nothing(run: Run, fake: FakeLiteLLM) -> None:
    fake.add("old", OTHER)
    entries = [app(rpm_limit=5), app("old", state="absent")]
    shown = run(*entries, check=True, values={})
    assert fake.journal == []
    assert (shown["changed"], shown["missing"], shown["new_keys"]) == (True, ["app"], {})
    done = run(*entries)
    assert (done["actions"], done["diff"]) == (shown["actions"], shown["diff"])


def test_the_rest_gets_its_turn_after_a_fault_and_the_task_fails(run: Run, fake: FakeLiteLLM) -> None:
    token = fake.add("a", OTHER, rpm_limit=1)["token"]
    fake.says["/key/update"] = lambda: (400, error("no such thing", 400))
    answer = run(app("a"), app("b"))
    assert answer["failed"] is True
    assert answer["msg"] == "a: LiteLLM: /key/update: no such thing (HTTP 400)"
    assert answer["faults"] == {"a": answer["msg"]}
    assert (answer["changed"], answer["actions"]) == (True, ["create b (missing)"])
    assert list(answer["new_keys"]) == ["b"]
    assert fake.keys[token]["rpm_limit"] == 1


def test_a_key_that_cannot_be_removed_is_not_made_a_second_time(run: Run, fake: FakeLiteLLM) -> None:
    run(app(key=VALUE))
    fake.says["/key/delete"] = lambda: (500, "no database")
    answer = run(app(key=OTHER))
    assert (answer["actions"], list(answer["faults"])) == ([], ["app"])


def test_stops_where_litellm_stops_answering(run: Run, fake: FakeLiteLLM) -> None:
    fake.says["/key/generate"] = lambda: (401, "")
    answer = run(app("a"), app("b"))
    assert list(answer["faults"]) == ["litellm"]
    assert answer["changed"] is False


def test_a_new_key_whose_making_was_not_answered_is_not_lost(
    run: Run, fake: FakeLiteLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_and_die() -> tuple[int, Any]:
        raise ConnectionError

    monkeypatch.setattr("http.server.ThreadingHTTPServer.handle_error", lambda *_arguments: None)
    fake.says["/key/generate"] = make_and_die
    answer = run(app())
    assert (answer["failed"], list(answer["new_keys"])) == (True, ["app"])


def test_a_litellm_that_says_yes_and_does_nothing_is_found_out(run: Run, fake: FakeLiteLLM) -> None:
    """LiteLLM's answer for a value that another key has."""
    fake.add("other", VALUE)
    answer = run(app(), values={"app": VALUE})
    assert answer["msg"] == "app: LiteLLM accepted the change but did not apply: create app (missing)"


def test_a_faulty_list_fails_before_anything_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_key, "Docker", lambda: pytest.fail("asked Docker"))
    assert run(app(rpm_limit=0))["msg"] == "fleet_keys[0].rpm_limit: expected a whole number of at least 1, got 0"


def test_an_empty_list_touches_nothing(run: Run, fake: FakeLiteLLM) -> None:
    fake.add("other", OTHER)
    answer = run()
    assert (answer["changed"], answer["tokens"], fake.journal) == (False, {}, [])


def test_shows_no_master_key(run: Run, fake: FakeLiteLLM) -> None:
    fake.says["/key/generate"] = lambda: (400, error(f"bad {MASTER_KEY}", 400))
    assert MASTER_KEY not in str(run(app()))


def test_works_on_more_keys_than_a_page_holds(run: Run, fake: FakeLiteLLM) -> None:
    entries = [app(f"key-{number}") for number in range(120)]
    assert len(run(*entries)["new_keys"]) == 120
    assert run(*entries)["changed"] is False
    assert len(run(*[{**entry, "state": "absent"} for entry in entries])["actions"]) == 120
    assert fake.keys == {}
