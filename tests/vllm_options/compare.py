"""Asks vLLM's own parser whether pairs of command lines mean the same. Runs beside vLLM: standard library only.

Reads [{"name": …, "theirs": [word, …], "ours": [word, …]}, …] as JSON. Prints a line for each pair that differs, then
a line with the number of pairs that are equal; ends with 1 if one differs. A pair whose first line this vLLM refuses
is counted apart: the recipe is for another version.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn


class Caught(BaseException):
    """Carries the parser out of vLLM's own program."""


def vllm_parser() -> argparse.ArgumentParser:
    script = shutil.which("vllm")
    assert script, "no program vllm"
    sys.path[0] = str(Path(script).resolve().parent)  # as if it ran by itself
    own = argparse.ArgumentParser.parse_known_args

    def catch(parser: argparse.ArgumentParser, *_arguments: Any, **_named: Any) -> NoReturn:
        raise Caught(parser)

    sys.argv = [script, "serve", "model"]
    argparse.ArgumentParser.parse_known_args = catch  # type: ignore[assignment, method-assign]
    try:
        runpy.run_path(script, run_name="__main__")
    except Caught as caught:
        return caught.args[0]  # type: ignore[no-any-return]
    finally:
        argparse.ArgumentParser.parse_known_args = own  # type: ignore[method-assign]
    raise AssertionError("vllm read no command line")


def read(parser: argparse.ArgumentParser, words: list[str]) -> tuple[dict[str, Any], str]:
    """The options, or the parser's own error."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return vars(parser.parse_args(["serve", "model", *words])), ""
    except (SystemExit, ValueError) as error:
        return {}, (said.getvalue().strip().splitlines() or [str(error)])[-1]


def main() -> None:
    with contextlib.suppress(ImportError):
        from vllm import platforms  # type: ignore[import-not-found, unused-ignore]

        if platforms.current_platform.is_unspecified():
            from vllm.platforms.cpu import CpuPlatform  # type: ignore[import-not-found, unused-ignore]

            platforms.current_platform = CpuPlatform()
    parser = vllm_parser()
    equal, other, wrong = 0, [], []
    for pair in json.load(sys.stdin):
        theirs, refusal = read(parser, pair["theirs"])
        if refusal:
            other.append(f"{pair['name']}: {refusal}")
            continue
        ours, refusal = read(parser, pair["ours"])
        differing = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
        if refusal:
            wrong.append(f"{pair['name']}: ours is refused: {refusal}")
        elif differing:
            pairs = [f"{key}: {theirs.get(key)!r}, ours {ours.get(key)!r}" for key in differing]
            wrong.append(f"{pair['name']}: " + "; ".join(pairs))
        else:
            equal += 1
    for line in other:
        print(f"for another version: {line}")
    for line in wrong:
        print(f"DIFFERS: {line}")
    print(f"{equal} equal, {len(wrong)} differ, {len(other)} for another version")
    sys.exit(bool(wrong) or not equal)


if __name__ == "__main__":
    main()
