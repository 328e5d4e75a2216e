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
ADAPTER_NAME = r"(?!.*/\.{0,2}/)[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
LORA_MODULES = "lora-modules"
_MM_LORAS = "default-mm-loras"
_MEDIA = "allowed-local-media-path"
_MAPPINGS = ("speculative-config", "hf-overrides", _MM_LORAS)
DRAFT = "speculative-config.model"
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
# Outside of /root, which an image with a user of its own cannot enter.
CACHE_MOUNT = "/var/cache/inference-fleet"
_IN_THE_CONTAINER = ("/vllm-workspace/", f"{CACHE_MOUNT}/")  # vllm/vllm-openai's working folder; the cache
# What an image, the kernel or the collection has there itself: a mount would hide it.
_OF_THE_IMAGE = re.compile(
    r"/|/(etc|opt|root|run|tmp|usr|var|vllm-workspace)"
    r"|/(bin|boot|lib\d*|libx32|sbin|proc|sys|dev(?!/shm/.)|run/secrets|var/run)(/.*)?"
    r"|/etc/[^/]+|/etc/(ld\.so\.conf\.d|pki|ssl)/.*"
    r"|/usr/(?!(local|share)/).*|/usr/local/(share|(bin|cuda[^/]*|etc|include|lib\d*|sbin|src)(/.*)?)"
    r"|/var/(backups|cache|lib|local|lock|log|mail|opt|spool|tmp)"
    r"|/opt/(nvidia|rocm[^/]*|venv)(/.*)?"
    rf"|{CACHE_MOUNT}(/.*)?"
)
# huggingface_hub, utils/_validators.py: `.` and `-` are inside a name, and not doubled.
_NAME = r"(?![^/]*(--|\.\.))\w([\w.-]*\w)?"
_REPOSITORY = f"{_NAME}(/{_NAME})?"
SOURCE = (
    rf"/[^\0\r\n:]*|{_REPOSITORY}",
    "a hub repository such as Qwen/Qwen3-8B, or an absolute path on the host without a colon",
)
ADAPTER_SOURCE = (
    rf"/[^\0\r\n:,]*|{_NAME}/{_NAME}",
    "a hub repository such as owner/adapter, or an absolute path on the host without a colon or comma",
)
_IN_THE_IMAGE = r"\.\.?/[^\0\r\n]*"
# vllm/config/speculative.py: methods without a draft model, also accepted in its place; custom_class has a class there.
_NO_DRAFT = ("ngram", "[ngram]", "ngram_gpu", "suffix", "extract_hidden_states", "custom_class")
_NO_FOLDER = ("auto", "vllm")  # what generation-config may be instead


@dataclass(frozen=True)
class HostPath:
    """A file or folder of the host that a model's containers read, under the same path.

    key: its place in the model's entry. kind: FILE, FOLDER, or ADAPTER (a folder with adapter_config.json).
    """

    key: str
    path: str
    kind: str


def is_repository(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(_REPOSITORY, value))


def named_sources(args: Args) -> dict[str, Any]:
    """Option, or option and key behind a dot -> the repository or folder that it names, whatever it is."""
    given = options(args)
    found: dict[str, Any] = {
        option: given[option] for option in ("tokenizer", "hf-config-path", "generation-config") if option in given
    }
    if found.get("generation-config") in _NO_FOLDER:
        del found["generation-config"]
    config = given.get("speculative-config")
    draft = config.get("model") if isinstance(config, Mapping) and config.get("method") not in _NO_DRAFT else None
    if draft is not None and draft not in _NO_DRAFT:
        found[DRAFT] = draft
    return found


def adapters_in(args: Args) -> Adapters:
    """The adapters in `lora-modules`, without those that have faults."""
    modules = _modules(options(args).get(LORA_MODULES))
    return tuple(sorted((name, source) for _place, name, source in modules if name and source and _is_adapter(source)))


def further_adapters(args: Args) -> list[str]:
    """The sources in `default-mm-loras`, which vLLM uses by itself for a kind of input."""
    given = options(args).get(_MM_LORAS)
    return list(filter(_is_adapter, given.values())) if isinstance(given, Mapping) else []


def code_repositories(args: Args) -> list[str]:
    """What `hf-overrides` names as repositories of code: `{auto_map: {AutoModel: owner/name--file.Class}}`. A tokenizer
    has a list of two classes, of which one may be null."""
    found = [text.partition("--")[0] for text in _classes(options(args).get("hf-overrides")) if "--" in text]
    return list(dict.fromkeys(found))


def _classes(overrides: Any, inside: bool = False) -> Iterator[str]:
    """The texts in each `auto_map` of a mapping, also of mappings in it."""
    if isinstance(overrides, str) and inside:
        yield overrides
    elif isinstance(overrides, Mapping):
        for key, value in overrides.items():
            yield from _classes(value, inside or key == "auto_map")
    elif isinstance(overrides, (list, tuple)):
        for value in overrides:
            yield from _classes(value, inside)


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
    found += [(f"args.{LORA_MODULES}", source, ADAPTER) for _name, source in adapters_in(args)]
    found += [(f"args.{_MM_LORAS}", source, ADAPTER) for source in further_adapters(args)]
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
    for option, value in named_sources(args).items():
        if not isinstance(value, str) or not re.fullmatch(f"{SOURCE[0]}|{_IN_THE_IMAGE}", value):
            yield f"args.{option}", f"expected {SOURCE[1]}, got {show(value)}"
    for name in code_repositories(args):
        if not is_repository(name):
            yield "args.hf-overrides", f"expected owner/name--file.Class in auto_map, got {show(name + '--...')}"
    loras = given.get(_MM_LORAS)
    for kind, value in loras.items() if isinstance(loras, Mapping) else ():
        if not _is_adapter(value):
            yield f"args.{_MM_LORAS}.{kind}", f"expected {ADAPTER_SOURCE[1]}, got {show(value)}"
    yield from _module_faults(dict(args).get(LORA_MODULES), given.get(LORA_MODULES))
    if adapters and LORA_MODULES in given:
        yield f"args.{LORA_MODULES}", "has no effect beside `adapters`; write all adapters into `adapters`"
    if (adapters or adapters_in(args)) and given.get("enable-lora") is False:
        yield "args.enable-lora", "expected true (the default if there are adapters), got False"


def _module_faults(written: Any, value: Any) -> Iterator[tuple[str, str]]:
    """written: as in `args`. value: as `options` has it."""
    if isinstance(written, str) and re.match(r"\[|[^{]*\s", written.strip()):
        yield f"args.{LORA_MODULES}", f"expected one adapter or a list, got {show(written)}; write several as a list"
        return
    for place, name, source in _modules(value):
        key = f"args.{LORA_MODULES}{place}"
        if not name or not source or not re.fullmatch(ADAPTER_NAME, name):
            yield key, "expected NAME=SOURCE or {name: NAME, path: SOURCE}; or use `adapters`"
        elif not _is_adapter(source) or re.search(r"\s\S*=", source):
            yield key, f"expected {ADAPTER_SOURCE[1]}, got {show(source)}"


def _is_adapter(source: Any) -> bool:
    return isinstance(source, str) and bool(re.fullmatch(ADAPTER_SOURCE[0], source))


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
