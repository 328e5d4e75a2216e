"""The stand-in for nvidia-persistenced: holds every GPU's device node open, and persistence mode on while it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from simulated_nvidia import cli, config
from simulated_nvidia.config import Paths

STOP = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Stays in the foreground, unlike the real daemon."""
    environment = os.environ if environment is None else environment
    paths = Paths.of(environment)
    on = "--no-persistence-mode" not in arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    cli.main(["-pm", "1" if on else "0"], environment)
    with ExitStack() as nodes:
        for gpu in config.load(paths.config).gpus:
            nodes.enter_context((paths.dev / f"nvidia{gpu.minor}").open("rb"))
        signal.sigwait(STOP)
    cli.main(["-pm", "0"], environment)
    return 0
