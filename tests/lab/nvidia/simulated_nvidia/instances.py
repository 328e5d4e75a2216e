"""Creating and destroying GPU instances and compute instances, and refusing to."""

from __future__ import annotations

from collections.abc import Sequence

from simulated_nvidia.allocation import Span, choose_compute
from simulated_nvidia.answer import Code, Refused
from simulated_nvidia.hardware import COMPUTE_IDS, Profile
from simulated_nvidia.session import Session
from simulated_nvidia.state import ComputeInstance, Gpu, GpuInstance


def compute_id(gpu: Gpu, instance: GpuInstance, slices: int) -> int:
    """Of the compute instance profile."""
    whole = gpu.profile(instance)
    return whole.compute_id if slices == whole.slices else COMPUTE_IDS[slices]


def create(session: Session, wanted: str, gpus: Sequence[Gpu], *, with_compute: bool) -> None:
    """wanted: PROFILE[:START],... After a refusal, instances already created stay, as on the hardware."""
    for gpu in gpus:
        for item in wanted.split(","):
            name, _, start = item.strip().partition(":")
            instance = _create_one(session, gpu, name, start)
            profile = gpu.profile(instance)
            session.say(_created(session, gpu, instance, profile))
            if with_compute:
                _create_compute_one(session, gpu, instance, profile.slices, str(profile.compute_id))


def _created(session: Session, gpu: Gpu, instance: GpuInstance, profile: Profile) -> str:
    where = f"on GPU {gpu.config.index:2}"
    if session.driver.old_messages:
        return f"Successfully created GPU instance {where} using profile ID {profile.id:2}"
    using = f"using profile MIG {profile.name} (ID {profile.id:2})"
    return f"Successfully created GPU instance ID {instance.id:2} {where} {using}"


def _create_one(session: Session, gpu: Gpu, name: str, start: str) -> GpuInstance:
    def refuse(code: Code) -> Refused:
        return Refused(
            code,
            f"Unable to create a GPU instance on GPU {gpu.config.index:2} using profile {name}: {code.text}",
            f"Failed to create GPU instances: {code.text}",
        )

    profile = _named(gpu, name)
    if profile is None or (start and not start.isdigit()):
        raise refuse(Code.INVALID_ARGUMENT)
    if start and int(start) not in profile.starts:
        raise refuse(Code.INVALID_ARGUMENT)
    if session.clients.uses_whole(gpu.config):
        raise refuse(Code.IN_USE)
    span = _span(session, gpu, profile, start)
    if span is None:
        raise refuse(Code.INSUFFICIENT_RESOURCES)
    room = gpu.room(mixes_3g_and_4g=True)
    instance = GpuInstance(room.instance_id(span, flipped=gpu.config.flipped), profile.id, span.start)
    gpu.instances.append(instance)
    return instance


def _span(session: Session, gpu: Gpu, profile: Profile, start: str) -> Span | None:
    room = gpu.room(mixes_3g_and_4g=session.driver.mixes_3g_and_4g)
    if not start:
        return room.choose(profile)
    return next((span for span in room.places(profile) if span.start == int(start)), None)


def _named(gpu: Gpu, name: str) -> Profile | None:
    bare = name.removeprefix("MIG ")
    return next((profile for profile in gpu.profiles if bare in (str(profile.id), profile.name)), None)


def create_compute(session: Session, wanted: str | None, found: Sequence[tuple[Gpu, GpuInstance]]) -> None:
    """wanted: PROFILE,... by ID or by name; without, one that fills each GPU instance."""
    for gpu, instance in found:
        whole = gpu.profile(instance)
        for item in (wanted or str(whole.compute_id)).split(","):
            slices = _compute_named(gpu, instance, item.strip())
            _create_compute_one(session, gpu, instance, slices, item.strip())


def _compute_named(gpu: Gpu, instance: GpuInstance, name: str) -> int | None:
    """Compute slices of the profile; None: this GPU instance has no such profile."""
    bare, whole = name.removeprefix("MIG ").removesuffix("*"), gpu.profile(instance)
    if bare == str(whole.compute_id) or bare in (whole.name, whole.compute_name):
        return whole.slices
    for slices, profile in COMPUTE_IDS.items():
        if slices < whole.slices and bare in (str(profile), gpu.compute_name(instance, slices)):
            return slices
    return None


def _create_compute_one(session: Session, gpu: Gpu, instance: GpuInstance, slices: int | None, name: str) -> None:
    place = f"on GPU {gpu.config.index:2} GPU instance ID {instance.id:2}"
    code = Code.INVALID_ARGUMENT
    if slices is not None:
        span = choose_compute(slices, gpu.profile(instance).slices, [part.span for part in instance.compute])
        if span is not None:
            made = ComputeInstance(_free_id(instance), slices, span.start)
            instance.compute.append(made)
            session.say(_created_compute(session, gpu, instance, made, place))
            return
        code = Code.INSUFFICIENT_RESOURCES
    raise Refused(
        code,
        f"Unable to create a compute instance {place} using profile {name}: {code.text}",
        f"Failed to create compute instances: {code.text}",
    )


def _created_compute(session: Session, gpu: Gpu, instance: GpuInstance, made: ComputeInstance, place: str) -> str:
    profile = compute_id(gpu, instance, made.slices)
    if session.driver.old_messages:
        return f"Successfully created compute instance {place} using profile ID {profile:2}"
    using = f"using profile MIG {gpu.compute_name(instance, made.slices)} (ID {profile:2})"
    return f"Successfully created compute instance ID {made.id:2} {place} {using}"


def _free_id(instance: GpuInstance) -> int:
    taken = {part.id for part in instance.compute}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def destroy(session: Session, found: Sequence[tuple[Gpu, GpuInstance]], numbers: dict[str, int]) -> None:
    for gpu, instance in found:
        what = f"GPU instance ID {instance.id:2} from GPU {numbers[gpu.config.uuid]:2}"
        if instance.compute or session.clients.uses_instance(gpu.config, instance.id):
            raise _in_use(what, "GPU instances")
        gpu.instances.remove(instance)
        session.say(f"Successfully destroyed {what}")


def destroy_compute(
    session: Session, found: Sequence[tuple[Gpu, GpuInstance, ComputeInstance]], numbers: dict[str, int]
) -> None:
    for gpu, instance, part in found:
        number = numbers[gpu.config.uuid]
        what = f"compute instance ID {part.id:2} from GPU {number:2} GPU instance ID {instance.id:2}"
        if session.clients.uses_instance(gpu.config, instance.id, part.id):
            raise _in_use(what, "compute instances")
        instance.compute.remove(part)
        session.say(f"Successfully destroyed {what}")


def _in_use(what: str, kind: str) -> Refused:
    text = Code.IN_USE.text
    return Refused(Code.IN_USE, f"Unable to destroy {what}: {text}", f"Failed to destroy {kind}: {text}")
