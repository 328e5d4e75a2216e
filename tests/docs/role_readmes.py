"""Writes the README of every role from its meta/argument_specs.yml: python tests/docs/role_readmes.py [--check].

With --check nothing is written; READMEs that differ are named, and the exit code is 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "tests/docs/role_readmes.py"
HEAD = f"<!-- Written by {SCRIPT} from meta/argument_specs.yml: edit that file, then run the script. -->"
CODE = re.compile(r"\b(?:C|V|O|M|RV)\(([^()]*)\)")
OTHER_MARKUP = re.compile(r"\b[A-Z]{1,2}\([^()]*\)")


def main(arguments: list[str]) -> int:
    stale = {file: text for file, text in readmes(ROOT / "roles") if not file.exists() or file.read_text() != text}
    for file, text in stale.items():
        if "--check" in arguments:
            print(f"{file.relative_to(ROOT)}: not what {SCRIPT} makes of meta/argument_specs.yml; run it")
        else:
            file.write_text(text)
            print(f"wrote {file.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


def readmes(roles: Path) -> Iterator[tuple[Path, str]]:
    for specs in sorted(roles.glob("*/meta/argument_specs.yml")):
        role = specs.parents[1]
        yield role / "README.md", readme(role.name, yaml.safe_load(specs.read_text())["argument_specs"])


def readme(role: str, entry_points: dict[str, Any]) -> str:
    main_first = sorted(entry_points.items(), key=lambda item: item[0] != "main")
    parts = [HEAD, f"# inference.fleet.{role}"]
    for name, spec in main_first:
        if name != "main":
            parts += [f"## Entry point `{name}`", f"Used with `tasks_from: {name}`."]
        parts += [f"**{markdown(spec['short_description'])}**", *paragraphs(spec.get("description", []))]
        if spec.get("options"):
            heading = "##" if name == "main" else "###"
            parts += [f"{heading} Variables", "\n".join(option_lines(spec["options"]))]
    parts += ["---", f"`ansible-doc -t role inference.fleet.{role}` prints the same. License: GPL-3.0-or-later."]
    return "\n\n".join(parts) + "\n"


def option_lines(options: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, spec in options.items():
        about = [f"list of {spec['elements']}" if "elements" in spec else spec["type"]]
        if spec.get("required"):
            about.append("required")
        if "choices" in spec:
            about.append("one of " + ", ".join(value(choice) for choice in spec["choices"]))
        if "default" in spec:
            about.append(f"default {value(spec['default'])}")
        yield f"{indent}- `{name}` ({', '.join(about)}): {' '.join(paragraphs(spec['description']))}"
        yield from option_lines(spec.get("options", {}), indent + "  ")


def value(of: Any) -> str:
    return f"`{of if isinstance(of, str) else json.dumps(of)}`"


def paragraphs(description: str | list[str]) -> list[str]:
    return [markdown(text) for text in ([description] if isinstance(description, str) else description)]


def markdown(text: str) -> str:
    """Ansible's markup as Markdown. ValueError for markup that no role uses yet, such as L(text,url)."""
    plain_and_code = CODE.split(text)
    for at, part in enumerate(plain_and_code):
        if at % 2:
            plain_and_code[at] = f"`{part}`"
        elif unknown := OTHER_MARKUP.search(part):
            raise ValueError(f"markup that {SCRIPT} does not know: {unknown[0]}")
        else:
            plain_and_code[at] = re.sub(r"([<*])", r"\\\1", part)
    return "".join(plain_and_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
