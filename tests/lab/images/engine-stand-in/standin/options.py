"""The options of vLLM, so that the collection can ask the stand-in for them; only those that `vllm` reads have an
effect, and unknown parsers are refused. options.json is a copy of tests/vllm_options/vllm-0.31.0.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

OMNI = ["--omni", "--deploy-config", "--stage-configs-path", "--usp", "--ring", "--cfg-parallel-size"]
"""Some options of vLLM-Omni."""


def add_to(parser: argparse.ArgumentParser) -> None:
    for option in json.loads(Path(__file__).with_name("options.json").read_text()):
        spellings = [
            word for word in option["options"] if not word.startswith("--no-") and word not in ("-h", "--help")
        ]
        if spellings:
            parser.add_argument(*spellings, **_kind(option))
    parser.add_argument(OMNI[0], action="store_true")
    for spelling in OMNI[1:]:
        parser.add_argument(spelling)


def _kind(option: dict[str, object]) -> dict[str, object]:
    kind = option["kind"]
    if kind == "switch":
        negated = any(str(word).startswith("--no-") for word in option["options"])  # type: ignore[attr-defined]
        return {"action": argparse.BooleanOptionalAction if negated else "store_true"}
    if kind == "append":
        return {"action": "append"}
    if kind in ("json", "json_list"):
        return {"type": json.loads}
    parsers = option.get("choices") if str(option["options"][0]).endswith("-parser") else None  # type: ignore[index]
    return {"nargs": {"list": "*", "optional": "?"}.get(str(kind)), "choices": parsers}
