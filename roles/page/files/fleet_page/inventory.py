# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory on disk: read as Ansible reads it, written only if nobody else changed it meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible.errors import AnsibleError
from ansible.inventory.helpers import sort_groups
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.vars import host_group_vars
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_variables, parse_fleet
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import field_faults, value_faults
from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import HostNames, places
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import read

from fleet_page.disk import changed_since, why, write_all
from fleet_page.edits import Edit, Host, Proposal, Snapshot, parsed

SPECS = Path(__file__).parents[3] / "fleet" / "meta" / "argument_specs.yml"
GROUP = "fleet"
BESIDE = ("group_vars", "host_vars")
ENDINGS = (".yml", ".yaml", ".json", "")
LARGEST = 5_000_000  # bytes of a file
MOST_FILES = 5_000
GIT_SECONDS = 30


@cache
def options() -> Mapping[str, Any]:
    """Every variable of the inventory, as its argument spec has it."""
    found: Mapping[str, Any] = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
    return found


class Inventory:
    """source: the file or folder that ansible-playbook gets with -i."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.folder = source if source.is_dir() else source.parent
        self._lock = threading.RLock()
        self._known = Snapshot(self.folder)
        self.usable = self._known  # the last one without a fault that concerns all of it

    def digest(self) -> str:
        """Another one when a file was changed, created or removed."""
        found = hashlib.sha256()
        for file in self._files(self.source, self.folder):
            try:
                seen = file.stat()
                found.update(f"{file}\0{seen.st_mtime_ns}\0{seen.st_size}\0{seen.st_ino}\n".encode())
            except OSError:
                found.update(f"{file}\0gone\n".encode())
        return found.hexdigest()

    def snapshot(self) -> Snapshot:
        """The inventory now; read again only if a file changed."""
        with self._lock:
            digest = self.digest()
            if digest != self._known.digest or not self._known.digest:
                self._known = replace(self._read(self.source, self.folder), digest=digest)
                if not self._known.faults or not self.usable.hosts:
                    self.usable = self._known
            return self._known

    def proposal(self, what: str, edits: Iterable[Edit]) -> Proposal:
        """What the edits would make of the inventory as it is now. Raises FleetError if text cannot express one."""
        with self._lock:
            now = self.snapshot()
            texts: dict[Path, tuple[str | None, str]] = {}
            for edit in edits:
                before = now.texts.get(edit.file)
                text = texts[edit.file][1] if edit.file in texts else before or ""
                try:
                    texts[edit.file] = before, edit.applied(text)
                except FleetError as error:
                    raise FleetError(*(f"{edit.file}: {fault}" for fault in error.faults)) from None
            with self.copy(texts) as (source, folder):
                after = self._read(source, folder)
            hosts = tuple(name for name, host in after.hosts.items() if host.given != _given(now, name))
            known = {
                *map(_unnumbered, now.faults),
                *(_unnumbered(one) for host in now.hosts.values() for one in host.faults),
            }
            found = (fault for host in after.hosts.values() for fault in host.faults)
            new = [fault for fault in found if _unnumbered(fault) not in known]
            faults = tuple(dict.fromkeys([*after.faults, *new]))
            return Proposal(what, texts, after, hosts, faults)

    @contextmanager
    def copy(self, texts: Mapping[Path, tuple[str | None, str]]) -> Iterator[tuple[Path, Path]]:
        """A copy of the inventory with other texts: its source, and its folder."""
        with tempfile.TemporaryDirectory(prefix="inference-fleet-page-") as temporary:
            folder = Path(temporary)
            for file in filter(Path.is_file, self._files(self.source, self.folder, hidden=True)):
                target = folder / file.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    shutil.copy2(file, target)
                except OSError as error:
                    raise FleetError(f"{file}: {why(error)}; check its group and mode") from None
            for file, (_before, after) in texts.items():
                target = folder / file.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(after.encode())
            yield folder / self.source.relative_to(self.folder), folder

    def write(self, proposal: Proposal, who: str) -> str:
        """Writes the texts, unless a file changed since the proposal; commits them where git has the inventory.
        Returns what was done. Raises FleetError."""
        if proposal.faults:
            raise FleetError(*proposal.faults)
        with self._lock:
            meanwhile = [
                changed_since(file, before, now)
                for file, (before, _after) in proposal.texts.items()
                if (now := _text(file)) != before
            ]
            if meanwhile:
                raise FleetError(*meanwhile)
            dirty = self._uncommitted(proposal.texts)
            write_all(proposal.texts)
            return self._commit(proposal, who, dirty)

    def _uncommitted(self, texts: Mapping[Path, Any]) -> list[str] | None:
        """The files with changes that nobody committed, None without git."""
        if self._git("rev-parse", "--is-inside-work-tree").returncode:
            return None
        return self._git("status", "--porcelain", "--", *_targets(texts)).stdout.splitlines()

    def _commit(self, proposal: Proposal, who: str, dirty: list[str] | None) -> str:
        written = "written to " + ", ".join(map(str, proposal.texts))
        if dirty is None:
            return written
        if dirty:
            return f"{written}; not committed, since the file has other changes that nobody committed"
        files = _targets(proposal.texts)
        name = " ".join(re.sub(r"[^\w .@+-]", " ", who).split()) or "nobody"
        person = f"{name} <{name.replace(' ', '.')}@{os.uname().nodename}>"
        self._git("add", "--", *files)
        answer = self._git("commit", "--quiet", "--message", proposal.what, "--author", person, "--", *files)
        if answer.returncode:
            words = (answer.stderr or answer.stdout).strip().splitlines()
            return f"{written}; git did not commit: {words[-1] if words else 'no reason given'}"
        return f"{written} and committed"

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        who = ("-c", "user.name=inference-fleet-page", "-c", f"user.email=inference-fleet-page@{os.uname().nodename}")
        try:
            return subprocess.run(
                ["git", "-C", str(self.folder), "-c", "safe.directory=*", *who, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=GIT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess([], 1, "", str(error))

    def _files(self, source: Path, folder: Path, hidden: bool = False) -> list[Path]:
        roots = [source] if source.is_dir() else [source, *(folder / name for name in BESIDE)]
        found: list[Path] = []
        for root in roots:
            if root.is_file():
                found.append(root)
            found += _below(root, hidden)
        return sorted(found)[:MOST_FILES]

    def _read(self, source: Path, folder: Path) -> Snapshot:
        """Paths in the result are those of the inventory itself, where a copy is read."""
        own = {file: self.folder / file.relative_to(folder) for file in self._files(source, folder)}
        texts: dict[Path, str] = {}
        faults: list[str] = []
        for file, path in own.items():
            if not file.is_file():
                faults.append(f"{path}: is a pipe or a socket, which Ansible waits for; move it out of the inventory")
                continue
            text = _text(file)
            if text is not None and path.suffix in ENDINGS:
                texts[path] = text
                if path.suffix in (".yml", ".yaml") and not text.startswith("$ANSIBLE_VAULT"):
                    faults += _yaml_faults(path, text)
            elif not os.access(file, os.R_OK):
                faults.append(f"{path}: cannot be read by the user of this service; check its group and mode")
        data = {path: parsed(text) for path, text in texts.items()}
        if faults:
            return Snapshot(self.folder, texts=texts, data=data, faults=tuple(faults))
        try:
            hosts = self._hosts(source, folder, data)
        except (AnsibleError, OSError, UnicodeError, ValueError, RecursionError) as error:
            words = " ".join(str(error).split()).replace(str(folder), str(self.folder))
            return Snapshot(self.folder, texts=texts, data=data, faults=(f"{self.source}: {words}",))
        if not hosts:
            faults.append(f"{self.source}: has no host in the group {GROUP}; add one, as inventories/example shows")
        return Snapshot(self.folder, hosts, texts, data, tuple(faults))

    def _hosts(self, source: Path, folder: Path, data: Mapping[Path, Any]) -> dict[str, Host]:
        # Ansible remembers for the life of a process which files of variables there are.
        for known in (host_group_vars.FOUND, host_group_vars.NAK, host_group_vars.CANONICAL_PATHS):
            known.clear()
        loader = DataLoader()
        manager = InventoryManager(loader=loader, sources=[str(source)])
        variables = VariableManager(loader=loader, inventory=manager)
        group = manager.groups.get(GROUP)
        below = [path for path in data if {*path.relative_to(self.folder).parts[:-1]} & {*BESIDE}]
        sources = {path: data[path] for path in data if path not in below}
        found = {}
        for one in sorted(group.get_hosts(), key=lambda host: host.name) if group else ():
            names = HostNames(one.name, tuple(group.name for group in sort_groups(one.get_groups())))
            where = tuple(places(names, sources, below))
            try:
                of_host = variables.get_vars(host=one)
            except AnsibleError as error:
                words = " ".join(str(error).split()).replace(str(folder), str(self.folder))
                found[one.name] = Host(names, faults=(f"{words}; the page needs files that it can read",), places=where)
                continue
            of_host["inventory_dir"] = str(self.folder)
            found[one.name] = _host(names, of_host, loader, where)
        return found


def _host(names: HostNames, variables: Mapping[str, Any], loader: DataLoader, where: tuple[Any, ...]) -> Host:
    given, faults = fleet_variables(variables, Templar(loader=loader, variables=variables), loader)
    fleet = None
    try:
        # A value that is encrypted is not known, and no fault of the inventory.
        fleet = parse_fleet({name: value for name, value in given.items() if value is not None} if faults else given)
    except FleetError as error:
        faults += error.faults
    known = {fault.path[:1] for fault in field_faults(faults)}
    faults += [fault for fault in value_faults(options(), given) if field_faults([fault])[0].path[:1] not in known]
    # Without the tags that Ansible puts on values.
    plain = json.loads(json.dumps(given, default=str))
    return Host(names, plain, fleet, tuple(faults), where)


def _below(root: Path, hidden: bool) -> Iterator[Path]:
    """The files below a folder, also below links to folders, which Ansible follows, each folder once."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        seen.add(Path(parent).resolve())
        folders[:] = [name for name in folders if not name.startswith(".") and Path(parent, name).resolve() not in seen]
        files = (Path(parent, name) for name in names if hidden or not name.startswith((".", "~")))
        yield from (file for file in files if file.exists())  # no link to nothing


def _unnumbered(fault: str) -> str:
    """The same for an entry that moved in its list."""
    return re.sub(r"\[\d+\]", "[]", fault)


def _given(snapshot: Snapshot, host: str) -> Mapping[str, Any] | None:
    return snapshot.hosts[host].given if host in snapshot.hosts else None


def _targets(files: Iterable[Path]) -> list[str]:
    """For git, which sees a link as a file of its own."""
    return [str(file.resolve()) for file in files]


def _text(file: Path) -> str | None:
    """None if there is no such file, or no text."""
    try:
        if file.stat().st_size > LARGEST:
            return None
        with file.open(encoding="utf-8", newline="") as found:  # line ends stay as they are
            return found.read()
    except (OSError, UnicodeError):
        return None


def _yaml_faults(file: Path, text: str) -> list[str]:
    try:
        read(text)
    except FleetError as error:
        return [f"{file}: {fault}" for fault in error.faults]
    return []
