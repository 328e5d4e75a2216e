"""Stand-ins for a host's Python and pip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


class System:
    """A host with Python in `root` and its kit in `folder`. index: versions of ansible-core that pip can have.

    killed: the word in a command that is cut off before it has done all it does.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.index = {"2.19.14"}
        self.killed = ""
        self.ran: list[str] = []
        folder.mkdir(exist_ok=True)
        self.upgrade("python3.11")

    @property
    def python(self) -> Path:
        return (self.root / "python3").resolve()

    def upgrade(self, name: str) -> None:
        """A system upgrade installs another Python."""
        if (self.root / "python3").is_symlink():
            self.python.unlink()
            (self.root / "python3").unlink()
        (self.root / name).touch()
        (self.root / "python3").symlink_to(name)

    def install(self, name: str, version: str) -> None:
        """In a folder of its own below that of the kit."""
        self.run([str(self.root / "python3"), "-m", "venv", str(self.folder / name)])
        self._pip(self.folder / name, version)

    def run(self, command: Sequence[str]) -> tuple[int, str, str]:
        """As AnsibleModule.run_command."""
        self.ran.append(" ".join(command))
        if "venv" in command:
            bin = Path(command[-1], "bin")
            bin.mkdir(parents=True)
            (bin / "python3").symlink_to(command[0])
        elif "pip" in command:
            pinned = re.findall(r"^ansible-core==(\S+)", Path(command[-1]).read_text(), re.MULTILINE)
            return self._pip(Path(command[0]).parents[1], pinned[0])
        else:
            version = Path(command[0]).read_text()
            return (0, f"ansible-playbook [core {version}]\n  more\n", "") if version else (1, "", "no such module")
        return 0, "", ""

    def _pip(self, environment: Path, version: str) -> tuple[int, str, str]:
        packages = environment / "lib" / (environment / "bin/python3").resolve().name / "site-packages"
        info = packages / f"ansible_core-{version}.dist-info"
        for file in (packages / "jinja2-3.1.6.dist-info/RECORD", info / "METADATA"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        if self.killed == "pip":
            raise KeyboardInterrupt
        if version not in self.index:
            return (
                1,
                "Looking in links: /srv/wheels",
                f"WARNING: retrying\nERROR: nothing matches ansible-core=={version}",
            )
        (info / "RECORD").touch()
        (environment / "bin/ansible-playbook").write_text(version)
        return 0, "", ""
