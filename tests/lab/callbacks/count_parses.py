"""A callback of tests: every parse of a fleet, in whichever process of Ansible, is a line of the file $COUNT_PARSES."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet


class CallbackModule(CallbackBase):
    CALLBACK_NAME = "count_parses"
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Ansible has not forked yet, so its workers count too."""
        parse = Fleet.parse

        def counted(variables: Mapping[str, Any]) -> Fleet:
            with Path(os.environ["COUNT_PARSES"]).open("a") as file:
                file.write("parsed\n")
            return parse(variables)

        Fleet.parse = counted  # type: ignore[method-assign]
