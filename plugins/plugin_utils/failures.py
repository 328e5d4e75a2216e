# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failures of plugins on the controller: each is printed once, and an exception that no code expects is a message.

Ansible's own errors are left to Ansible.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.playbook.task import Task
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.table import headed
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of

Function = TypeVar("Function", bound=Callable[..., Any])


class _Printed(AnsibleActionFail):  # type: ignore[misc]  # Ansible has no types
    """A result that Ansible prints once: without the key `exception`, its message is not printed as an error, too."""

    @property
    def omit_exception_key(self) -> bool:
        return True


def action(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """For `run` of an action: the task fails with the message, which is printed once."""

    @wraps(run)
    def reported(self: Any, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        try:
            answer = run(self, tmp, task_vars)
        except AnsibleError:
            raise
        except Exception as error:
            answer = {"failed": True, "msg": fault_of(error)}
        if answer.get("failed") and not answer.get("unreachable") and isinstance(self._task, Task):
            _print_once(self._task, answer, task_vars["inventory_hostname"])
        return answer

    return reported


def _print_once(task: Task, answer: dict[str, Any], host: str) -> None:
    """Raises _Printed. A message of several lines is printed as text, unless something else reads the message."""
    if constants.DEFAULT_STDOUT_CALLBACK.rpartition(".")[2] != "default":
        return  # for a program, which gets the whole message
    if Display().verbosity > 2 or answer.get("warnings") or answer.get("deprecations"):
        return  # for Ansible to print, with the exception
    if task.failed_when or task.until or task.retries:
        return  # which Ansible evaluates for a returned result alone
    read = task.ignore_errors or task.no_log or _is_rescued(task)
    first, _break, more = str(answer.get("msg", "")).partition("\n")
    if more and not read:
        Display().display(headed(host, [first, *more.splitlines()]))
        answer = {**answer, "msg": f"{first} (the rest is printed above)"}
    raise _Printed(str(answer.get("msg", "")), result={"changed": False, **answer})


def _is_rescued(task: Task) -> bool:
    """Whether a rescue reads the message. One that begins with a summary only records that there was a failure."""
    child, parent = task, task._parent
    while parent:
        rescue = getattr(parent, "rescue", [])
        records = rescue and getattr(rescue[0], "action", "") == "inference.fleet.summary"
        if rescue and not records and child._uuid not in [one._uuid for one in (*rescue, *parent.always)]:
            return True
        child, parent = parent, parent._parent
    return False


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
