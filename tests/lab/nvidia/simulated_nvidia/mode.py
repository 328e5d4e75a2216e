"""Changes of a whole GPU: MIG mode, reset, persistence mode."""

from __future__ import annotations

from collections.abc import Sequence

from simulated_nvidia.answer import Code, Refused
from simulated_nvidia.session import Session
from simulated_nvidia.state import Gpu

TERMINATING = "Terminating early due to previous errors."
BEING_USED = (
    "is currently being used by one or more other processes (e.g. CUDA application or a monitoring application such "
    "as another instance of nvidia-smi). Please first kill all processes using the device and retry the command or "
    "reboot the system to make MIG mode effective."
)
NOT_PERSISTENT = (
    "See the Known Issues section of the nvidia-smi(1) man page for more information. Run with [--help | -h] switch "
    "to get more information on how to enable persistence mode."
)


def set_mig(session: Session, gpus: Sequence[Gpu], wanted: bool) -> None:
    for gpu in gpus:
        _need_root(session, gpu, f"{'enable' if wanted else 'disable'} MIG Mode")
        if not gpu.config.kind.mig:
            session.say(f"Unable to {_verb(wanted)} MIG Mode for GPU {gpu.config.bus_id}: {Code.NOT_SUPPORTED.text}")
            session.say("Treating as warning and moving on.")
        elif gpu.config.kind.mode_resets:
            _set_by_reset(session, gpu, wanted)
        else:
            _set_at_once(session, gpu, wanted)
    session.say("All done.")


def _verb(wanted: bool) -> str:
    return "enable" if wanted else "disable"


def _set_by_reset(session: Session, gpu: Gpu, wanted: bool) -> None:
    """Ampere: the driver resets the GPU, unless something holds the GPU or the driver may not reset it (in a VM)."""
    gpu.pending = wanted
    bus_id = gpu.config.bus_id
    if gpu.mig == wanted:
        _changed(session, gpu, wanted)
    elif session.clients.held(gpu.config):
        session.say(f"Warning: MIG mode is in pending {_verb(wanted)} state for GPU {bus_id}:{Code.IN_USE.text}")
        session.say(f"{bus_id} {BEING_USED}")
    elif session.host.config.immediate_mode:
        gpu.take_effect()
        _changed(session, gpu, wanted)
    else:
        session.say(f"Warning: MIG mode is in pending {_verb(wanted)} state for GPU {bus_id}:{Code.NOT_SUPPORTED.text}")
        session.say(f"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU {bus_id}")


def _set_at_once(session: Session, gpu: Gpu, wanted: bool) -> None:
    """Hopper and later. Instances count as holders of the GPU."""
    if gpu.mig != wanted:
        if session.clients.held(gpu.config) or gpu.instances:
            text = f"Unable to {_verb(wanted)} MIG Mode for GPU {gpu.config.bus_id}: {Code.IN_USE.text}"
            raise Refused(Code.IN_USE, text, TERMINATING)
        gpu.mig = gpu.pending = wanted
    _changed(session, gpu, wanted)


def _changed(session: Session, gpu: Gpu, wanted: bool) -> None:
    session.say(f"{'Enabled' if wanted else 'Disabled'} MIG Mode for GPU {gpu.config.bus_id}")
    if not gpu.persistence and session.driver.major >= 525:
        session.say("")
        session.say(f"Warning: persistence mode is disabled on device {gpu.config.bus_id}. {NOT_PERSISTENT}")


def reset(session: Session, gpus: Sequence[Gpu]) -> None:
    """Refused as a whole while something holds one of them; mig-parted's issue 181 has message and status 255."""
    for gpu in gpus:
        _need_root(session, gpu, "reset")
    held = [gpu for gpu in gpus if session.clients.held(gpu.config)]
    if held:
        one = len(held) == 1
        raise Refused(
            Code.OTHER,
            "",
            "The following GPUs could not be reset:",
            *(f"  GPU {gpu.config.bus_id}: {Code.IN_USE.text}" for gpu in held),
            "",
            f"{len(held)} {'device is' if one else 'devices are'} currently being used by one or more other processes "
            "(e.g., Fabric Manager, CUDA application, graphics application such as an X server, or a monitoring "
            f"application such as another instance of nvidia-smi). Please first kill all processes using "
            f"{'this device' if one else 'these devices'} and all compute applications running in the system.",
        )
    for gpu in gpus:
        gpu.take_effect()
        session.say(f"GPU {gpu.config.bus_id} was successfully reset.")
    session.say("All done.")


def set_persistence(session: Session, gpus: Sequence[Gpu], wanted: bool) -> None:
    for gpu in gpus:
        _need_root(session, gpu, "set persistence mode")
        word = "Enabled" if wanted else "Disabled"
        if gpu.persistence == wanted:
            session.say(f"Persistence mode is already {word} for GPU {gpu.config.bus_id}.")
        else:
            session.say(f"{word} persistence mode for GPU {gpu.config.bus_id}.")
        gpu.persistence = wanted
    session.say("All done.")


def _need_root(session: Session, gpu: Gpu, what: str) -> None:
    if not session.privileged:
        text = f"Unable to {what} for GPU {gpu.config.bus_id}: {Code.NO_PERMISSION.text}"
        raise Refused(Code.NO_PERMISSION, text, TERMINATING)
