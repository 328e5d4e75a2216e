# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The `fleet_*` variables of a host as the controller has them, with the files that they name read in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import PREFIX, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import is_name
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates

# What of fleet_https may be a file on the admin's machine. The host never sees these paths.
_FILES = ("cert", "key", "directory_root")
_MAX_BYTES = 1_000_000


def fleet_variables(variables: Mapping[str, Any], templar: Any, loader: Any) -> tuple[dict[str, Any], list[str]]:
    """The templated variables of a host that begin with `fleet_`, and faults of files that cannot be read.

    In `fleet_https` text of files stands in place of their paths, and where it has no names they are
    those of the certificate or those by which Ansible reaches the host: what Fleet.parse gets is all
    that the host will ever need.
    """
    given = {name: templar.template(value) for name, value in variables.items() if name.startswith(PREFIX)}
    https = given.get("fleet_https", {})
    faults: list[str] = []
    if isinstance(https, Mapping):
        folder = variables.get("inventory_dir") or variables.get("playbook_dir") or os.getcwd()
        read = {key: _text(value, loader, folder) if key in _FILES else (value, None) for key, value in https.items()}
        faults = [f"fleet_https.{key}: {why}" for key, (_text_of_it, why) in read.items() if why]
        reached_by = [templar.template(variables.get(name)) for name in ("ansible_host", "inventory_hostname")]
        given["fleet_https"] = _with_names({key: value for key, (value, _why) in read.items()}, reached_by)
    return given, faults


def parse_fleet(variables: Mapping[str, Any] | None, templar: Any, loader: Any) -> Fleet:
    """The fleet of a host, for lookups. Raises AnsibleLookupError with every fault."""
    given, faults = fleet_variables(variables or {}, templar, loader)
    try:
        if faults:
            raise FleetError(*faults)
        return Fleet.parse(given)
    except FleetError as error:
        raise AnsibleLookupError(str(error)) from error


def _with_names(https: dict[str, Any], reached_by: Sequence[Any]) -> dict[str, Any]:
    mode = https.get("mode") or "internal"
    if https.get("names") or mode not in ("internal", "files"):
        return https
    names = certificates.names(https.get("cert")) if mode == "files" else [*reached_by, "localhost"]
    # They get into the Caddyfile and the page as they are, and an alias of the inventory can be any text.
    return {**https, "names": list(dict.fromkeys(name for name in names if isinstance(name, str) and is_name(name)))}


def _text(value: Any, loader: Any, folder: str) -> tuple[Any, str | None]:
    """What the file of that path holds, or the value as it is, if it names no file; and why it could not be read.

    Relative paths are below `folder`. Files encrypted with Ansible Vault are decrypted.
    """
    if not isinstance(value, str) or "-----BEGIN" in value or "\n" in value.strip() or not value.strip():
        return value, None
    path = Path(folder, os.path.expanduser(value.strip()))
    # A key without its PEM frame looks like a path, and is not to be shown; base64 has no dots.
    shown = show(str(path)) if "." in path.name and len(value) < 300 else "what was found (not shown)"
    try:
        if not os.path.isfile(path):  # unlike Path, it takes text of any length
            return value, f"{shown} is no file on this machine; expected PEM text or a file of it"
        if path.stat().st_size > _MAX_BYTES:
            return value, f"{shown} is larger than 1 MB; expected a file of PEM text"
        content, _show = loader._get_file_contents(str(path))
        return content.decode("ascii"), None
    except UnicodeDecodeError:
        return value, f"{shown} is not text; expected PEM (openssl x509 and openssl pkey convert from DER)"
    except (AnsibleError, OSError):
        return value, f"{shown} cannot be read; is it yours to read, and if it is vaulted, was the password given?"
