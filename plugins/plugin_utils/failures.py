# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exceptions that no code expects, in plugins on the controller: a message instead of Python's traceback.

Ansible's own errors are left to Ansible.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ansible.errors import AnsibleError
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of

Function = TypeVar("Function", bound=Callable[..., Any])


def action(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """For `run` of an action: the task fails with the message."""

    @wraps(run)
    def reported(*given: Any, **more: Any) -> dict[str, Any]:
        try:
            return run(*given, **more)
        except AnsibleError:
            raise
        except Exception as error:
            return {"failed": True, "msg": fault_of(error)}

    return reported


def raising(kind: type[AnsibleError]) -> Callable[[Function], Function]:
    """For a lookup or a filter: raises `kind` with the message."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def reported(*given: Any, **more: Any) -> Any:
            try:
                return function(*given, **more)
            except AnsibleError:
                raise
            except Exception as error:
                raise kind(fault_of(error)) from None  # Ansible would print the cause, too

        return reported  # type: ignore[return-value]  # of the same signature

    return decorate
