# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet of one host: its `fleet_*` variables, parsed once, with defaults."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Optional
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import (
    DIRECT,
    METRICS_ALIAS,
    OPEN_ALIAS,
    SECRET_RULES,
    CaddySettings,
    DirectKey,
    LiteLLMSettings,
    Secrets,
    secret,
    secret_rule,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import words
from ansible_collections.inference.fleet.plugins.module_utils.inventory.energy import Energy
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import Https, certificates, is_address
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import downloads_itself, repositories
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import (
    IMAGE_REFERENCE,
    OMNI_TYPES,
    Images,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.inventory.logs import Logs
from ansible_collections.inference.fleet.plugins.module_utils.inventory.migrations import migrate
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import INNER_PORT, METRICS_PORT, Model
from ansible_collections.inference.fleet.plugins.module_utils.inventory.monitoring import Monitoring
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import (
    Network,
    Proxy,
    certificate_files,
    has_valid_port,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import (
    FRONT,
    LITELLM,
    MONITORING,
    POSTGRES,
    Net,
    model_networks,
    networks,
    service_networks,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.offer import (
    alias_faults,
    fallback_faults,
    fallbacks_by_name,
    parse_aliases,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields, plain
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import CACHE_VOLUME, Paths
from ansible_collections.inference.fleet.plugins.module_utils.inventory.postgres import Backup, Postgres
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import SHIPPED, Recipe
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import FILE, HostPath, hiding_fault
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import (
    VirtualKey,
    faults_between_keys,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show
from ansible_collections.inference.fleet.plugins.module_utils.system.openpgp import plain_fingerprint

PREFIX = "fleet_"
HUB = "https://huggingface.co"
# `fleet_cache.downloads`: by the collection before a container starts; by vLLM at its start; no downloads.
DOWNLOADS = (BEFORE_START, AT_START, NEVER) = ("before_start", "at_start", "never")
# Variables of a single run (`-e fleet_break_lock=true`): not part of the desired state.
RUN_VARIABLES = (
    "fleet_break_lock",
    "fleet_check_models",
    "fleet_move_networks",
    "fleet_restoring",
    "fleet_remove_all",
    "fleet_rotate",
    "fleet_overlap",
    "fleet_keys_file",
    "fleet_keys_vault_password_file",
    "fleet_backup_vault_password_file",
)


# Only root can read the folder, and `uninstall` removes parts of it; commands have the path as an argument.
CONFIG_FOLDER = (
    r"(?!.*/\.\.?(/|$)|/(var|usr)/\w+$)(/[A-Za-z0-9_.-]+){2,}/?",
    "an absolute path of letters, digits and . _ - / to a folder of its own, as /etc/inference-fleet",
)


@dataclass(frozen=True)
class Cache:
    """The cache of the weights from a hub. path: a folder on the host, or None for a Docker volume.

    min_free_gb: GB (10^9 bytes) that must be free in the cache before a model container is created.
    downloads: when weights are downloaded. endpoint: URL of the hub. image: an image with `hf` for
    downloads, instead of the model's image. compiled: whether a container keeps what vLLM compiles at its start.
    """

    path: Optional[str] = None
    min_free_gb: int = 20
    downloads: str = BEFORE_START
    endpoint: str = HUB
    image: Optional[str] = None
    compiled: bool = True

    @classmethod
    def parse(cls, data: object, path: str) -> Cache:
        with Fields(data, path) as read:
            return cls(
                path=read.absolute_path("path", None),
                min_free_gb=read.integer("min_free_gb", cls.min_free_gb),
                downloads=read.one_of("downloads", DOWNLOADS, cls.downloads),
                endpoint=read.nested("endpoint", _endpoint, cls.endpoint),
                image=read.text("image", None, *IMAGE_REFERENCE),
                compiled=read.flag("compiled", cls.compiled),
            )

    @property
    def source(self) -> str:
        """Source of the mount: the folder, or the name of the volume."""
        return self.path or CACHE_VOLUME


@dataclass(frozen=True)
class AptRepository:
    """`fleet_toolkit_repository`: where apt finds the NVIDIA Container Toolkit. url: None to add no repository.

    key: a URL or the text of the key; None if apt already trusts the key. The defaults are those
    of NVIDIA's installation guide; apt replaces $(ARCH) by the architecture. fingerprints: those that
    the key may have; a key of a URL always has some, and the text of a key only if the inventory has.
    """

    url: Optional[str] = "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)"
    key: Optional[str] = "https://nvidia.github.io/libnvidia-container/gpgkey"
    # "NVIDIA CORPORATION (Open Source Projects) <cudatools@nvidia.com>", as public projects pin it.
    fingerprints: tuple[str, ...] = ("C95B321B61E88C1809C4F759DDCAE044F796ECB0",)

    @classmethod
    def parse(cls, data: object, path: str) -> AptRepository:
        with Fields(data, path) as read:
            url = read.text("url", None, r"(https?://|file:/)\S+", "the URL of a package repository")
            key = read.text("key", None, r"https?://\S+|-----BEGIN [^\0]*", "the URL or the text of a key")
            if key and not url:
                read.fault("url", "missing; a key alone names no repository")
            given = read.each("fingerprints", _fingerprint)
            if given and not key:
                read.fault("key", "missing; the fingerprints are of a key")
            by_url = bool(key and key.startswith("http"))
            return cls(url, key, given or (cls.fingerprints if by_url else ()))


def _fingerprint(data: object, path: str) -> str:
    text = plain_fingerprint(data) if isinstance(data, str) else ""
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", text):
        raise FleetError(f"{path}: expected the 40 or 64 hexadecimal digits of a fingerprint, got {show(data)}")
    return text


@dataclass(frozen=True)
class Fleet:
    """The desired state of one host. config_folder: where the host keeps its configuration and its secrets.

    absent: the names in `fleet_absent_models` of this run, whether or not the inventory has such models.
    """

    schema: int = 0
    models: tuple[Model, ...] = ()
    images: Images = field(default_factory=Images)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    https: Https = field(default_factory=Https)
    cache: Cache = field(default_factory=Cache)
    litellm: LiteLLMSettings = field(default_factory=LiteLLMSettings)
    direct_keys: tuple[DirectKey, ...] = ()
    secrets: Secrets = field(default_factory=Secrets)
    hf_token: Optional[str] = None
    mig: Layout = field(default_factory=Layout)
    monitoring: Optional[Monitoring] = None
    caddy: CaddySettings = field(default_factory=CaddySettings)
    litellm_admin: bool = False
    config_folder: str = "/etc/inference-fleet"
    absent: tuple[str, ...] = ()
    toolkit_repository: AptRepository = AptRepository()
    keys: tuple[VirtualKey, ...] = ()
    postgres: Postgres = field(default_factory=Postgres)
    backup: Backup = field(default_factory=Backup)
    energy: Energy = field(default_factory=Energy)
    network: Network = field(default_factory=Network)
    proxy: Optional[Proxy] = None
    ca_bundle: Optional[str] = None
    logs: Logs = field(default_factory=Logs)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, variables: Mapping[str, Any]) -> Fleet:
        """Reads the variables of a host that begin with `fleet_`.

        Models in `fleet_absent_models` are absent, whatever their state in the inventory. Ignores `foreign` variables.
        Raises FleetError with every fault of all variables.
        """
        given = {
            name: value for name, value in variables.items() if name.startswith(PREFIX) and name not in RUN_VARIABLES
        }
        given = dict(migrate(given))
        for name in foreign(given):
            del given[name]
        with Fields(given, "") as read:
            absent = read.texts("fleet_absent_models")
            models = {
                index: replace(model, state="absent") if model.name in absent else model
                for index, model in read.numbered("fleet_models", Model.parse).items()
            }
            direct_keys = read.numbered("fleet_direct_keys", DirectKey.parse, secret=True)
            keys = read.numbered("fleet_keys", VirtualKey.parse, secret=True)
            fleet = cls(
                schema=read.integer("fleet_schema"),
                models=tuple(models.values()),
                images=read.nested("fleet_images", Images.parse, Images()),
                recipes=read.values("fleet_recipes", Recipe.parse),
                https=read.nested("fleet_https", Https.parse, Https()),
                cache=read.nested("fleet_cache", Cache.parse, Cache()),
                litellm=read.nested("fleet_litellm", LiteLLMSettings.parse, LiteLLMSettings()),
                direct_keys=tuple(direct_keys.values()),
                secrets=read.nested("fleet_secrets", Secrets.parse, Secrets()),
                hf_token=secret(read, "fleet_hf_token"),
                mig=read.nested("fleet_mig", Layout.parse, Layout()),
                toolkit_repository=read.nested("fleet_toolkit_repository", AptRepository.parse, AptRepository()),
                monitoring=read.nested("fleet_monitoring", Monitoring.parse, None),
                caddy=read.nested("fleet_caddy", CaddySettings.parse, CaddySettings()),
                litellm_admin=read.flag("fleet_litellm_admin"),
                config_folder=read.absolute_path("fleet_config_folder", cls.config_folder, *CONFIG_FOLDER),
                absent=absent,
                keys=tuple(keys.values()),
                postgres=read.nested("fleet_postgres", Postgres.parse, Postgres()),
                backup=read.nested("fleet_backup", Backup.parse, Backup()),
                energy=read.nested("fleet_energy", Energy.parse, Energy()),
                network=read.nested("fleet_network", Network.parse, Network()),
                proxy=read.nested("fleet_proxy", Proxy.parse, None),
                ca_bundle=certificates(read, "fleet_ca_bundle"),
                logs=read.nested("fleet_logs", Logs.parse, Logs()),
                aliases=parse_aliases(read, "fleet_aliases"),
            )
            read.faults.extend(fleet.network.size_faults(fleet.networks))
            known, complete = _with_parts(models, read.raw("fleet_models"), absent)
            read.faults.extend(faults_between_keys(keys, known.values() if complete else None, fleet.aliases))
            read.faults.extend(_faults_of_offer(fleet.aliases, known) if complete else ())
            read.faults.extend(
                f"fleet_keys[{index}].alias: {key.alias!r} is reserved for the collection; "
                f"choose an alias that is not {METRICS_ALIAS} and does not begin with {OPEN_ALIAS}"
                for index, key in keys.items()
                if key.alias == METRICS_ALIAS or key.alias.startswith(OPEN_ALIAS)
            )
            read.faults.extend(_faults_between(known, {*SHIPPED, *read.names("fleet_recipes")}))
            read.faults.extend(_faults_of_cache(fleet, known) if fleet.cache.path else ())
            read.faults.extend(
                f"fleet_models[{index}].{one.key}: {hiding_fault(one)}"
                for index, model in known.items()
                if model.files_are_in_recipe
                for one in fleet.host_paths(model)
                if one.kind == FILE and hiding_fault(one)
            )
            read.faults.extend(_faults_between_keys(direct_keys, fleet.secrets.master_key))
            return fleet

    def image_of(self, model: Model) -> str:
        """The model's own image, else the image of its recipe, else the default image of its type."""
        if model.image:
            return model.image
        if model.recipe:
            return self.recipe(model.recipe).image(model.recipe, self.images)
        return self.images.vllm_omni if model.type in OMNI_TYPES else self.images.vllm

    def recipe(self, name: str) -> Recipe:
        """The recipe from the inventory, else the collection's recipe of that name. Trusts `ca_bundle` by default."""
        recipe = self.recipes[name] if name in self.recipes else SHIPPED[name]
        return replace(recipe, ca_bundle=recipe.ca_bundle or self.ca_bundle)

    def host_paths(self, model: Model) -> tuple[HostPath, ...]:
        """What the model reads from the host, without the files that its recipe puts into the image."""
        recipe = {**SHIPPED, **self.recipes}.get(model.recipe or "") if model.files_are_in_recipe else None
        return tuple(one for one in model.host_paths if not recipe or one.path not in recipe.files)

    @property
    def download_addresses(self) -> tuple[tuple[str, int], ...]:
        """Address and port of the hub and of the proxy, where the inventory has an address and no name."""
        urls = (self.cache.endpoint, *([self.proxy.shown] if self.proxy else []))
        parts = [urlsplit(url) for url in urls]
        found = ((one.hostname or "", one.port or {"http": 80, "https": 443}[one.scheme]) for one in parts)
        return tuple(one for one in found if is_address(one[0]))

    @property
    def networks(self) -> tuple[Net, ...]:
        """The Docker networks of the host."""
        return networks(self.models, self.cache.downloads == AT_START, bool(self.monitoring), self._watchers_out)

    @property
    def _watchers_out(self) -> tuple[str, ...]:
        return self.monitoring.out if self.monitoring else ()

    def networks_of(self, model: Model) -> tuple[str, ...]:
        """The networks of the model's containers."""
        return model_networks(model, self.cache.downloads == AT_START)

    @property
    def paths(self) -> Paths:
        return Paths(self.config_folder)

    @property
    def needs_gpus(self) -> bool:
        return bool(self.mig) or any(model.containers and not model.devices.cpu for model in self.models)

    @property
    def given_secrets(self) -> dict[str, Optional[str]]:
        """File name -> secret, for every secret of the host; None if the host generates the value."""
        given = {name: value for name, value in asdict(self.secrets).items() if value or name in SECRET_RULES}
        return {**dict.fromkeys(SECRET_RULES), **given, **{DIRECT + one.name: one.key for one in self.direct_keys}}

    def desired_state(self) -> dict[str, Any]:
        """The content of config.json: the fleet in the form of an inventory, with defaults and secrets, without
        virtual keys (PostgreSQL has these). Fleet.parse turns it into an equal fleet."""
        return {PREFIX + name: value for name, value in plain(self).items() if name not in ("keys", "absent")}

    def public(self, host: str = "localhost") -> dict[str, Any]:
        """The fact `fleet`: the fleet and values derived from it, without secrets and the models' environments.

        host: the address by which Ansible reaches the host. The base URL has it if every name is a wildcard.
        """
        data = {**asdict(self), "mig": self.mig.plain()}
        for private in ("direct_keys", "secrets", "hf_token", "keys", "absent", "ca_bundle"):
            del data[private]
        data["images"] = self.images.public()
        data["https"] = self.https.public()
        data["base_url"] = self.https.base_url(host)
        data["proxy"] = {"url": self.proxy.shown, "direct": list(self.proxy.direct)} if self.proxy else None
        data["ca_files"] = certificate_files(self.ca_bundle)
        data["cache"]["source"] = self.cache.source
        data["download_addresses"] = [dict(address=address, port=port) for address, port in self.download_addresses]
        data["logs"] = self.logs.public()
        data["monitoring"] = self.monitoring.public() if self.monitoring else None
        data["recipe_names"] = sorted({*SHIPPED, *self.recipes})
        data["fallbacks"] = fallbacks_by_name(self.models, self.aliases)
        data["needs_gpus"] = self.needs_gpus
        rules = {name: secret_rule(name) for name in self.given_secrets}
        data["secret_prefixes"] = {name: rule.prefix for name, rule in rules.items() if rule.prefix}
        data["permanent_secrets"] = [name for name, rule in rules.items() if not rule.rotates]
        data["overlapping_secrets"] = [name for name, rule in rules.items() if rule.overlaps]
        of_services = service_networks(self.networks, self._watchers_out).items()
        data["networks_of"] = {service: [{"name": name} for name in names] for service, names in of_services}
        data["networks"] = dict(front=FRONT, litellm=LITELLM, postgres=POSTGRES, monitoring=MONITORING)
        data["ports"] = dict(inner=INNER_PORT, metrics=METRICS_PORT)
        data.update(
            engine_port=ENGINE_PORT, metrics_alias=METRICS_ALIAS, open_alias=OPEN_ALIAS, paths=self.paths.public()
        )
        for shown, model in zip(data["models"], self.models):
            del shown["env"], shown["spellings"]
            shown.update(
                containers=list(model.containers),
                adapters=list(model.adapter_names),
                added_args=[" ".join(words((one,))).removeprefix("--") for one in model.added_args],
                in_gateway=model.in_gateway,
                has_direct_route=model.has_direct_route,
                has_open_route=model.has_open_route,
                image=self.image_of(model),
                from_hub=bool(repositories(model)),
                parameters=model.price.parameters(model.type) if model.price else {},
            )
        return data


# The variables of an inventory.
VARIABLES = ("fleet_absent_models", *(PREFIX + one.name for one in fields(Fleet) if one.name != "absent"))


def foreign(variables: Iterable[str]) -> list[str]:
    """Variables that begin with `fleet_` and probably belong to another product: neither a variable of this
    collection, nor a misspelled one (fleet_modelz), nor a variable of ours with a further word (fleet_https_names)."""
    ours = [name[len(PREFIX) :] for name in (*VARIABLES, *RUN_VARIABLES)]
    return [
        name
        for name in variables
        if name.startswith(PREFIX)
        and name[len(PREFIX) :] not in ours
        and not nearest(name[len(PREFIX) :], ours)
        and not name[len(PREFIX) :].startswith(tuple(f"{one}_" for one in ours))
    ]


def _endpoint(data: object, path: str) -> str:
    expected = "expected the URL of a hub without a name or password in it"
    if isinstance(data, str) and "@" in data:
        raise FleetError(f"{path}: {expected}; what was found is not shown")
    if not isinstance(data, str) or not re.fullmatch(r"https?://[^\s/]+(/\S*)?", data) or not has_valid_port(data):
        raise FleetError(f"{path}: {expected}, such as {HUB}, got {show(data)}")
    return data.rstrip("/")


def _with_parts(models: Mapping[int, Model], data: Any, absent: Collection[str]) -> tuple[dict[int, Model], bool]:
    """The models, and of entries with faults what can be read; by index in the inventory. And whether all that a key
    may name is among them. data: the value of `fleet_models`."""
    entries = data if isinstance(data, (list, tuple)) else ()
    parts = {
        index: Model.part(entry, f"fleet_models[{index}]") for index, entry in enumerate(entries) if index not in models
    }
    read = {index: part[0] for index, part in parts.items() if part}
    known = {
        **models,
        **{index: replace(one, state="absent") if one.name in absent else one for index, one in read.items()},
    }
    complete = (data is None or entries is data) and all(part and part[1] for part in parts.values())
    return dict(sorted(known.items())), complete


def _faults_between(models: Mapping[int, Model], recipes: Collection[str]) -> list[str]:
    """Faults between entries. models: by index in the inventory, without a name where the name has a fault. recipes:
    all names, also those of recipes with faults."""
    faults = []
    first: dict[str, int] = {}
    holder: dict[int, str] = {}
    taken = Counter(name for model in models.values() for name in (model.name, *model.adapter_names))
    for index, model in models.items():
        path = f"fleet_models[{index}]"
        if model.name and model.name in first:
            faults.append(f"{path}.name: {model.name!r} is also the name of fleet_models[{first[model.name]}]")
        first.setdefault(model.name, index)
        faults += [
            f"{path}.{model.adapters_key}: {name!r} is also the name of a model or of another adapter"
            for name in dict.fromkeys(model.adapter_names)
            if taken[name] > 1
        ]
        if model.recipe and model.recipe not in recipes:
            faults.append(
                f"{path}.recipe: {model.recipe!r} is neither in fleet_recipes nor one of the collection's own "
                f"({', '.join(SHIPPED)}){nearest(model.recipe, recipes)}"
            )
        for gpu in model.devices.pinned if model.state != "absent" else ():
            if gpu in holder:
                faults.append(f"{path}.devices.gpus: GPU {gpu} is already taken by {holder[gpu]}")
            holder.setdefault(gpu, f"{model.name} ({path})" if model.name else path)
    return faults


def _faults_of_offer(aliases: Mapping[str, str], models: Mapping[int, Model]) -> Iterator[str]:
    there = {one.name: one for one in models.values() if one.state != "absent"}
    yield from alias_faults(aliases, [name for one in there.values() for name in (one.name, *one.adapter_names)])
    for index, one in models.items():
        for fault in fallback_faults(one.name, one.type, one.fallbacks, there):
            yield f"fleet_models[{index}].fallbacks: {fault}"


def _faults_of_cache(fleet: Fleet, models: Mapping[int, Model]) -> Iterator[str]:
    """Containers that download can write the cache. Root and Docker follow links in other paths of the host."""
    path, paths = str(fleet.cache.path), fleet.paths
    folder = path.rstrip("/") + "/"
    ours = (paths.config, paths.kit, paths.run, paths.state, paths.energy, paths.metrics, paths.options, paths.wheels)
    inside = next((one for one in ours if f"{one}/".startswith(folder)), None)
    if inside:
        yield f"fleet_cache.path: expected a folder of its own, got {path}, which contains {inside}"
    writers = [one.name for one in models.values() if downloads_itself(one, fleet.cache.downloads == AT_START)]
    for index, model in models.items() if writers else ():
        for one in fleet.host_paths(model) if model.state != "absent" else ():
            if f"{one.path}/".startswith(folder):
                yield (
                    f"fleet_models[{index}].{one.key}: expected a path outside of fleet_cache.path, got {one.path}; "
                    f"{writers[0]} downloads by itself, and could replace this path by a link to another folder"
                )


def _faults_between_keys(direct_keys: Mapping[int, DirectKey], master_key: Optional[str]) -> list[str]:
    """Faults between direct keys. A key that two clients share cannot be revoked for one of them. No fault shows a key.

    direct_keys: by index in the inventory.
    """
    faults = []
    names: set[str] = set()
    holder = {master_key: "fleet_secrets.master_key"} if master_key else {}
    for index, one in direct_keys.items():
        path = f"fleet_direct_keys[{index}]"
        if one.name in names:
            faults.append(f"{path}.name: {one.name!r} is given twice; expected a different name for each key")
        names.add(one.name)
        if one.key in holder:
            faults.append(f"{path}.key: is also {holder[one.key]}; expected a key of its own")
        elif one.key:
            holder[one.key] = f"{path}.key"
    return faults


def select(fleet: Fleet, name: str) -> Model:
    """The model of that name. Raises FleetError with the existing names if there is none."""
    for model in fleet.models:
        if model.name == name:
            return model
    known = [model.name for model in fleet.models]
    there_are = "fleet_models has " + ", ".join(known) if known else "fleet_models is empty"
    raise FleetError(f"model: {name!r} is not in this host's inventory{nearest(name, known)} ({there_are})")


def scope(fleet: Fleet, names: Optional[Iterable[str]]) -> tuple[str, ...]:
    """The models that one run acts on: those of `names`, or if None all of the fleet and of `fleet.absent`.

    Raises FleetError, as `select` does, for a name that neither the fleet nor `fleet.absent` has.
    """
    if names is None:
        return tuple(dict.fromkeys([*(model.name for model in fleet.models), *fleet.absent]))
    return tuple(name if name in fleet.absent else select(fleet, name).name for name in names)
