# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The `fleet_*` variables of a host on the controller, with the contents of the files that they name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import PREFIX, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import is_name
from ansible_collections.inference.fleet.plugins.module_utils.inventory.migrations import migrate
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import from_wire, to_wire
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates

# Keys of fleet_https whose value may be a file on the admin's machine. The host gets the content, not the path.
_FILES = ("cert", "key", "directory_root")
_MAX_BYTES = 1_000_000


def fleet_variables(variables: Mapping[str, Any], templar: Any, loader: Any) -> tuple[dict[str, Any], list[str]]:
    """The templated variables of a host that begin with `fleet_`, and faults of unreadable files.

    In `fleet_https` and `fleet_ca_bundle`, the contents of files replace their paths. Missing names become those in the
    certificate, or those by which Ansible reaches the host. So Fleet.parse gets all that the host needs.
    """
    given = {name: templar.template(value) for name, value in variables.items() if name.startswith(PREFIX)}
    https = given.get("fleet_https", {})
    faults: list[str] = []
    folder = variables.get("inventory_dir") or variables.get("playbook_dir") or os.getcwd()
    if "fleet_ca_bundle" in given:
        given["fleet_ca_bundle"], why = _text(given["fleet_ca_bundle"], loader, folder)
        faults += [f"fleet_ca_bundle: {why}"] if why else []
    if isinstance(https, Mapping):
        read = {key: _text(value, loader, folder) if key in _FILES else (value, None) for key, value in https.items()}
        faults += [f"fleet_https.{key}: {why}" for key, (_text_of_it, why) in read.items() if why]
        https = {key: value for key, (value, _why) in read.items()}
        given["fleet_https"] = _with_names(https, reached_by(variables, templar))
    return given, faults


def reached_by(variables: Mapping[str, Any], templar: Any) -> list[str]:
    """The names and addresses by which Ansible reaches the host, without those that no URL can have (GPU_Node_01)."""
    found = (templar.template(variables.get(name)) for name in ("ansible_host", "inventory_hostname"))
    # The Caddyfile and the page contain names unescaped, and an alias of the inventory can be any text.
    return [name for name in found if isinstance(name, str) and is_name(name)]


def url_names(fleet: Fleet, variables: Mapping[str, Any], templar: Any) -> list[str]:
    """Those of `reached_by` that a name of the certificate covers, else all of them."""
    reached = reached_by(variables, templar)
    return [own for own in reached if any(certificates.covers(name, own) for name in fleet.https.names)] or reached


def name_warnings(fleet: Fleet, variables: Mapping[str, Any], templar: Any) -> list[str]:
    """Why clients cannot connect under the names in the host's certificates."""
    names, reached = fleet.https.names, reached_by(variables, templar)
    https = templar.template(variables.get("fleet_https"))
    if names == ("localhost",) and not reached and not (isinstance(https, Mapping) and https.get("names")):
        return [
            f"fleet_https.names: Caddy serves this host as localhost only, so that no other machine can use it: "
            f"{show(variables.get('inventory_hostname'))} cannot be a host name; set fleet_https.names to the names "
            "or addresses that clients use, or ansible_host to the host's name or address"
        ]
    own = next(iter(url_names(fleet, variables, templar)), "localhost")
    if names and all(name.startswith("*") and not certificates.covers(name, own) for name in names):
        return [
            f"fleet_https.names: has wildcards alone ({', '.join(names)}), and none covers "
            f"{own}, so the base URL in the output does not work; put the host's own name first"
        ]
    return []


def fleet_of(task_vars: Mapping[str, Any], templar: Any, loader: Any, models: Any = None) -> Fleet:
    """The fleet of a host: the one that `remember` stored in this run, else parsed from the host's variables.

    models: replaces `fleet_models`; the fleet then has no virtual keys, and is always parsed. Raises FleetError with
    every fault.
    """
    file = _memory(task_vars)
    if models is None and file.exists():
        return from_wire(Fleet, json.loads(file.read_text()))
    given, faults = fleet_variables(task_vars, templar, loader)
    if faults:
        raise FleetError(*faults)
    return Fleet.parse(given if models is None else {**given, "fleet_models": models, "fleet_keys": []})


def fleet_for_lookup(variables: Mapping[str, Any], templar: Any, loader: Any) -> Fleet:
    """As `fleet_of`. Raises AnsibleLookupError with every fault."""
    try:
        return fleet_of(variables, templar, loader)
    except FleetError as error:
        raise AnsibleLookupError(str(error)) from error


def remember(fleet: Fleet, task_vars: Mapping[str, Any]) -> None:
    """Stores the parsed fleet of a host for later tasks, since each task runs in a separate process.

    The file is in the folder that Ansible creates for one run (mode 0700) and removes at its end.
    """
    with os.fdopen(os.open(_memory(task_vars), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(to_wire(fleet), file)


def of_hosts(variable: str, task_vars: Mapping[str, Any], hosts: Iterable[str] | None = None) -> list[Any]:
    """The values of a variable on several hosts: entries of a list, or keys of a mapping, in the newest schema.

    hosts: names in the inventory; default: the group `fleet`.
    """
    found: list[Any] = []
    for host in task_vars["groups"].get("fleet", ()) if hosts is None else hosts:
        given = {name: task_vars["hostvars"][host].get(name) for name in (variable, "fleet_schema")}
        value = migrate(given).get(variable)
        found += value if isinstance(value, (list, tuple, Mapping)) else ()
    return found


def _memory(task_vars: Mapping[str, Any]) -> Path:
    host = hashlib.sha256(str(task_vars["inventory_hostname"]).encode()).hexdigest()[:16]
    return Path(constants.DEFAULT_LOCAL_TMP, f"inference-fleet-{host}.json")


def _with_names(https: dict[str, Any], reached: Sequence[str]) -> dict[str, Any]:
    mode = https.get("mode") or "internal"
    if https.get("names") or mode not in ("internal", "files"):
        return https
    names = certificates.names(https.get("cert")) if mode == "files" else [*reached, "localhost"]
    return {**https, "names": list(dict.fromkeys(filter(is_name, names)))}


def _text(value: Any, loader: Any, folder: str) -> tuple[Any, str | None]:
    """The content of the file if `value` is a path, else `value`; and the reason if the file cannot be read.

    Relative paths are below `folder`. Files encrypted with Ansible Vault are decrypted.
    """
    if not isinstance(value, str) or "-----BEGIN" in value or "\n" in value.strip() or not value.strip():
        return value, None
    path = Path(folder, os.path.expanduser(value.strip()))
    # A key without its PEM frame looks like a path and must not be shown. Base64 has no dots.
    shown = show(str(path)) if "." in path.name and len(value) < 300 else "what was found (not shown)"
    try:
        if not os.path.isfile(path):  # unlike Path, accepts text of any length
            return value, f"{shown} is no file on this machine; expected PEM text or a file of it"
        if path.stat().st_size > _MAX_BYTES:
            return value, f"{shown} is larger than 1 MB; expected a file of PEM text"
        content, _show = loader._get_file_contents(str(path))
        return content.decode("ascii"), None
    except UnicodeDecodeError:
        return value, f"{shown} is not text; expected PEM (openssl x509 and openssl pkey convert from DER)"
    except (AnsibleError, OSError):
        return value, f"{shown} cannot be read; check its permissions and, if it is encrypted, the vault password"
