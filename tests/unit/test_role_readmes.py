"""The README of each role matches its meta/argument_specs.yml."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tests/docs/role_readmes.py"))
ROLES = sorted(folder.name for folder in (ROOT / "roles").iterdir())


@pytest.mark.parametrize("role", ROLES)
def test_readme_is_fresh(role: str) -> None:
    file = ROOT / "roles" / role / "README.md"
    assert file.read_text() == dict(SCRIPT["readmes"](ROOT / "roles"))[file], "run python tests/docs/role_readmes.py"


def lines(options: dict[str, Any]) -> list[str]:
    return list(SCRIPT["option_lines"](options))


def test_option_has_type_choices_default_and_description() -> None:
    option = {
        "type": "str",
        "choices": ["off", "on"],
        "default": "on",
        "description": ["Whether C(x) runs.", "Or not."],
    }
    assert lines({"x_state": option}) == [
        "- `x_state` (str, one of `off`, `on`, default `on`): Whether `x` runs. Or not."
    ]


def test_defaults_are_written_as_yaml_has_them() -> None:
    assert lines({"a": {"type": "bool", "default": False, "description": "A."}}) == [
        "- `a` (bool, default `false`): A."
    ]
    assert lines({"b": {"type": "dict", "default": {"gpus": 1}, "description": "B."}}) == [
        '- `b` (dict, default `{"gpus": 1}`): B.'
    ]


def test_nested_options_stand_below_theirs() -> None:
    inner = {"name": {"type": "str", "required": True, "description": "Its name."}}
    outer = {"type": "list", "elements": "dict", "options": inner, "description": "All models."}
    assert lines({"models": outer}) == [
        "- `models` (list of dict): All models.",
        "  - `name` (str, required): Its name.",
    ]


def test_entry_points_follow_main() -> None:
    text = SCRIPT["readme"]("x", {"begin": {"short_description": "Lock"}, "main": {"short_description": "Run"}})
    assert text.index("**Run**") < text.index("## Entry point `begin`") < text.index("**Lock**")


def test_plain_text_stays_plain_in_markdown() -> None:
    assert SCRIPT["markdown"]("C(/key/*), a*b and <name>") == "`/key/*`, a\\*b and \\<name>"


def test_refuses_markup_that_it_cannot_write() -> None:
    with pytest.raises(ValueError, match=r"does not know: L\(docs,https://example.com\)"):
        SCRIPT["markdown"]("see L(docs,https://example.com)")


def test_check_names_a_stale_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    specs = tmp_path / "roles/x/meta/argument_specs.yml"
    specs.parent.mkdir(parents=True)
    specs.write_text("argument_specs: {main: {short_description: Run}}")
    monkeypatch.setitem(SCRIPT["main"].__globals__, "ROOT", tmp_path)
    assert SCRIPT["main"](["--check"]) == 1
    assert "roles/x/README.md: not what" in capsys.readouterr().out
    assert SCRIPT["main"]([]) == 0
    assert SCRIPT["main"](["--check"]) == 0
