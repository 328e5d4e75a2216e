"""What `vllm serve` makes of a command line, by a table of its options: our own reading of vLLM's parser, without vLLM.

`compare.py` asks vLLM's own parser about the same command lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
VERSIONS = tuple(sorted(path.stem.removeprefix("vllm-") for path in HERE.glob("vllm-*.json")))

Table = dict[str, dict[str, Any]]


class Refused(Exception):
    """vLLM would refuse the command line."""


def table(version: str) -> Table:
    """Spelling -> option."""
    listed = json.loads((HERE / f"vllm-{version}.json").read_text())
    return {spelling: option for option in listed for spelling in option["options"]}


def recipes() -> list[dict[str, Any]]:
    """Without `--headless`, which the collection refuses: such a container serves nothing."""
    found = list(yaml.safe_load((HERE / "recipes.yml").read_text()))
    for recipe in found:
        recipe["command"] = re.sub(r"--headless\b", "", recipe["command"])
        recipe["args"].pop("headless", None)
    return found


def parsed(words: list[str], known: Table) -> dict[str, Any]:
    """First spelling of each option -> its value. Raises Refused."""
    found: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for word, values in _options(words, known):
        spelling, dot, keys = word.partition(".")
        option = known[spelling]
        name = option["options"][0]
        if dot:
            if len(values) != 1:
                raise Refused(f"{word}: takes one value, got {values}")
            _put(nested.setdefault(name, {}), keys, values[0])
        elif option["kind"] == "append":
            found[name] = [*found.get(name, []), *_one(word, values)]
        else:
            found[name] = _value(word, spelling, option, values)
    return {**found, **nested}


def _options(words: list[str], known: Table) -> Iterator[tuple[str, list[str]]]:
    """Options with the words that belong to them."""
    open_option: tuple[str, list[str]] | None = None
    for given in words:
        word, equals, value = given.partition("=") if given.startswith("-") else (given, "", "")
        option, dot, rest = word.partition(".")
        word = (option.replace("_", "-") if option.startswith("--") else option) + dot + rest
        if re.fullmatch(r"-O[0-3]", word):
            word, equals, value = "--optimization-level", "=", word[2:]
        if not given.startswith("-") or (re.fullmatch(r"-\d+", given) and open_option):
            if open_option is None:
                raise Refused(f"{given}: belongs to no option")
            open_option[1].append(given)
            continue
        if open_option:
            yield open_option
        if word.partition(".")[0] not in known:
            raise Refused(f"{word}: unknown option")
        open_option = (word, [value] if equals else [])
    if open_option:
        yield open_option


def _value(word: str, spelling: str, option: dict[str, Any], values: list[str]) -> Any:
    kind = option["kind"]
    if kind == "switch":
        if values:
            raise Refused(f"{word}: takes no value, got {values}")
        off = spelling.startswith("--no-") and "--" + spelling[5:] in option["options"]
        return not (off or (spelling.startswith("--disable-") and "--enable-" + spelling[10:] in option["options"]))
    if kind == "list":
        return [_leaf(value) for value in values]
    if kind == "optional" and not values:
        return True
    (value,) = _one(word, values)
    # An unknown parser is refused later than other choices, and a plugin may have it.
    if not spelling.endswith("-parser") and value not in option.get("choices", [value]):
        raise Refused(f"{word}: {value} is none of {option['choices']}")
    if kind in ("json", "json_list"):
        try:
            return json.loads(value)
        except ValueError as error:
            if kind == "json_list":
                raise Refused(f"{word}: {value} is no JSON") from error
    return _leaf(value)


def _one(word: str, values: list[str]) -> list[str]:
    if len(values) != 1:
        raise Refused(f"{word}: takes one value, got {values}")
    return values


def _put(target: dict[str, Any], keys: str, value: str) -> None:
    *folders, last = keys.rstrip("+").split(".")
    for folder in folders:
        target = target.setdefault(folder, {})
    read = value.split(",") if keys.endswith("+") else _leaf(value)
    both = isinstance(read, list) and isinstance(target.get(last), list)
    target[last] = [*target[last], *read] if both else read


def _leaf(text: str) -> Any:
    """JSON, or text. `True` is what pydantic makes of the text in a field that is true or false."""
    try:
        return json.loads({"True": "true", "False": "false"}.get(text, text))
    except ValueError:
        return text
