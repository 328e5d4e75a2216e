# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recipe images: their content, what Docker has, and which to build. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import SHIPPED, Recipe
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest

# Labels of the images. Containers inherit them, so they must differ from the labels of managed containers.
RECIPE_LABEL = "inference-fleet.recipe"
CONTENT_LABEL = "inference-fleet.recipe-content"
DOCKERFILE_LABEL = "inference-fleet.recipe-dockerfile"

LOG_LINES = 20
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_LIST = "/etc/apt/inference-fleet.list"
_WHEELS = "/tmp/inference-fleet-wheels"


@dataclass(frozen=True)
class Base:
    """An image that recipes build on. user: the user of its containers, empty for root."""

    id: str
    user: str = ""


@dataclass(frozen=True)
class Built:
    """An image that was built from a recipe. used_by: names of containers. size: bytes."""

    id: str
    tags: tuple[str, ...]
    recipe: str
    content: str
    dockerfile: str = ""
    size: int = 0
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """bases: by reference, the base images on the host. wheels: recipe -> wheel -> SHA-256, for
    recipes whose wheel folder exists. missing: recipe -> its wheel folder on the control node, which
    does not exist."""

    bases: Mapping[str, Base]
    built: tuple[Built, ...] = ()
    wheels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """An image to build. files: name in the build context -> text. content: hash of all its inputs.
    before: the Dockerfile of the image that it replaces."""

    recipe: str
    image: str
    base: str
    dockerfile: str
    files: Mapping[str, str]
    wheels: Optional[str]
    content: str
    reason: str
    before: str = ""

    def __str__(self) -> str:
        return f"build {self.image} ({self.reason})"

    @property
    def labels(self) -> dict[str, str]:
        return {RECIPE_LABEL: self.recipe, CONTENT_LABEL: self.content, DOCKERFILE_LABEL: self.dockerfile}


@dataclass(frozen=True)
class Removal:
    """An image that no recipe of the inventory needs."""

    id: str
    name: str
    size: int

    def __str__(self) -> str:
        return f"remove {self.name} ({self.size / 10**9:.1f} GB)"


@dataclass(frozen=True)
class Plan:
    """faults: by recipe, why it cannot be built. pulls: base images to pull."""

    builds: tuple[Build, ...] = ()
    removals: tuple[Removal, ...] = ()
    pulls: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    def diff(self) -> list[dict[str, str]]:
        return [
            {
                "before_header": build.image,
                "after_header": build.image,
                "before": build.before,
                "after": build.dockerfile,
            }
            for build in self.builds
        ]


def needed_recipes(fleet: Fleet, models: Iterable[str]) -> tuple[str, ...]:
    """The recipes of these models, if they have containers; sorted."""
    asked = frozenset(models)
    return tuple(
        sorted(
            {
                model.recipe
                for model in fleet.models
                if model.name in asked and model.containers and model.recipe and not model.image
            }
        )
    )


def select_recipes(fleet: Fleet, names: Iterable[str]) -> tuple[str, ...]:
    """These recipes. Raises FleetError for an unknown recipe."""
    known = {*SHIPPED, *fleet.recipes}
    names = tuple(names)
    unknown = [
        f"recipe: {name!r} is neither in fleet_recipes nor one of the collection's own"
        f"{nearest(name, known)} (there are {', '.join(sorted(known))})"
        for name in names
        if name not in known
    ]
    if unknown:
        raise FleetError(*unknown)
    return names


def plan_recipes(fleet: Fleet, names: Iterable[str], observed: Observed, keep: Optional[Iterable[str]] = None) -> Plan:
    """What to build of these recipes. keep: the recipes whose images stay; every other image is
    removed unless a container uses it. None removes none."""
    builds, pulls, faults = [], [], {}
    for name in names:
        recipe, image = fleet.recipe(name), fleet.recipe(name).image(name, fleet.images)
        there = next((one for one in observed.built if image in one.tags), None)
        reference = recipe.base_image(fleet.images)
        base = observed.bases.get(reference)
        wheels = None if name in observed.missing else observed.wheels.get(name)
        if there and (base is None or (recipe.wheelhouse and wheels is None)):
            continue  # its inputs were removed since, so the image cannot be compared with them
        if recipe.wheelhouse and not wheels:
            faults[name] = _no_wheels(name, recipe, observed)
            continue
        text = dockerfile(recipe, reference, base.user if base else "")
        files = _context(recipe)
        content = _hash([base.id if base else "", text, files, wheels])
        if there and there.content == content:
            continue
        if base is None:
            pulls.append(reference)
        reason = _reason(name, there, base, text, observed)
        previous = there or next((one for one in observed.built if one.recipe == name), None)
        before = previous.dockerfile if previous else ""
        folder = recipe.wheels_on_host(name)
        builds.append(Build(name, image, reference, text, files, folder, content, reason, before))
    removals = () if keep is None else tuple(_removals(fleet, keep, observed))
    return Plan(tuple(builds), removals, tuple(dict.fromkeys(pulls)), faults)


def _no_wheels(name: str, recipe: Recipe, observed: Observed) -> str:
    folder = observed.missing.get(name)
    if folder:
        why = "is not a folder on the machine that Ansible runs on (relative paths begin at the inventory's folder)"
    else:
        why = "has no wheels (*.whl)" if name in observed.wheels else "is not a folder on this host"
    return (
        f"fleet_recipes.{name}.wheelhouse: {folder or recipe.wheels_on_host(name)} {why}; "
        "`pip download --dest FOLDER` fills one, on a machine with the same Python as the image"
    )


def dockerfile(recipe: Recipe, base: str, user: str = "") -> str:
    """The recipe as a Dockerfile for the builder of any Docker Engine. user: of the base image."""
    lines = [f"FROM {base}", *(["USER root"] if user else [])]
    if recipe.ca_bundle:
        lines += [
            "COPY ca.crt /usr/local/share/ca-certificates/inference-fleet-recipe.crt",
            "RUN if command -v update-ca-certificates >/dev/null; then update-ca-certificates;"
            f" else mkdir -p /etc/ssl/certs && cat /usr/local/share/ca-certificates/*.crt >> {_BUNDLE}; fi",
        ]
    if recipe.apt:
        lines += _apt_lines(recipe)
    if recipe.pip:
        lines += _pip_lines(recipe)
    lines += [f'COPY ["files/{place}", {json.dumps(path)}]' for place, path in enumerate(sorted(recipe.files))]
    lines += [f"ENV {name}={_quoted(value)}" for name, value in sorted(recipe.env.items())]
    lines += [f"USER {user}"] if user else []
    return "".join(f"{line}\n" for line in lines)


def _apt_lines(recipe: Recipe) -> Iterator[str]:
    options = ""
    if recipe.apt_mirror:
        yield f"COPY apt.list {_LIST}"
        options = f" -o Dir::Etc::sourcelist={_LIST} -o Dir::Etc::sourceparts=-"
    packages = " ".join(sorted(recipe.apt))
    yield (
        f"RUN apt-get{options} -o APT::Update::Error-Mode=any update"
        f" && DEBIAN_FRONTEND=noninteractive apt-get{options} install --yes --no-install-recommends {packages}"
        f" && rm -rf /var/lib/apt/lists/*{f' {_LIST}' if recipe.apt_mirror else ''}"
    )


def _pip_lines(recipe: Recipe) -> Iterator[str]:
    """Uses uv if the image has it (vLLM's has), else pip; for the first Python on PATH."""
    where = ""
    if recipe.wheelhouse:
        yield f"COPY wheels {_WHEELS}"
        where = f" --no-index --find-links {_WHEELS}"
    elif recipe.pip_index:
        where = f" --index-url {shlex.quote(recipe.pip_index)}"
    trust = f"export PIP_CERT={_BUNDLE} SSL_CERT_FILE={_BUNDLE}; " if recipe.ca_bundle else ""
    wanted = f"{where} {' '.join(map(shlex.quote, sorted(recipe.pip)))}"
    yield (
        f"RUN {trust}if command -v uv >/dev/null; then"
        f' uv pip install --python "$(command -v python3)" --break-system-packages --no-cache{wanted};'
        " else PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1"
        f" python3 -m pip install --no-cache-dir --progress-bar=off{wanted}; fi"
        f"{f' && rm -rf {_WHEELS}' if recipe.wheelhouse else ''}"
    )


def _context(recipe: Recipe) -> dict[str, str]:
    """The build context without the wheels: name -> text."""
    files = {f"files/{place}": recipe.files[path] for place, path in enumerate(sorted(recipe.files))}
    if recipe.ca_bundle:
        files["ca.crt"] = recipe.ca_bundle
    if recipe.apt and recipe.apt_mirror:
        files["apt.list"] = "".join(f"{line}\n" for line in recipe.apt_mirror)
    return files


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _quoted(value: str) -> str:
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    return f'"{escaped}"'


def _reason(name: str, there: Optional[Built], base: Optional[Base], text: str, observed: Observed) -> str:
    if there:
        same = there.dockerfile == text
        return "its base image, files or wheels changed" if same else "its Dockerfile changed"
    if base is None:
        return "missing, and its base image must be pulled"
    return "the recipe changed" if any(one.recipe == name for one in observed.built) else "missing"


def _removals(fleet: Fleet, keep: Iterable[str], observed: Observed) -> Iterator[Removal]:
    wanted = {fleet.recipe(name).image(name, fleet.images) for name in keep}
    for one in observed.built:
        if not one.used_by and not wanted & set(one.tags):
            yield Removal(one.id, one.tags[0] if one.tags else f"an older build of recipe {one.recipe}", one.size)


# A pattern in the build's log -> the reason to report. The first group is the package.
_HINTS = (
    (r"E: Unable to locate package (\S+)", "apt knows no package {}"),
    (r"E: Package '?(\S+?)'? has no installation candidate", "apt has no package {} to install"),
    (r"E: Version '\S+' for '(\S+)' was not found", "apt has another version of {}"),
    (r"No matching distribution found for (\S+)", "pip finds no {} that fits the image's Python"),
    (r"Because (\S+) was not found in the package registry", "pip finds no {}"),
    (r"there (?:is|are) no versions? of (\S+)", "pip finds no {} that fits"),
    (r"(No module named pip)", "the base has neither uv nor pip: add python3-pip to the recipe's apt"),
    (
        r"(?i)(no space left on device|You don't have enough free space)",
        "the disk is full: `docker system df` shows what uses it, build_images -e prune=yes removes old builds",
    ),
    (
        r"(Temporary failure (?:resolving|in name resolution)|Could not resolve|Failed to fetch|dns error)",
        "the package source cannot be reached from here: see apt_mirror, pip_index and wheelhouse",
    ),
)


def build_fault(build: Build, step: str, error: str, log: Sequence[str]) -> str:
    """Why a build failed. step: the builder's last `Step n/m : ...`. error: the builder's error."""
    text = "\n".join([*log, error])
    hints = (meant.format(found[1]) for pattern, meant in _HINTS for found in [re.search(pattern, text)] if found)
    why = next(hints, error)
    own = [line for line in log if line.strip() and not line.startswith((" ---> ", "Removing intermediate "))]
    lines = "\n    ".join(own[-LOG_LINES:]) or "(nothing)"
    what = f"fleet_recipes.{build.recipe}: building {build.image} failed" + (f" at {step[:160]}" if step else "")
    return f"{what}: {why}; the end of the build's log:\n    {lines}"
