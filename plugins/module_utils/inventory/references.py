# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a model names outside its own weights: adapters, draft models, tokenizers, templates, plugins. Pure.

The options are those of vLLM 0.22 to 0.33 and vLLM-Omni 0.30 (vllm/engine/arg_utils.py,
vllm/entrypoints/common/cli_args.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import Args, from_json, options
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import clean_path
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import show

Adapters = tuple[tuple[str, str], ...]  # name -> hub repository or folder on the host, sorted by name

FILE, FOLDER, ADAPTER = "file", "folder", "adapter"
ADAPTER_NAME = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_LORA_MODULES = "lora-modules"
_MEDIA = "allowed-local-media-path"
_MAPPINGS = ("speculative-config", "hf-overrides", "default-mm-loras")
# Option (and key in its mapping) -> the kind of a host path in it.
_PATHS = {
    ("chat-template",): FILE,
    ("tool-parser-plugin",): FILE,
    ("reasoning-parser-plugin",): FILE,
    ("structured-outputs-config", "reasoning_parser_plugin"): FILE,
    ("mm-encoder-fp8-scale-path",): FILE,
    ("stage-configs-path",): FILE,
    ("deploy-config",): FILE,
    ("strategy-config",): FILE,
    ("log-config-file",): FILE,
    ("tokenizer",): FOLDER,
    ("hf-config-path",): FOLDER,
    ("generation-config",): FOLDER,
    (_MEDIA,): FOLDER,
    ("speculative-config", "model"): FOLDER,
}
_IN_THE_CONTAINER = ("/vllm-workspace/", "/root/.cache/")  # vllm/vllm-openai's working folder; the cache's mount
# What an image, the kernel or the collection has there itself: a mount would hide it.
_OF_THE_IMAGE = re.compile(
    r"/|/(etc|opt|root|run|tmp|usr|var|vllm-workspace)"
    r"|/(bin|boot|lib\d*|libx32|sbin|proc|sys|dev(?!/shm/.)|run/secrets|var/run)(/.*)?"
    r"|/etc/[^/]+|/etc/(ld\.so\.conf\.d|pki|ssl)/.*"
    r"|/usr/(?!(local|share)/).*|/usr/local/(share|(bin|cuda[^/]*|etc|include|lib\d*|sbin|src)(/.*)?)"
    r"|/var/(backups|cache|lib|local|lock|log|mail|opt|spool|tmp)"
    r"|/opt/(nvidia|rocm[^/]*|venv)(/.*)?"
    r"|/root/\.cache(/huggingface|/vllm)?"
)
# huggingface_hub, utils/_validators.py: `.` and `-` are inside a name, and not doubled.
_NAME = r"(?![^/]*(--|\.\.))\w([\w.-]*\w)?"
REPOSITORY = f"{_NAME}/{_NAME}"
SOURCE = rf"/[^\0\r\n:]*|{_NAME}(/{_NAME})?"
ADAPTER_SOURCE = rf"/[^\0\r\n:,]*|{REPOSITORY}"


@dataclass(frozen=True)
class HostPath:
    """A file or folder of the host that a model's containers read, under the same path.

    key: its place in the model's entry. kind: FILE, FOLDER, or ADAPTER (a folder with adapter_config.json).
    """

    key: str
    path: str
    kind: str


def is_repository(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(REPOSITORY, value))


def adapters_in(args: Args) -> Adapters:
    """The adapters in `lora-modules`, without those that have faults."""
    modules = _modules(options(args).get(_LORA_MODULES))
    return tuple(sorted((name, source) for _place, name, source in modules if name and source))


def further_adapters(args: Args) -> list[str]:
    """The sources in `default-mm-loras`, which vLLM uses by itself for a kind of input."""
    given = options(args).get("default-mm-loras")
    return [source for source in given.values() if isinstance(source, str)] if isinstance(given, Mapping) else []


def code_repositories(args: Args) -> list[str]:
    """The repositories whose code `hf-overrides` names, as in `{auto_map: {AutoModel: owner/name--file.Class}}`."""
    overrides = options(args).get("hf-overrides")
    classes = overrides.get("auto_map") if isinstance(overrides, Mapping) else None
    named = [text for text in classes.values() if isinstance(text, str)] if isinstance(classes, Mapping) else []
    found = [text.partition("--")[0] for text in named if "--" in text]
    return [repository for repository in dict.fromkeys(found) if is_repository(repository)]


def host_paths(source: str, args: Args, adapters: Adapters) -> tuple[HostPath, ...]:
    """What containers read from the host. Of the container are relative paths, paths below `_IN_THE_CONTAINER`, and
    `allowed-local-media-path: /`, as in some recipes."""
    given = options(args)
    weights = [HostPath("source", source, FOLDER)] if source.startswith("/") else []
    found: list[tuple[str, Any, str]] = []
    for (option, *keys), kind in _PATHS.items():
        value = given.get(option)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if (option, value) != (_MEDIA, "/"):
            found.append((".".join(["args", option, *keys]), value, kind))
    found += [(f"adapters.{name}", source, ADAPTER) for name, source in adapters]
    found += [(f"args.{_LORA_MODULES}", source, ADAPTER) for _name, source in adapters_in(args)]
    found += [("args.default-mm-loras", source, ADAPTER) for source in further_adapters(args)]
    return (
        *weights,
        *(HostPath(key, clean_path(value), kind) for key, value, kind in found if _is_on_the_host(value)),
    )


def hiding_fault(one: HostPath) -> Optional[str]:
    """Why the path cannot be mounted."""
    if not _OF_THE_IMAGE.fullmatch(one.path):
        return None
    if one.kind == FILE:
        return (
            f"{one.path} would hide a file of the image; copy the file into a folder of its own, such as /srv/models, "
            f"or name a file of the image by a relative path, such as ..{one.path}"
        )
    return f"{one.path} would hide a folder of the image; use a folder of its own, such as /srv/models"


def reference_faults(args: Args, adapters: Adapters) -> Iterator[tuple[str, str]]:
    """Key of the model's entry -> fault."""
    given = options(args)
    for option in _MAPPINGS:
        if option in given and not isinstance(given[option], Mapping):
            yield f"args.{option}", f"expected a mapping or its JSON text, got {show(given[option])}"
    for place, name, path in _modules(given.get(_LORA_MODULES)):
        if not name or not path or not re.fullmatch(ADAPTER_NAME, name):
            yield (
                f"args.{_LORA_MODULES}{place}",
                "expected NAME=SOURCE or {name: NAME, path: SOURCE}; or use `adapters`",
            )
    if adapters and _LORA_MODULES in given:
        yield f"args.{_LORA_MODULES}", "has no effect beside `adapters`; write all adapters into `adapters`"
    if (adapters or adapters_in(args)) and given.get("enable-lora") is False:
        yield "args.enable-lora", "expected true (the default if there are adapters), got False"


def _modules(value: Any) -> Iterator[tuple[str, Optional[str], Optional[str]]]:
    """Place, name and source of each entry of `lora-modules`; None for a part that is missing."""
    items = [] if value is None else value if isinstance(value, (list, tuple)) else [value]
    for index, item in enumerate(items):
        item = from_json(item)
        name: Any = None
        path: Any = None
        if isinstance(item, str) and "," not in item:
            name, _equals, path = item.partition("=")
        elif isinstance(item, Mapping):
            name, path = item.get("name"), item.get("path")
        place = f"[{index}]" if isinstance(value, (list, tuple)) else ""
        yield place, _text(name), _text(path)


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and value else None


def _is_on_the_host(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"/[^\0\r\n]*", value):
        return False
    return not clean_path(value).startswith(_IN_THE_CONTAINER)
