"""The command line of the simulated nvidia-smi."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from simulated_nvidia import config, listing, mig, mode, summary, xmlquery
from simulated_nvidia.answer import INVALID_COMBINATION, Code, Refused
from simulated_nvidia.clients import Clients
from simulated_nvidia.config import Paths
from simulated_nvidia.faults import Faults, spoil
from simulated_nvidia.power import Power
from simulated_nvidia.session import Session
from simulated_nvidia.state import Store

LONG = {
    "--id": "-i",
    "--list-gpus": "-L",
    "--query": "-q",
    "--xml-format": "-x",
    "--persistence-mode": "-pm",
    "--multi-instance-gpu": "-mig",
    "--gpu-reset": "-r",
    "--loop": "-l",
    "--loop-ms": "-lms",
}
WITH_VALUE = ("-i", "-pm", "-mig", "--query-gpu", "--format")
LOOPS = {"-l": 1000, "-lms": 1}  # milliseconds
ALONE = ("-L", "-q", "-x", "-r")
SWITCH = {"0": False, "1": True, "DISABLED": False, "ENABLED": True}


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Answers once, or with -l or -lms repeatedly until something fails, like the real program."""
    paths = Paths.of(os.environ if environment is None else environment)
    once, every = _without_loop(arguments)
    code, due = _answer(paths, once, out or sys.stdout, err or sys.stderr), time.monotonic()
    while every and code in (0, Code.GPU_IS_LOST):
        due = max(due + every, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        code = _answer(paths, once, out or sys.stdout, err or sys.stderr, again=True)
    return code


def _without_loop(arguments: Sequence[str]) -> tuple[list[str], float]:
    """The arguments of one answer, and the seconds between answers; 0 for a single answer."""
    once, every, waiting = [], 0.0, list(arguments)
    while waiting:
        name, _, value = waiting.pop(0).partition("=")
        if LONG.get(name, name) in LOOPS:
            every = int(value or waiting.pop(0)) * LOOPS[LONG.get(name, name)] / 1000
        else:
            once.append(f"{name}={value}" if value else name)
    return once, every


def _answer(paths: Paths, arguments: Sequence[str], out: TextIO, err: TextIO, again: bool = False) -> int:
    faults = Faults(paths.state, " ".join(arguments))
    session: Session | None = None
    lines: tuple[str, ...] = ()
    code = 0
    faults.hang()
    try:
        session = _run(paths, faults, arguments, again)
    except Stopped as stopped:
        session, code, lines = stopped.session, stopped.refused.code, stopped.refused.lines
    except Refused as refused:
        code, lines = refused.code, refused.lines
    text = faults.banner + "".join(session.out if session else ()) + "".join(f"{line}\n" for line in lines)
    if session and faults.inforom:
        text, code = text + faults.inforom, code or Code.CORRUPT_INFOROM
    out.write(spoil(text) if faults.garbage else text)
    out.flush()
    if session and session.err:
        err.write("".join(session.err))
        err.flush()
        code = code or Code.GPU_IS_LOST
    return int(code)


class Stopped(Exception):
    """A refusal after a part of the command was done and printed."""

    def __init__(self, session: Session, refused: Refused) -> None:
        super().__init__(str(refused))
        self.session = session
        self.refused = refused


def _run(paths: Paths, faults: Faults, arguments: Sequence[str], again: bool) -> Session:
    settings = config.load(paths.config)
    store = Store(paths)
    store.prepare(settings)
    with store.locked():
        faults.driver()
        faults.fail()
        host = store.load(settings)
        session = Session(host, Clients(paths), Power(paths.state), store.writable, faults.lost, again)
        try:
            _command(session, list(arguments))
        except Refused as refused:
            raise Stopped(session, refused) from None
        finally:
            store.save(host)
    return session


def _command(session: Session, arguments: list[str]) -> None:
    match arguments:
        case ["mig", *rest]:
            mig.run(session, rest)
        case ["topo", "-m" | "--matrix"]:
            listing.topology(session)
        case ["--version"]:
            session.say(_version(session))
        case _:
            _options(session, _parse(arguments))


def _options(session: Session, options: dict[str, str]) -> None:
    ids = options.pop("-i", None)
    match options:
        case {"-L": _}:
            listing.list_gpus(session, session.select(ids))
        case {"--query-gpu": fields, "--format": style}:
            listing.query(session, session.select(ids), fields, style)
        case {"-q": _, "-x": _}:
            xmlquery.query(session, session.reachable(ids))
        case {"-mig": value}:
            mode.set_mig(session, session.reachable(ids), _switch(value))
        case {"-pm": value}:
            mode.set_persistence(session, session.reachable(ids), _switch(value))
        case {"-r": _}:
            mode.reset(session, session.reachable(ids))
        case {} if not options:
            summary.show(session, session.reachable(ids))
        case _:
            raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)


def _switch(value: str) -> bool:
    if value.upper() not in SWITCH:
        raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
    return SWITCH[value.upper()]


def _parse(arguments: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    waiting = list(arguments)
    while waiting:
        name, _, value = waiting.pop(0).partition("=")
        name = LONG.get(name, name)
        if name in WITH_VALUE:
            if not value and not waiting:
                raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
            options[name] = value or waiting.pop(0)
        elif name in ALONE:
            options[name] = ""
        else:
            raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
    return options


def _version(session: Session) -> str:
    version = session.driver.version
    return (
        f"NVIDIA-SMI version  : {version}\nNVML version        : {version.rpartition('.')[0]}\n"
        f"DRIVER version      : {version}\nCUDA Version        : {session.driver.cuda}\n"
    )
