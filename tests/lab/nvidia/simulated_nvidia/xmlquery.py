"""`nvidia-smi -q -x`, as far as anybody asks for it; elements that no test needs are left out."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from simulated_nvidia import listing
from simulated_nvidia.session import Session
from simulated_nvidia.state import ComputeInstance, Gpu, GpuInstance

RESERVED_MIB = 600


def query(session: Session, gpus: Sequence[Gpu]) -> None:
    root = ET.Element("nvidia_smi_log")
    _add(root, "timestamp", time.strftime("%a %b %e %H:%M:%S %Y"))
    _add(root, "driver_version", session.driver.version)
    _add(root, "cuda_version", session.driver.cuda)
    _add(root, "attached_gpus", str(len(session.host.gpus)))
    for gpu in gpus:
        _gpu(session, ET.SubElement(root, "gpu", id=gpu.config.bus_id), gpu)
    ET.indent(root, "\t")
    body = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    session.say(f'<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "{session.driver.schema}">\n{body}')


def _add(parent: ET.Element, tag: str, text: str | None = None, **children: str) -> ET.Element:
    element = ET.SubElement(parent, tag)
    element.text = text
    for name, value in children.items():
        ET.SubElement(element, name).text = value
    return element


def _gpu(session: Session, parent: ET.Element, gpu: Gpu) -> None:
    kind, config = gpu.config.kind, gpu.config
    _add(parent, "product_name", listing.name(session, gpu))
    _add(parent, "product_brand", kind.brand if session.driver.vendor else "Tesla")
    if session.driver.tells_architecture:
        _add(parent, "product_architecture", kind.architecture)
    _add(parent, "persistence_mode", "Enabled" if gpu.persistence else "Disabled")
    _mig(session, parent, gpu)
    _add(parent, "uuid", config.uuid)
    _add(parent, "minor_number", str(config.minor))
    domain, bus, device = config.bus_id.split(":")
    pci = {"pci_bus": bus, "pci_device": device[:2], "pci_domain": domain[4:], "pci_bus_id": config.bus_id}
    _add(parent, "pci", **pci)
    _memory(session, parent, kind.mib, listing.used_memory(session, gpu), RESERVED_MIB)
    _add(parent, "compute_mode", "Default")
    _add(parent, "utilization", gpu_util="N/A" if gpu.mig else "0 %")
    _power(session, parent, gpu)
    if session.driver.tells_fabric:
        state, status = config.fabric
        _add(parent, "fabric", state=state, status=status)
    _processes(session, parent, gpu)


def _mig(session: Session, parent: ET.Element, gpu: Gpu) -> None:
    def mode(flag: bool) -> str:
        return ("Enabled" if flag else "Disabled") if gpu.config.kind.mig else "N/A"

    _add(parent, "mig_mode", current_mig=mode(gpu.mig), pending_mig=mode(gpu.pending))
    devices = _add(parent, "mig_devices")
    for index, (instance, part) in enumerate(gpu.devices()):
        _device(session, _add(devices, "mig_device"), gpu, index, instance, part)
    if not len(devices):
        devices.text = "\n\t\t\tNone\n\t\t"


def _device(
    session: Session, parent: ET.Element, gpu: Gpu, index: int, instance: GpuInstance, part: ComputeInstance
) -> None:
    profile = gpu.profile(instance)
    has = profile.engines
    _add(parent, "index", str(index))
    _add(parent, "gpu_instance_id", str(instance.id))
    _add(parent, "compute_instance_id", str(part.id))
    _add(
        _add(parent, "device_attributes"),
        "shared",
        multiprocessor_count=str(gpu.multiprocessors(instance, part.slices)),
        copy_engine_count=str(has.ce),
        encoder_count=str(has.enc),
        decoder_count=str(has.dec),
        ofa_count=str(has.ofa),
        jpg_count=str(has.jpeg),
    )
    _add(_add(parent, "ecc_error_count"), "volatile_count", sram_uncorrectable="0")
    in_it = sum(use.instance == instance.id for _, use in session.clients.of(gpu.config))
    _memory(session, parent, profile.mib, listing.USED_MIB * in_it, 0)


def _memory(session: Session, parent: ET.Element, total: int, used: int, reserved: int) -> None:
    values = {"total": f"{total} MiB"}
    if session.driver.tells_reserved_memory:
        values["reserved"] = f"{reserved} MiB"
    else:
        reserved = 0
    values |= {"used": f"{used} MiB", "free": f"{total - used - reserved} MiB"}
    if not total:
        values = dict.fromkeys(values, "N/A")
    _add(parent, "fb_memory_usage", **values)


def _power(session: Session, parent: ET.Element, gpu: Gpu) -> None:
    watts = gpu.config.kind.watts
    limit, draw = f"{watts:.2f} W" if watts else "N/A", f"{session.power.draw(gpu.config.index)} W"
    if session.driver.gpu_power_readings:
        limits = {"current_power_limit": limit, "requested_power_limit": limit}
        draws = session.driver.power_draws
        _add(
            parent,
            "gpu_power_readings",
            power_state="P0",
            **dict.fromkeys(draws, draw),
            **limits,
            default_power_limit=limit,
        )
    else:
        limits = {"power_limit": limit, "default_power_limit": limit, "enforced_power_limit": limit}
        _add(parent, "power_readings", power_state="P0", power_management="Supported", power_draw=draw, **limits)


def _processes(session: Session, parent: ET.Element, gpu: Gpu) -> None:
    processes = _add(parent, "processes")
    for client, use in session.clients.of(gpu.config):
        _add(
            processes,
            "process_info",
            gpu_instance_id="N/A" if use.instance is None else str(use.instance),
            compute_instance_id="N/A" if use.compute is None else str(use.compute),
            pid=str(client.pid),
            type="C",
            process_name=client.name,
            used_memory=f"{listing.USED_MIB} MiB",
        )
    if not len(processes):
        processes.text = "\n\t\t"
