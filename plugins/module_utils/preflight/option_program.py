# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints the options of the `vllm serve` that is installed beside it, as JSON.

Runs in a container of a model's image, with `python3 -c`: standard library, no import of the collection. The script
`vllm` runs until it parses its command line; then the options of its parser are printed, and nothing is served.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import runpy
import shutil
import sys
from contextlib import suppress
from typing import Any, NoReturn, Optional

MARK = "inference.fleet options: "  # before the JSON; an import may print too
# Options whose values argparse does not know -> vLLM's lists of them, the newest first.
REGISTRIES = {
    "--reasoning-parser": (("vllm.reasoning", "ReasoningParserManager"),),
    "--tool-call-parser": (
        ("vllm.tool_parsers", "ToolParserManager"),
        ("vllm.entrypoints.openai.tool_parsers", "ToolParserManager"),
    ),
}


def kind_of(action: argparse.Action) -> str:
    """How an option takes values: `switch`, `append`, `list`, `json_list` (one word, a list as JSON), `json` (one word,
    a mapping as JSON), `optional` (at most one word) or `value`."""
    if action.nargs == 0:
        return "switch"
    if isinstance(action, argparse._AppendAction):
        return "append"
    if action.nargs in ("*", "+") or (isinstance(action.nargs, int) and action.nargs > 1):
        return "list"
    if isinstance(_read(action, '["a"]'), list):
        return "json_list"
    if isinstance(_read(action, '{"a": 1}'), dict):
        return "json"
    return "optional" if action.nargs == "?" else "value"


def is_number(action: argparse.Action) -> bool:
    """Whether an option takes numbers, apart from words such as `auto`."""
    found = _read(action, "1")
    if not isinstance(found, (int, float)) or isinstance(found, bool) or action.choices is not None:
        return False
    return all(_read(action, text) is None for text in ("x", "[1, 2]", '{"a": 1}'))


def _read(action: argparse.Action, text: str) -> Any:
    """What the option's own type makes of a text; None where it refuses the text."""
    if callable(action.type):
        with suppress(Exception):
            return action.type(text)
    return None


def choices(action: argparse.Action) -> list[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    for module, name in next((REGISTRIES[word] for word in action.option_strings if word in REGISTRIES), ()):
        with suppress(Exception):  # another version of vLLM
            return sorted(getattr(importlib.import_module(module), name).list_registered())
    return []


def table(parser: argparse.ArgumentParser) -> list[dict[str, Any]]:
    """Each option: its spellings on a command line, its kind, whether it takes numbers, and its choices if it has
    some."""
    return [
        {
            "options": [word for word, one in parser._option_string_actions.items() if one is action],
            "kind": kind_of(action),
            **({"number": True} if kind_of(action) == "value" and is_number(action) else {}),
            **({"choices": known} if (known := choices(action)) else {}),
        }
        for action in parser._actions
        if action.option_strings
    ]


def _serve_parser(parser: argparse.ArgumentParser) -> Optional[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices.get("serve")
    return None


def _print_table(parser: argparse.ArgumentParser, *_arguments: Any, **_named: Any) -> NoReturn:
    sys.stdout.write(MARK + json.dumps(table(_serve_parser(parser) or parser)) + "\n")
    raise SystemExit(0)


def main(omni: bool) -> None:
    script = shutil.which("vllm")
    if script is None:
        raise SystemExit("no program vllm is in this image")
    sys.path[0] = os.path.dirname(os.path.realpath(script))  # as if it ran by itself
    with suppress(ImportError):  # no GPU is in this container, and vLLM's defaults depend on the platform
        from vllm import platforms  # type: ignore[import-not-found, unused-ignore]  # only in the image

        if platforms.current_platform.is_unspecified():
            from vllm.platforms.cpu import CpuPlatform  # type: ignore[import-not-found, unused-ignore]

            platforms.current_platform = CpuPlatform()
    argparse.ArgumentParser.parse_known_args = _print_table  # type: ignore[assignment, method-assign]
    sys.argv = [script, "serve", "model", *(["--omni"] if omni else [])]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main("--omni" in sys.argv)
