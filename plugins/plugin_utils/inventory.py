# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The `fleet_*` variables of a host on the controller, with the contents of the files that they name."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import PREFIX, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import is_name
from ansible_collections.inference.fleet.plugins.module_utils.inventory.migrations import migrate
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import below
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import from_wire, to_wire
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates

# Keys of fleet_https whose value may be a file on the admin's machine. The host gets the content, not the path.
_FILES = ("cert", "key", "directory_root")
_PASSWORD = "the vault password: --ask-vault-pass or --vault-password-file"
_MAX_BYTES = 1_000_000
_ENTRY = re.compile(r"\b(fleet_[a-z_]+)\[(\d+)\](?! \()")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@/ -]{0,62}")


def fleet_variables(variables: Mapping[str, Any], templar: Any, loader: Any) -> tuple[dict[str, Any], list[str]]:
    """The templated variables of a host that begin with `fleet_`, and faults of templates and of unreadable files.

    In `fleet_https` and `fleet_ca_bundle`, the contents of files replace their paths. Missing names become those in the
    certificate, or those by which Ansible reaches the host. So Fleet.parse gets all that the host needs.
    """
    faults: list[str] = []
    given = {
        name: _templated(value, name, templar, faults) for name, value in variables.items() if name.startswith(PREFIX)
    }
    folder = variables.get("inventory_dir") or variables.get("playbook_dir") or os.getcwd()
    if "fleet_ca_bundle" in given:
        given["fleet_ca_bundle"], why = _text(given["fleet_ca_bundle"], loader, folder)
        faults += [f"fleet_ca_bundle: {why}"] if why else []
    https = given.get("fleet_https", {})
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
    if fleet.https.mode == "internal" and len(fleet.https.addresses) > 1:
        first, *others = fleet.https.addresses
        return [
            f"fleet_https.names: a client that connects by address sends no name and gets the certificate of {first}, "
            f"which is not valid for {', '.join(others)}; connect by a host name there"
        ]
    own = next(iter(url_names(fleet, variables, templar)), "localhost")
    if names and all(name.startswith("*") and not certificates.covers(name, own) for name in names):
        return [
            f"fleet_https.names: has wildcards alone ({', '.join(names)}), and none covers "
            f"{own}, so the base URL in the output does not work; put the host's own name first"
        ]
    return []


def budget_warnings(fleet: Fleet) -> list[str]:
    """Keys with a budget that models without a price never use up."""
    free = [one.name for one in fleet.models if one.in_gateway and not one.price]
    found = []
    for key in fleet.keys:
        named = {fleet.aliases.get(name, name) for name in key.models}
        models = [name for name in free if not named or name in named]
        if key.max_budget is not None and key.state == "present" and models:
            found.append(
                f"fleet_keys ({key.alias}).max_budget: has no effect on {', '.join(models)}: set `price` of the model"
            )
    return found


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
    return parse_fleet(given if models is None else {**given, "fleet_models": models, "fleet_keys": []})


def parse_fleet(variables: Mapping[str, Any]) -> Fleet:
    """Fleet.parse, for messages to a user: the path of an entry of a list also has the name of the entry, and an
    exception that is no FleetError becomes one with the path."""
    try:
        return Fleet.parse(variables)
    except FleetError as error:
        raise FleetError(*(named(fault, variables) for fault in error.faults)) from None
    except Exception as error:
        raise FleetError(named(_unexpected(variables, error), variables)) from error


def named(fault: str, variables: Mapping[str, Any]) -> str:
    """The fault with names: `fleet_models[0] (qwen3-8b).source: ...`."""

    def with_name(match: re.Match[str]) -> str:
        entries = variables.get(match[1])
        index = int(match[2])
        entry = entries[index] if isinstance(entries, (list, tuple)) and index < len(entries) else None
        name = entry.get("alias", entry.get("name")) if isinstance(entry, Mapping) else None
        return f"{match[0]} ({name})" if isinstance(name, str) and _NAME.fullmatch(name) else match[0]

    return _ENTRY.sub(with_name, fault)


def _unexpected(variables: Mapping[str, Any], error: Exception) -> str:
    """The fault for an exception that Fleet.parse should not raise, with the narrowest path that has the exception."""
    path = "the variables of this host"
    for name, value in variables.items():
        parts = {name: value}
        if isinstance(value, (list, tuple)):
            parts = {f"{name}[{index}]": [one] for index, one in enumerate(value)}
        for where, part in parts.items():
            try:
                Fleet.parse({name: part})
            except FleetError:
                pass
            except Exception:
                path = where
    return f"{path}: {fault_of(error)}"


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


def with_page(fault: str) -> str:
    """The fault, with the page that has the way out for sources that are not supported."""
    elsewhere = re.search(r"got '([^']*\.gguf\b|[^']*gguf:|(s3|gs|r2|az|abfss?)://)", fault, re.IGNORECASE)
    return f'{fault}; see docs/models.md, "GGUF files and object stores"' if elsewhere else fault


def _templated(value: Any, path: str, templar: Any, faults: list[str]) -> Any:
    """The templated value. A part with an undefined variable, with an error in a template, or with a text that the
    vault passwords do not decrypt, is a fault with its path, and None in the value."""
    try:
        return templar.template(value)
    except RecursionError:
        faults.append(f"{path}: is nested too deeply")
    except AnsibleError as error:
        if isinstance(value, Mapping):
            return {key: _templated(one, below(path, key), templar, faults) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [_templated(one, f"{path}[{index}]", templar, faults) for index, one in enumerate(value)]
        words = " ".join(str(error).split())
        faults.append(f"{path}: {words}{f'; give {_PASSWORD}' if 'vault' in words.lower() else ''}")
    return None


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
        return value, f"{shown} cannot be read; check its permissions and, if it is encrypted, give {_PASSWORD}"
