# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One entry of `fleet_models`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import itemgetter
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import (
    TENSOR,
    Args,
    Spellings,
    read_args,
    size_faults,
    spellings,
    tensor_parallel,
    words,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.families import family_args
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import IMAGE_REFERENCE, OMNI_TYPES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT, MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device
from ansible_collections.inference.fleet.plugins.module_utils.inventory.offer import Price, price_fault
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import (
    NUMBER,
    Fields,
    below,
    clean_path,
    is_whole,
    plain,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import (
    ADAPTER_NAME,
    ADAPTER_SOURCE,
    CACHE_MOUNT,
    FILE,
    LORA_MODULES,
    SOURCE,
    Adapters,
    HostPath,
    adapters_in,
    hiding_fault,
    host_paths,
    reference_faults,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show, unquoted

TYPES = ("chat", "vision", "embedding", "rerank", "stt", "tts", "image")
DIRECT_TYPES = ("stt", "tts", "image")  # have the direct route too, without `direct: true`
STATES = ("running", "stopped", "absent")
# More than any host has: eight GPUs of seven MIG devices, 16 GPUs. Containers, plans and messages are made from them.
MOST_REPLICAS = MOST_GPUS = 64
LONGEST_TIMEOUT = 7 * 86400
DRAIN_SECONDS = 120
NEXT, PREVIOUS = "-next", "-previous"  # of the names of containers, while one replaces another (engine/replacing.py)
# Of containers with an engine. Root in them may read files of every owner, such as weights with mode 0600, and has no
# other right. (Not DAC_READ_SEARCH: with it, a container opens files of the host by their handles.)
CAPABILITIES = ("DAC_OVERRIDE",)
MOST_PROCESSES = 16384  # of a container, threads included: 8 GPUs on a host with 192 cores need some thousands
INNER_PORT, METRICS_PORT = 9080, 9180  # of Caddy, for LiteLLM and for Prometheus alone; not published either
WATCHERS = ("grafana", "prometheus", "node-exporter", "blackbox-exporter", "dcgm-exporter")
OF_A_CHANGE = ("litellm-next", "litellm-migrations", "litellm-settings")  # exist while LiteLLM changes
SERVICES = (
    "caddy",
    *WATCHERS,
    "litellm",
    *OF_A_CHANGE,
    "postgres",
)  # in the order of their removal, clients' side first

_IN_THE_CACHE = "weights are in the cache of all models; fleet_cache.path sets another folder on the host"
# Environment variables of model containers that only the collection sets -> what to use instead.
OWN_ENV = {
    **dict.fromkeys(("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"), _IN_THE_CACHE),
    "NVIDIA_VISIBLE_DEVICES": "set `devices` instead",
    "VLLM_API_KEY": "Caddy checks keys",
}
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LONGEST_DNS_LABEL = 63  # RFC 1035, section 2.3.4
_SIZE = r"[1-9][0-9]{0,5}[kmg]"
_LEAST_MEMORY = 256 << 20  # no vLLM starts with less
# For vLLM an empty list means every domain. No URL has a host with a slash.
_DOMAINS, _NO_DOMAIN = "allowed-media-domains", "none/"
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# Not TOKENIZERS_PARALLELISM or MAX_TOKENS: Ansible would mask every `false` or `1` in the output.
_SECRET_NAME = re.compile(
    r"TOKEN(?!S|IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|PRIVATE"
    r"|(^|_|API|ACCESS)KEY(_|$)|(^|_)(PASS|DSN|DATABASE_URL)(_|$)",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"://[^/@\s]*@")  # in a URL


@dataclass(frozen=True)
class Devices:
    """The devices of one replica. Exactly one of the four is set.

    count: number of GPUs, chosen by the collection. pinned: GPU indices of nvidia-smi.
    mig: the name of a MIG device. cpu: no device.
    """

    count: int = 0
    pinned: tuple[int, ...] = ()
    mig: Optional[str] = None
    cpu: bool = False

    @classmethod
    def parse(cls, data: object, path: str) -> Devices:
        with Fields(data, path) as read:
            given = [key for key in ("gpus", "mig", "cpu") if read.has(key) and read.raw(key) is not False]
            if isinstance(data, Mapping) and len(given) != 1:
                read.faults.append(
                    f"{path}: expected exactly one of {{gpus: N}}, {{gpus: [i, ...]}}, {{mig: PROFILE}}, {{cpu: true}}"
                    f", got {' and '.join(given) or 'none of them'}"
                )
            gpus = read.nested("gpus", _parse_gpus, cls())
            mig = read.nested("mig", lambda data, path: str(Device.parse(data, path)), None)
            return cls(count=gpus.count, pinned=gpus.pinned, mig=mig, cpu=read.flag("cpu"))

    def plain(self) -> dict[str, Any]:
        """The devices in the form of an inventory."""
        if self.cpu:
            return {"cpu": True}
        return {"mig": self.mig} if self.mig else {"gpus": self.count or list(self.pinned)}

    @property
    def gpus_per_replica(self) -> int:
        """Whole GPUs that one replica holds."""
        return self.count or len(self.pinned)

    def __str__(self) -> str:
        if self.cpu:
            return "cpu"
        if self.mig:
            return f"mig {self.mig}"
        return "gpu " + ",".join(map(str, self.pinned)) if self.pinned else f"{self.count} gpu"


def stands_for(container: str) -> str:
    """The name of the replica that the container is, replaces or was."""
    found = re.fullmatch(rf"(vllm-[a-z0-9-]+-[0-9]+)({NEXT}|{PREVIOUS})", container)
    return found[1] if found else container


@dataclass(frozen=True)
class Model:
    """A model of the inventory, with defaults.

    ready_timeout: seconds from the start of a container until /health succeeds.
    drain_timeout: seconds that requests under way get before a container is stopped.
    shm_size: bytes of /dev/shm, which vLLM's workers use between GPUs. memory: the most bytes that a container may
    use, with /dev/shm; None for no limit.
    fallbacks: models that answer where no replica is up, or the context is too long. timeout: seconds for an answer;
    None for LiteLLM's own.
    env: may contain secrets; `secret_env` has their names. spellings: of args, for messages.
    outbound: whether its containers may connect to other machines; None for only if they need it.
    """

    name: str
    type: str
    source: str
    devices: Devices
    replicas: int
    state: str
    args: Args
    env: tuple[tuple[str, str], ...]
    image: Optional[str]
    recipe: Optional[str]
    open: bool
    direct: bool
    ready_timeout: int
    shm_size: int
    adapters: Adapters = ()
    memory: Optional[int] = None
    outbound: Optional[bool] = None
    drain_timeout: int = DRAIN_SECONDS
    fallbacks: tuple[str, ...] = ()
    timeout: Optional[int] = None
    price: Optional[Price] = None
    spellings: Spellings = field(default=(), compare=False)

    @classmethod
    def parse(cls, data: object, path: str) -> Model:
        with Fields(data, path) as read:
            model = cls(
                name=read.text("name", pattern=_DNS_LABEL, expected="a DNS label (a-z, 0-9 and - inside)"),
                type=read.one_of("type", TYPES),
                source=_source(read),
                devices=read.nested("devices", Devices.parse, Devices(count=1)),
                replicas=read.integer("replicas", 1, at_least=1, at_most=MOST_REPLICAS),
                state=read.one_of("state", STATES, "running"),
                args=read_args(read),
                env=tuple(sorted(read.values("env", _parse_env_value, secret=True).items())),
                image=read.text("image", None, *IMAGE_REFERENCE),
                recipe=read.text("recipe", None),
                open=read.flag("open"),
                direct=read.flag("direct"),
                ready_timeout=read.integer("ready_timeout", 1800, at_least=1, at_most=LONGEST_TIMEOUT),
                drain_timeout=read.integer("drain_timeout", DRAIN_SECONDS, at_least=0, at_most=LONGEST_TIMEOUT),
                shm_size=_bytes(read.text("shm_size", "8g", _SIZE, "a size such as 8g or 512m")),
                adapters=tuple(sorted(read.values("adapters", _parse_adapter).items())),
                memory=_bytes(read.text("memory", None, _SIZE, "a size such as 64g")) or None,
                fallbacks=tuple(dict.fromkeys(read.texts("fallbacks"))),
                timeout=read.integer("timeout", None, at_least=1, at_most=LONGEST_TIMEOUT),
                price=read.nested("price", Price.parse, None),
                outbound=None if read.raw("outbound") is None else read.flag("outbound"),
                spellings=spellings(read.raw("args")),
            )
            if model.memory is not None and model.memory < _LEAST_MEMORY:
                read.fault("memory", f"expected at least {_size(_LEAST_MEMORY)}, got {_size(model.memory)}")
            for fault in _name_faults(model):
                read.fault("name", fault)
            for fault in size_faults(model.args, *_devices_of(model), omni=model.type in OMNI_TYPES):
                option, _colon, text = fault.partition(":")
                read.faults.append(f"{read.path}.{model.written(f'args.{option}' if option else 'args')}:{text}")
            read.faults.extend(f"{read.path}.{model.written(key)}: {fault}" for key, fault in _adapter_faults(model))
            for key, value in model.env:
                wrong = _env_fault(key, value)
                if wrong:
                    read.fault(f"env.{key}", wrong)
            wrong = price_fault(model.type, model.price)
            if wrong:
                read.fault("price", wrong)
            if model.devices.pinned and model.replicas > 1:
                read.fault(
                    "devices.gpus",
                    f"{model.replicas} replicas cannot share the pinned GPUs {list(model.devices.pinned)}; "
                    f"give {{gpus: {len(model.devices.pinned)}}} so that each gets its own",
                )
            return model

    @classmethod
    def part(cls, data: object, path: str) -> Optional[tuple[Model, bool]]:
        """What can be read of an entry with faults, to compare it with other entries: keys with a fault have no value,
        or one without effect. And whether all is read that a key of `fleet_keys` needs. None if nothing can be read."""
        if not isinstance(data, Mapping):
            return None
        try:
            return cls.parse(data, path), True
        except FleetError as error:
            faulty = [key for key in data if any(_is_at(fault, below(path, key)) for fault in error.faults)]
        rest = {key: value for key, value in data.items() if key not in faulty and value is not None}
        try:
            found = cls.parse({**_NO_EFFECT, **dict.fromkeys({"state"} & {*faulty}, "absent"), **rest}, path)
        except FleetError:
            return None
        complete = {"name", "type"} <= rest.keys() and not {"adapters", "args"} & {*faulty}
        return replace(found, name=rest.get("name", "")), complete

    def plain(self) -> dict[str, Any]:
        """The model in the form of an inventory. In `args`, null is a value."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "spellings"}
        return {
            **plain(own),
            "args": dict(self.args),
            "env": dict(self.env),
            "adapters": dict(self.adapters),
            "shm_size": _size(self.shm_size),
            **({"memory": _size(self.memory)} if self.memory else {}),
        }

    @property
    def containers(self) -> tuple[str, ...]:
        """The names of the containers, replica 1 first; empty if the model is absent."""
        if self.state == "absent":
            return ()
        return tuple(f"vllm-{self.name}-{replica}" for replica in range(1, self.replicas + 1))

    @property
    def in_gateway(self) -> bool:
        """Whether LiteLLM serves the model."""
        return self.state == "running"

    @property
    def has_direct_route(self) -> bool:
        """Whether clients can bypass LiteLLM."""
        return self.state == "running" and (self.direct or self.type in DIRECT_TYPES)

    @property
    def has_open_route(self) -> bool:
        """Whether clients can use the model with any key, under a path of its own."""
        return self.open and self.in_gateway

    @property
    def local_path(self) -> Optional[str]:
        """The folder on the host that holds the weights, or None for a hub repository."""
        return self.source if self.source.startswith("/") else None

    @property
    def host_paths(self) -> tuple[HostPath, ...]:
        """The files and folders of the host that the containers read: the weights, and those in adapters and args."""
        found = host_paths(self.source, self.args, self.adapters)
        return tuple(replace(one, key=self.written(one.key)) for one in found)

    def written(self, key: str) -> str:
        """A key of the entry as the inventory has it: `args.tp` for `args.tensor-parallel-size`."""
        for name, given in self.spellings:
            if key == f"args.{name}" or key.startswith((f"args.{name}.", f"args.{name}[")):
                return f"args.{given}{key[len(f'args.{name}') :]}"
        return key

    @property
    def files_are_in_recipe(self) -> bool:
        """Whether a recipe may put files into the image that args name by absolute paths."""
        return bool(self.recipe) and not self.image

    @property
    def all_adapters(self) -> Adapters:
        """The LoRA adapters in `adapters` or `args`, which clients use by their names."""
        return self.adapters or adapters_in(self.args)

    @property
    def adapters_key(self) -> str:
        """The key of the model's entry that has the adapters."""
        return "adapters" if self.adapters else self.written(f"args.{LORA_MODULES}")

    @property
    def adapter_names(self) -> tuple[str, ...]:
        return tuple(name for name, _source in self.all_adapters)

    @property
    def secret_env(self) -> tuple[str, ...]:
        """The names of environment variables with secret values."""
        return tuple(key for key, _value in self.env if is_secret_name(key))

    @property
    def added_args(self) -> Args:
        """The parsers that the model's family needs and `args` do not name."""
        return family_args(self.source, self.args) if self.type in ("chat", "vision") else ()

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of `vllm serve`, sorted by name, so that their order in the inventory has no effect."""
        command = [self.source, "--served-model-name", self.name, "--port", str(ENGINE_PORT)]
        if not dict(self.args).get(_DOMAINS):
            command += [f"--{_DOMAINS}", _NO_DOMAIN]
        if self.type in OMNI_TYPES:
            command.append("--omni")
            # Without them, vLLM-Omni ends a start after 300 and 600 s.
            for option in ("stage-init-timeout", "init-timeout"):
                if option not in dict(self.args):
                    command += [f"--{option}", str(self.ready_timeout)]
        size = tensor_parallel(self.args, self.devices.gpus_per_replica)
        if size > 1:
            command += [f"--{TENSOR}", str(size)]
        command += words(tuple(sorted((*self.args, *self.added_args), key=itemgetter(0))))
        if self.adapters:
            command += ["--lora-modules", *(f"{name}={source}" for name, source in self.adapters)]
        if self.all_adapters and "enable-lora" not in dict(self.args):
            command.append("--enable-lora")
        return tuple(command)


_NO_EFFECT = {"name": "x", "type": "chat", "source": "x/x"}


def _is_at(fault: str, path: str) -> bool:
    return bool(re.match(re.escape(path) + r"[.:\[]", fault))


def name_taken(container: str) -> str:
    """The fault for a container of that name without the collection's label."""
    return (
        f"container {container}: the name is taken by a container without the label managed-by={MANAGED_BY}; "
        f"remove or rename it (docker rename {container} NEW), it was left untouched"
    )


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name probably holds a secret."""
    return bool(_SECRET_NAME.search(name))


def is_secret(name: str, value: str) -> bool:
    """Whether the environment variable is no text to show: by its name, or since it is a URL with a password."""
    return is_secret_name(name) or bool(_PASSWORD.search(value))


def _source(read: Fields) -> Any:
    source = read.text("source", pattern=SOURCE[0], expected=SOURCE[1])
    return clean_path(source) if source and source.startswith("/") else source


def _parse_adapter(data: object, path: str) -> str:
    if not isinstance(data, str) or not re.fullmatch(ADAPTER_SOURCE[0], data):
        raise FleetError(f"{path}: expected {ADAPTER_SOURCE[1]}, got {show(data)}")
    return clean_path(data) if data.startswith("/") else data


def _adapter_faults(model: Model) -> Iterator[tuple[str, str]]:
    """Key of the model's entry -> fault, of all that the model names outside its own weights."""
    yield from reference_faults(model.args, model.adapters)
    if model.all_adapters and model.type in OMNI_TYPES:
        yield model.adapters_key, f"is for types that vLLM serves, not for {model.type}, which vLLM-Omni serves"
    for name, _source in model.adapters:
        if not re.fullmatch(ADAPTER_NAME, name):
            yield "adapters", f"expected names of letters, digits and . _ / - inside, got {show(name)}"
    for one in model.host_paths if model.source else ():
        if one.kind != FILE or not model.files_are_in_recipe:
            fault = hiding_fault(one)
            if fault:
                yield one.key, fault


def _parse_gpus(data: Any, path: str) -> Devices:
    if is_whole(data, at_least=MOST_GPUS + 1):
        raise FleetError(f"{path}: expected at most {MOST_GPUS} GPUs for a replica, got {show(data)}")
    if is_whole(data, at_least=1):
        return Devices(count=data)
    if not isinstance(data, (list, tuple)) or not data:
        raise FleetError(
            f"{path}: expected a number of GPUs of at least 1 or a list of GPU indices, got {show(data)}"
            + unquoted(data, NUMBER)
        )
    faults = [
        f"{path}[{place}]: expected a GPU index, a whole number of at least 0, got {show(index)}"
        + unquoted(index, NUMBER)
        for place, index in enumerate(data)
        if not is_whole(index)
    ]
    if not faults:
        faults = [f"{path}: GPU {index} is named twice" for index in sorted(set(data)) if data.count(index) > 1]
    if faults:
        raise FleetError(*faults)
    return Devices(pinned=tuple(data))


def _parse_env_value(data: object, path: str) -> str:
    if isinstance(data, bool) or not isinstance(data, (str, int, float)):
        raise FleetError(f"{path}: expected text or a number (quote true and false), got {show(data, secret=True)}")
    return str(data)


def _env_fault(key: str, value: str) -> Optional[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
        return "expected the name of an environment variable, such as VLLM_LOGGING_LEVEL"
    if key in OWN_ENV:
        return f"set by the collection; {OWN_ENV[key]}"
    if key == "VLLM_CACHE_ROOT" and f"{clean_path(value)}/".startswith(f"{CACHE_MOUNT}/"):
        return f"{CACHE_MOUNT} is the cache of all models; compiled code is executed, so it needs a folder of its own"
    return None


def _name_faults(model: Model) -> list[str]:
    if not model.name:
        return []
    faults = []
    if model.name in SERVICES:
        faults.append(f"{model.name!r} is the name of a service of the fleet; choose another")
    longest = len(f"vllm-{model.name}-{model.replicas or 1}")
    if longest > _LONGEST_DNS_LABEL:
        faults.append(
            f"{model.name!r} is {longest - _LONGEST_DNS_LABEL} characters too long: the container's name "
            f"vllm-{model.name}-{model.replicas or 1} is a DNS label of at most {_LONGEST_DNS_LABEL}"
        )
    return faults


def _devices_of(model: Model) -> tuple[int, str]:
    """The number of devices that a replica's parallel sizes multiply to (0 on a CPU), and their name."""
    if model.devices.mig:
        return 1, "MIG device"
    return model.devices.gpus_per_replica, "GPU" + "s" * (model.devices.gpus_per_replica > 1)


def _size(size: int) -> str:
    """The reverse of `_bytes`, in the largest unit without remainder."""
    unit = next(unit for unit in ("g", "m", "k") if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]}{unit}"


def _bytes(size: Optional[str]) -> int:
    """`8g` as a number of bytes; 0 for an invalid size."""
    return int(size[:-1]) * _UNITS[size[-1]] if size else 0
