# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One entry of `fleet_recipes`, and the recipes of the collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import IMAGE_REFERENCE, Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import OWN_ENV, is_secret_name
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import WHEELS
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

REPOSITORY = "inference-fleet/recipe-"  # prefix of the images' names, before the recipe's name

_KEYS = tuple(part.name for part in fields(Images))
_BASE = (
    f"{'|'.join(_KEYS)}|{IMAGE_REFERENCE[0]}",
    f"a key of fleet_images such as vllm or vllm_omni, or {IMAGE_REFERENCE[1]}",
)
_NAME = r"[a-z0-9]+([._-][a-z0-9]+)*"  # Docker's rule for the parts of a repository's name
_PACKAGE = r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[\w.+:~-]+)?"
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_IN_A_LAYER = "anyone with the image could read it in the layers and the history"
_TO_THE_MODEL = "Remove it; if a running model needs it, set it in the model's env"
_FOLDER = r"(?!(.*/)?\.\.(/|$))[^\0\r\n:]+"  # a relative path stays below the inventory's folder
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True)
class Recipe:
    """An image that the host builds: packages and files on top of another image.

    base: a key of `fleet_images`, or a reference. files: path in the image -> text. ca_bundle: PEM
    text. wheelhouse: the folder that is pip's only source; an absolute path is on the host, a relative
    one on the admin's machine. apt_mirror: lines of sources.list(5) that replace those of the base.
    """

    base: str
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: Optional[str] = None
    wheelhouse: Optional[str] = None
    pip_index: Optional[str] = None
    apt_mirror: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> Recipe:
        with Fields(data, path) as read:
            name = path.rpartition(".")[2]
            if path and not re.fullmatch(_NAME, name):
                read.faults.append(f"{path}: expected a name of a-z, 0-9 and single . _ - between them")
            recipe = cls(
                base=read.text("base", "vllm", *_BASE),
                apt=read.each("apt", _package),
                pip=read.each("pip", _requirement),
                files=read.values("files", _content),
                env=read.values("env", _value),
                ca_bundle=read.nested("ca_bundle", _certificates, None),
                wheelhouse=read.text("wheelhouse", None, _FOLDER, "the path of a folder, without .. in it"),
                pip_index=read.nested("pip_index", _index, None),
                apt_mirror=read.each("apt_mirror", _source),
            )
            for path_in_image in recipe.files:
                if not re.fullmatch(r"/[\w./+-]+[\w+-]", path_in_image) or "/../" in path_in_image:
                    read.fault("files", f"expected absolute paths of files, got {show(path_in_image)}")
            for variable in recipe.env:
                if not re.fullmatch(_VARIABLE, variable):
                    read.fault(f"env.{variable}", "expected the name of an environment variable")
                elif is_secret_name(variable):
                    read.fault(f"env.{variable}", f"looks like a secret; {_IN_A_LAYER}; set it in the model's env")
                elif variable in OWN_ENV:
                    read.fault(f"env.{variable}", f"set by the collection; {OWN_ENV[variable]}")
            for key, what in (("wheelhouse", "pip"), ("pip_index", "pip"), ("apt_mirror", "apt")):
                if read.raw(key) and not read.raw(what):
                    read.fault(key, f"has no effect without {what}; add {what}, or remove {key}")
            if recipe.wheelhouse and recipe.pip_index:
                read.fault(
                    "pip_index", "has no effect with wheelhouse, which is then pip's only source; remove one of the two"
                )
            return recipe

    def base_image(self, images: Images) -> str:
        return str(getattr(images, self.base)) if self.base in _KEYS else self.base

    def image(self, name: str, images: Images) -> str:
        """The reference of this recipe's image. The tag is a hash of the recipe in the inventory."""
        content = {**asdict(self), "base": self.base_image(images)}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{REPOSITORY}{name}:{digest[:12]}"

    def wheels_on_host(self, name: str) -> Optional[str]:
        """The folder of the wheels on the host."""
        return f"{WHEELS}/{name}" if self.copies_wheels else self.wheelhouse

    @property
    def copies_wheels(self) -> bool:
        """Whether the wheels are on the admin's machine."""
        return self.wheelhouse is not None and not self.wheelhouse.startswith("/")


# Packages that vLLM's documentation requires and its image lacks. docs/recipes.md has the sources.
SHIPPED: Mapping[str, Recipe] = MappingProxyType(
    {
        "whisper": Recipe("vllm", apt=("ffmpeg",), pip=("vllm[audio]",)),
        "voxtral": Recipe("vllm", pip=("mistral-common[audio]",)),
        "gemma3n": Recipe("vllm", pip=("timm>=1.0.17",)),
    }
)


def _package(data: object, path: str) -> str:
    if isinstance(data, str) and re.fullmatch(_PACKAGE, data):
        return data
    raise FleetError(
        f"{path}: expected the name of a Debian package, such as ffmpeg or ffmpeg=7:5.1.6, got {show(data)}"
    )


def _requirement(data: object, path: str) -> str:
    text = _line(data, path, "a requirement as pip takes it, such as vllm[audio] or timm>=1.0.17")
    if text.startswith("-"):
        raise FleetError(f"{path}: expected a requirement, got the option {show(text)}; see wheelhouse and pip_index")
    return text


def _index(data: object, path: str) -> str:
    text = _line(data, path, "the URL of a package index")
    if not re.fullmatch(r"https?://\S+", text):
        raise FleetError(f"{path}: expected the URL of a package index, got {show(text)}")
    return text


def _source(data: object, path: str) -> str:
    expected = "a line of sources.list, such as `deb http://mirror.example.com/debian bookworm main`"
    text = _line(data, path, expected)
    if not re.fullmatch(r"deb( \[[^\]]*\])? \S+ \S+( \S+)*", text):
        raise FleetError(f"{path}: expected {expected}, got {show(text)}")
    return text


def _line(data: object, path: str, expected: str) -> str:
    """One line of text without a secret."""
    _refuse_secrets(
        data, path, "Put the wheels into a folder and set wheelhouse to it, or use a mirror without a password"
    )
    if not isinstance(data, str) or not re.fullmatch(r"[^\0\r\n]+", data):
        raise FleetError(f"{path}: expected {expected}, got {show(data)}")
    return data


def _refuse_secrets(data: object, path: str, instead: str) -> None:
    """Raises FleetError for text with a secret, which an image must not contain. The fault does not show the text."""
    if _CREDENTIALS.search(str(data)):
        raise FleetError(f"{path}: has a URL with a user name or password; {_IN_A_LAYER}. {instead}")
    if _PRIVATE_KEY.search(str(data)):
        raise FleetError(f"{path}: has a private key; {_IN_A_LAYER}. {instead}")


def _certificates(data: object, path: str) -> str:
    if not isinstance(data, str) or "-----BEGIN CERTIFICATE-----" not in data:
        raise FleetError(f"{path}: expected certificates as PEM text, got {show(data, secret=True)}")
    _refuse_secrets(data, path, "Leave only the certificates")
    return data


def _content(data: object, path: str) -> str:
    _refuse_secrets(data, path, _TO_THE_MODEL)
    if isinstance(data, str):
        return data
    raise FleetError(f"{path}: expected the file's text, got {show(data)}")


def _value(data: object, path: str) -> str:
    _refuse_secrets(data, path, _TO_THE_MODEL)
    if isinstance(data, bool) or not isinstance(data, (str, int, float)) or re.search(r"[\0\r\n]", str(data)):
        raise FleetError(f"{path}: expected a line of text or a number (quote true and false), got {show(data)}")
    return str(data)
