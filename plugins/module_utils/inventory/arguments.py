# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A model's `args`: read into one spelling, checked, and written as words of `vllm serve`. Pure.

The rules are those of vLLM's FlexibleArgumentParser (vllm/utils/argparse_utils.py). The tables below are facts about
vLLM's options; tests/unit/inventory/test_arguments.py compares them with the options of each version in
tests/vllm_options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite, prod
from operator import itemgetter
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

Args = tuple[tuple[str, Any], ...]
Spellings = tuple[tuple[str, str], ...]  # long name of an option, perhaps with keys behind a dot -> as it was given

# Options of `vllm serve` that only the collection sets -> the reason, or what to use instead.
RESERVED = {
    "model": "set `source` instead",
    "served-model-name": "clients use the model's `name`",
    "host": "the container is reached inside the Docker network",
    "port": "the container is reached inside the Docker network",
    "api-key": "it would be visible in a command line; Caddy checks keys",
}
_TLS = "Caddy ends TLS; set fleet_https instead"
_NO_HTTP = "clients and checks need the HTTP port of the container, so the model would not become ready"
# Options that cannot work here, unless they are false -> the reason, or what to use instead.
REFUSED = {
    "config": "its options would not be checked; write them into `args`",
    "download-dir": "weights are in the cache of all models; set fleet_cache.path instead",
    "enable-ssl-refresh": _TLS,
    "grpc": _NO_HTTP,
    "headless": f"{_NO_HTTP}; a model runs on one host",
    "ssl-ca-certs": _TLS,
    "ssl-cert-reqs": _TLS,
    "ssl-certfile": _TLS,
    "ssl-ciphers": _TLS,
    "ssl-keyfile": _TLS,
    "uds": _NO_HTTP,
}
# Spellings of vLLM and vLLM-Omni for the same option -> its long name.
ALIASES = {
    "O": "optimization-level",
    "ac": "attention-config",
    "asc": "api-server-count",
    "cc": "compilation-config",
    "dac": "diffusion-attention-config",
    "dc": "diffusion-config",
    "dcp": "decode-context-parallel-size",
    "dp": "data-parallel-size",
    "dpa": "data-parallel-address",
    "dpb": "data-parallel-backend",
    "dpe": "data-parallel-external-lb",
    "dph": "data-parallel-hybrid-lb",
    "dpl": "data-parallel-size-local",
    "dpm": "data-parallel-multi-port-external-lb",
    "dpn": "data-parallel-rank",
    "dpp": "data-parallel-rpc-port",
    "dpr": "data-parallel-start-rank",
    "ep": "enable-expert-parallel",
    "n": "nnodes",
    "oma": "omni-master-address",
    "omp": "omni-master-port",
    "ora": "omni-replica-address",
    "pcp": "prefill-context-parallel-size",
    "pp": "pipeline-parallel-size",
    "q": "quantization",
    "r": "node-rank",
    "sc": "speculative-config",
    "tp": "tensor-parallel-size",
    "device-memory-utilization": "gpu-memory-utilization",
    "ring-degree": "ring",
    "ulysses-degree": "usp",
}
# Options that set a key of another option's mapping.
_PART_OF = {"spec-model": ("speculative-config", "model")}
# Options that take a list as one word of JSON. Other options take a word for each item.
JSON_LISTS = frozenset(
    ("allowed-headers", "allowed-methods", "allowed-origins", "custom-histogram-buckets", "device-ids")
)
REPEATED = frozenset(("middleware",))  # options that are repeated for each item
# Switches without a form `--no-x`: false leaves them out. The second group is vLLM-Omni's (0.22 and 0.30).
ONE_WAY = frozenset(
    (
        "aggregate-engine-logging",
        "data-parallel-multi-port-external-lb",
        "disable-log-stats",
        "grpc",
        "headless",
        #
        "diffusion-streaming-output",
        "disable-multithread-weight-load",
        "dlo-no-use-allgather",
        "dlo-use-allgather",
        "enable-ar-profiler",
        "enable-broadcast-weight-load",
        "enable-cache-dit-summary",
        "enable-cpu-offload",
        "enable-diffusion-pipeline-profiler",
        "enable-distributed-layerwise-offload",
        "enable-layerwise-offload",
        "enable-orch-monitor",
        "fa-deterministic",
        "force-cutlass-fp8",
        "log-stats",
        "omni",
        "step-execution",
        "use-hsdp",
        "vae-use-slicing",
        "vae-use-tiling",
    )
)

# Options that null and false leave out. The collection sets them for known families of models (inventory/families.py).
LEFT_OUT = frozenset(("reasoning-parser", "tool-call-parser"))

TENSOR = "tensor-parallel-size"
# The options whose values multiply to the number of GPUs, with vLLM-Omni's for image models.
SIZES = (
    TENSOR,
    "pipeline-parallel-size",
    "data-parallel-size",
    "prefill-context-parallel-size",
    "usp",
    "ring",
    "allgather-degree",
    "cfg-parallel-size",
)
# With these, vLLM-Omni reads the sizes of each stage from a file, or derives them.
_OWN_SIZES = ("stage-configs-path", "deploy-config", "strategy-config", "stage-overrides", "use-hsdp")
_ONE_RANK = ("data-parallel-rank", "data-parallel-external-lb")  # this container runs one of the data parallel ranks

_KEY = re.compile(r"([a-z0-9][a-z0-9_-]*|O)(\.[^\s.=]+)*")
_SCALARS = (str, bool, int, float, type(None))


def read_args(read: Fields) -> Args:
    """The key `args`, sorted by name: options by their long name with dashes, keys behind a dot as they are."""
    found: dict[str, Any] = {}
    written: dict[str, object] = {}
    for given, value in read.mapping("args", secret=True).items():
        path = f"args.{given}"
        if not _KEY.fullmatch(str(given)):
            read.fault(path, "expected an option of `vllm serve` without its dashes, such as max-model-len")
            continue
        key = long_name(str(given))
        if key.startswith("no-") and (value is True or value is None):
            key, value = key[3:], False
        if key in written:
            read.fault(path, f"is the same option as {written[key]}; give one of the two")
        written[key] = given
        fault = _name_fault(key.partition(".")[0], value)
        try:
            found[key] = value if fault else _parsed(key, value, read.at(path))
        except FleetError as error:
            read.faults += error.faults
        if fault:
            read.fault(path, fault)
    for key in found:
        option, dot, _rest = key.partition(".")
        if dot and option in found:
            read.fault(
                f"args.{written[option]}",
                f"has no effect beside args.{written[key]}; give one mapping, or only keys behind a dot",
            )
    return tuple(sorted(found.items(), key=itemgetter(0)))


def long_name(key: str) -> str:
    """`tokenizer_mode` as `tokenizer-mode`, `tp` as `tensor-parallel-size`, `cc.pass_config` as
    `compilation-config.pass_config`."""
    option, dot, rest = key.partition(".")
    option = option.replace("_", "-")
    return ALIASES.get(option, option) + dot + rest


def spellings(given: Any) -> Spellings:
    """How an inventory names options, where it has other names than the long ones, longest long name first."""
    found = []
    for key in map(str, given) if isinstance(given, Mapping) else ():
        option, *rest = long_name(key).split(".")
        option = option[3:] if option.startswith("no-") else option
        name = ".".join([*_PART_OF.get(option, (option,)), *rest])
        if name != key:
            found.append((name, key))
    return tuple(sorted(found, key=lambda pair: (-len(pair[0]), pair)))


def options(args: Args) -> dict[str, Any]:
    """Option -> value as vLLM reads it: JSON text and keys behind a dot as mappings."""
    found: dict[str, Any] = {}
    for key, value in args:
        option, *keys = key.split(".")
        option, *more = _PART_OF.get(option, (option,))
        if keys and keys[-1].endswith("+"):
            keys[-1] = keys[-1][:-1]
            value = value.split(",") if isinstance(value, str) else value
        elif keys or (isinstance(value, str) and value.lstrip().startswith(("{", "["))):
            value = from_json(value)
        for part in reversed([*more, *keys]):
            value = {part: value}
        found[option] = _merged(found.get(option), value)
    return found


def words(args: Args) -> list[str]:
    """The arguments of `vllm serve`."""
    return [word for key, value in args for word in _words(key, value)]


def tensor_parallel(args: Args, gpus: int) -> int:
    """The size of tensor parallelism that uses what the other sizes leave of a replica's GPUs."""
    given = dict(args)
    if TENSOR in given or any(option in given for option in _OWN_SIZES):
        return 1
    return gpus * _hosts(given) // (prod(_sizes(given).values()) or 1)


def size_faults(args: Args, gpus: int, device: str, omni: bool = False) -> Iterable[str]:
    """Faults of the parallel sizes, each without its path. gpus: whole GPUs or MIG devices of a replica.
    device: their name in messages. Without GPUs, only the sizes themselves are checked. omni: the sizes may leave
    GPUs, since vLLM-Omni may give the stages of a model GPUs of their own."""
    given = dict(args)
    bad = [option for option in (*SIZES, "data-parallel-size-local", "nnodes") if option in given]
    for option in bad:
        if _whole(given[option]) is None:
            yield f"{option}: expected a whole number of at least 1, got {show(given[option])}"
            return
    if not gpus or any(option in given for option in _OWN_SIZES) or _on_ray(given):
        return
    sizes = _sizes(given)
    product, hosts = prod(sizes.values()), _hosts(given)
    shown = " x ".join(f"{option} {size}" for option, size in sizes.items()) + (f", on {hosts} hosts" * (hosts > 1))
    whole = f"{gpus * hosts}, the {device} of a replica" + (f" on {hosts} hosts" * (hosts > 1))
    if TENSOR in given and product != gpus * hosts and not (omni and product < gpus * hosts):
        yield f": expected parallel sizes that multiply to {whole}, got {product} ({shown})"
    elif TENSOR not in given and gpus * hosts % product:
        yield f": expected parallel sizes that divide {whole}, got {product} ({shown})"


def _name_fault(option: str, value: object) -> Optional[str]:
    if option in RESERVED:
        return f"set by the collection; {RESERVED[option]}"
    if option in REFUSED:
        return None if value is False else f"is refused; {REFUSED[option]}"
    # argparse takes the beginning of a name for the name, so the collection would overlook the option.
    if len(option) > 2 and option not in SIZES:
        for name in (*RESERVED, *REFUSED, *SIZES):
            if name.startswith(option):
                return f"expected the whole name of an option; did you mean {name!r}?"
    return None


def _parsed(key: str, value: object, path: str) -> Any:
    """The value with the keys of mappings as text, as JSON has them."""
    if isinstance(value, (list, tuple)) and "." not in key and key not in JSON_LISTS:
        items = []
        for place, item in enumerate(value):
            if isinstance(item, bool) or not isinstance(item, (str, int, float, Mapping)):
                raise FleetError(f"{path}[{place}]: expected text, a number or a mapping, got {show(item)}")
            if str(item).startswith("-") and key not in REPEATED:
                raise FleetError(f"{path}[{place}]: {show(item)} begins with a dash, so vLLM would read an option")
            items.append(_plain(item, f"{path}[{place}]"))
        return items
    if isinstance(value, float) and "." not in key:
        return value  # a word of the command line, which may be nan or inf
    return _plain(value, path)


def _plain(value: object, path: str) -> Any:
    """Data that JSON can hold."""
    if isinstance(value, float) and not isfinite(value):
        raise FleetError(f"{path}: expected a number that JSON has, got {show(value)}")
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{place}]") for place, item in enumerate(value)]
    if not isinstance(value, Mapping):
        raise FleetError(f"{path}: expected text, a number, true, false, null, a list or a mapping, got {show(value)}")
    found: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, _SCALARS):
            raise FleetError(f"{path}: expected keys that are text or numbers, got {show(key)}")
        name = key if isinstance(key, str) else json.dumps(key)
        if name in found:
            raise FleetError(f"{path}.{name}: is given twice, as text and without quotes")
        found[name] = _plain(item, f"{path}.{name}")
    return found


def _words(key: str, value: Any) -> list[str]:
    if "." in key:  # vLLM reads JSON, else text
        if isinstance(value, list):
            key = key.rstrip("+")
        return _option(key, value if isinstance(value, str) else _json(value))
    if key in LEFT_OUT and (value is None or value is False):
        return []
    if value is None or value is True:
        return [f"--{key}"]
    if value is False:
        return [] if key in ONE_WAY or key.startswith("no-") else [f"--no-{key}"]
    if isinstance(value, Mapping) or (isinstance(value, list) and key in JSON_LISTS):
        return _option(key, _json(value))
    if not isinstance(value, list):
        return _option(key, str(value))
    items = [_json(item) if isinstance(item, Mapping) else str(item) for item in value]
    if key in REPEATED:
        return [word for item in items for word in _option(key, item)]
    return [f"--{key}", *items] if items else []  # vLLM leaves an empty list of its YAML configuration out too


def _option(key: str, text: str) -> list[str]:
    """vLLM would read a word that begins with a dash as an option: `-0.5` as one with a key behind a dot."""
    return [f"--{key}={text}"] if text.startswith("-") else [f"--{key}", text]


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def from_json(value: Any) -> Any:
    """Text that is JSON, as its value; anything else unchanged."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):  # such as a chat template, {{ ... }}
            return json.loads(value)
    return value


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _whole(value: object) -> Optional[int]:
    """A number of at least 1, also as text."""
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else None


def _sizes(given: Mapping[str, Any]) -> dict[str, int]:
    """The given sizes that count on this container's hosts. Sizes that are no number count as 1."""
    sizes = {option: _whole(given[option]) or 1 for option in SIZES if option in given}
    if "data-parallel-size" in sizes and _hosts(given) == 1:
        if any(option in given and given[option] is not False for option in _ONE_RANK):
            del sizes["data-parallel-size"]
        elif "data-parallel-size-local" in given:
            sizes["data-parallel-size"] = _whole(given["data-parallel-size-local"]) or 1
    return sizes


def _hosts(given: Mapping[str, Any]) -> int:
    return _whole(given.get("nnodes")) or 1


def _on_ray(given: Mapping[str, Any]) -> bool:
    """Whether Ray places the ranks, on hosts that the collection does not know."""
    return "ray" in (given.get("distributed-executor-backend"), given.get("data-parallel-backend"))
