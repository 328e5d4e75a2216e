"""Running a module's main() in this process, as Ansible does on a host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args


class Module:
    """main: the module's. Calling it gives what the module returns."""

    def __init__(self, main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
        self.main = main
        self.capsys = capsys

    def __call__(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            self.main()
        answer: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        answer.pop("invocation", None)
        return answer
