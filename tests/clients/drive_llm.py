"""`llm` by Simon Willison, the program itself, with extra-openai-models.yaml and a key in its keys.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from driver import PNG, QUESTION, Target, drive, errors, fits, in_parts

PROGRAM = Path(sys.executable).with_name("llm")


class Failed(Exception):
    """`llm` ended with a status other than 0, and these words."""


def settings(target: Target, key: str) -> dict[str, str]:
    """The environment that has `llm` find its models and the key."""
    folder = Path(tempfile.mkdtemp(prefix="llm-"))
    able = {"supports_tools": True, "supports_schema": True, "vision": True}
    models = [
        {"model_id": use, "model_name": name, "api_base": target.base, "api_key_name": "fleet", **able}
        for use, name in target.models.items()
    ]
    (folder / "extra-openai-models.yaml").write_text(json.dumps(models))  # JSON is YAML, too
    (folder / "keys.json").write_text(json.dumps({"fleet": target.keys[key]}))
    return {**os.environ, "LLM_USER_PATH": str(folder)}


def ask(
    target: Target, *arguments: str, key: str = "good", model: str = "chat", content: str = QUESTION, **options: int
) -> str:
    more = [text for name, value in options.items() for text in ("-o", name, str(value))]
    command = [PROGRAM, "prompt", "--no-log", "--no-stream", "-m", model, *arguments, *more]
    ended = subprocess.run(command, input=content, env=settings(target, key), capture_output=True, text=True)
    if ended.returncode:
        raise Failed(ended.stderr.strip())
    return ended.stdout


def chat(target: Target) -> None:
    assert len(ask(target, max_tokens=8).split()) == 8


def streaming(target: Target) -> None:
    command = [PROGRAM, "prompt", "--no-log", "-m", "slow", "-o", "max_tokens", "8", QUESTION]
    with subprocess.Popen(command, env=settings(target, "good"), stdout=subprocess.PIPE) as process:
        assert process.stdout
        in_parts(iter(lambda: os.read(process.stdout.fileno(), 1000), b""))


def tools(target: Target) -> None:
    """It calls the function, and gives the model what it returned."""
    function = "def weather(city: str, degrees: int) -> str:\n    return f'{degrees} in {city}'"
    told = ask(target, "--functions", function, "--td", max_tokens=200)
    assert told.strip(), told


def json_schema(target: Target) -> None:
    fits(ask(target, "--schema", "city, degrees int"))


def images_as_input(target: Target) -> None:
    file = Path(tempfile.mkdtemp(prefix="llm-")) / "a.png"
    file.write_bytes(PNG)
    assert f"{len(PNG)} bytes" in ask(target, "-a", str(file), model="vision")


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "JSON schema": json_schema,
            "images as input": images_as_input,
            # It repeats what is refused for now, and has no setting against it: too slow for a test.
            **{name: errors(ask)[name] for name in ("wrong key", "unknown model", "bad request")},
        }
    )
