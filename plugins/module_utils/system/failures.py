# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exceptions that no code expects, as faults. Modules and plugins end with these instead of Python's tracebacks."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Optional, TypeVar

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.work import check_lock, working

Module = TypeVar("Module", bound=Any)

COLLECTION = "ansible_collections.inference.fleet.plugins."
_LONGEST = 300
_POOL = re.compile(r"^\w*Pool\([^)]*\): ")  # as urllib3 names a connection


def run(work: Callable[[Module], None], module: Module, alone: str = "") -> None:
    """The work of a module. An exception ends the module with a message.

    Outside check mode, a module of a run that has lost the host's lock fails.
    alone: the name of a module that changes containers or GPUs; only one of them works at a time."""
    try:
        if module.check_mode:
            work(module)
        else:
            check_lock()
            with working(alone) if alone else nullcontext():
                work(module)
    except Exception as error:
        module.fail_json(msg=fault_of(error))


def fault_of(error: BaseException) -> str:
    """What a user reads of an exception: the file and what the system says of it, else also the place in the code."""
    if isinstance(error, FleetError):
        return str(error)
    if isinstance(error, (OSError, http.client.HTTPException)):
        path = getattr(error, "filename", None)
        return f"{path}: {words_of(error)}" if path else f"{words_of(error)} ({_place(error)})"
    if isinstance(error, RecursionError):
        return f"the data is nested too deeply ({_place(error)})"
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]
    return f"inference.fleet does not expect this: {words} ({_place(error)}); please report this message"


def words_of(error: BaseException) -> str:
    """What the system says, out of the exceptions that libraries put around it, such as ConnectionError(ProtocolError(
    'Connection aborted.', FileNotFoundError(2, 'No such file or directory')))."""
    inner: Optional[BaseException] = error
    while inner:
        error = inner
        parts = (*error.args, getattr(error, "reason", None))
        inner = next((one for one in parts if isinstance(one, BaseException) and one is not error), None)
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off"
    text = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split()) or type(error).__name__
    return _POOL.sub("", text)


def _place(error: BaseException) -> str:
    """The line of this collection that raised the exception, or that called what raised it."""
    place, trace = "in an unknown place", error.__traceback__
    while trace:
        name = str(trace.tb_frame.f_globals.get("__name__"))
        if name.startswith(COLLECTION) or name == "__main__":
            place = f"{name[len(COLLECTION) :] if name.startswith(COLLECTION) else 'module'}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
