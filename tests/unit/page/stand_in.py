"""Behaves like ansible-playbook, in a few ways that the name of the playbook chooses. It notes how it was called."""

import getpass
import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).resolve().parent


def note(name: str, what: object) -> None:
    (HERE / f"{name}.new").write_text(json.dumps(what))
    (HERE / f"{name}.new").rename(HERE / name)


def interrupted(_number: int, _frame: object) -> None:
    print("[ERROR]: User interrupted execution", flush=True)
    sys.exit(99)


signal.signal(signal.SIGINT, interrupted)
playbook = next(word for word in sys.argv if word.startswith("inference.fleet.")).removeprefix("inference.fleet.")
asked = {
    option: getpass.getpass(prompt)
    for option, prompt in (("--ask-become-pass", "BECOME password: "), ("--ask-vault-pass", "Vault password: "))
    if option in sys.argv
}
inventory = sys.argv[sys.argv.index("-i") + 1]
seen = [str(path) for path in Path(inventory).rglob("*")]
note(
    "called",
    {"words": sys.argv[1:], "asked": asked, "environ": dict(os.environ), "pid": os.getpid(), "inventory": seen},
)
print(f"PLAY [{playbook}]", flush=True)
while playbook.startswith("wait") and not (HERE / "go").exists():
    time.sleep(0.02)
while playbook == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(0.02)
sys.exit(3 if playbook == "fail" else 0)
