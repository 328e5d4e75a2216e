# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of a playbook by ansible-runner: `python -m fleet_page.run FOLDER`, with the rest on standard input."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import ansible_runner

from fleet_page.command import extra_variables, limited
from fleet_page.runs import COPY, IDENT, REQUEST

PROMPTS = {"become": r"^BECOME password.*:\s*?$", "vault": r"^Vault password.*:\s*?$"}
ASKS = {"become": "--ask-become-pass", "vault": "--ask-vault-pass"}


def main(folder: Path, given: dict[str, Any]) -> int:
    """given: program, config and inventory (paths), and passwords, which ansible-playbook gets on its terminal."""
    request = json.loads((folder / REQUEST).read_text())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else the playbook would inherit that it is ignored
    # Not from ansible-runner's `envvars`, which it would write to a file.
    # Alone: beside it is the page's own Python, which a host with the connection `local` would get.
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "ansible-playbook").symlink_to(given["program"])
    os.environ["PATH"] = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    os.environ["ANSIBLE_CONFIG"] = given["config"]
    os.environ["PWD"] = str(folder / "files")
    (folder / "files").mkdir(exist_ok=True)
    (folder / "project").mkdir(exist_ok=True)
    passwords = {name: text for name, text in given["passwords"].items() if text}
    words = [*extra_variables(request["options"]), *limited(request["limit"])]
    if request["check"]:
        words += ["--check", "--diff"]
    words += [ASKS[name] for name in passwords]
    try:
        ended = ansible_runner.run(
            private_data_dir=str(folder),
            ident=IDENT,
            playbook=f"inference.fleet.{request['playbook']}",
            inventory=request["inventory"] or given["inventory"],
            cmdline=shlex.join(words) or None,
            passwords={PROMPTS[name]: text for name, text in passwords.items()} or None,
            suppress_env_files=True,
            quiet=True,
        )
    finally:
        if request["inventory"]:
            shutil.rmtree(folder / COPY, ignore_errors=True)  # the result counts; what is left goes with the history
    return 1 if ended.rc is None else int(ended.rc)  # None: ended by a signal


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.load(sys.stdin)))
