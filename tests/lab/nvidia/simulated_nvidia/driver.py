"""What differs between drivers: widths of tables, names, elements of the XML."""

from __future__ import annotations

from dataclasses import dataclass

CUDA = {450: "11.0", 460: "11.2", 470: "11.4", 510: "11.6", 515: "11.7", 525: "12.0", 530: "12.1", 535: "12.2"} | {
    545: "12.3",
    550: "12.4",
    555: "12.5",
    560: "12.6",
    570: "12.8",
    575: "12.9",
    580: "13.0",
}


@dataclass(frozen=True)
class Driver:
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".", 1)[0])

    @property
    def cuda(self) -> str:
        return CUDA[max(known for known in CUDA if known <= max(self.major, min(CUDA)))]

    @property
    def vendor(self) -> str:
        """Before the product's name, from R470 on."""
        return "NVIDIA " if self.major >= 470 else ""

    @property
    def old_uuids(self) -> bool:
        """MIG-GPU-<GPU>/<GPU instance>/<compute instance> (the container toolkit's issue 203)."""
        return self.major < 470

    @property
    def old_messages(self) -> bool:
        """R450 names neither the instance nor the profile that it created, and numbers the
        GPUs of `-dci` and `-dgi` among those selected."""
        return self.major < 460

    @property
    def compute_placement(self) -> bool:
        """Whether `-lci` has the column."""
        return self.major >= 470

    @property
    def profile_name_width(self) -> int:
        """From the start of a name in `-lgip` to its ID. Later drivers made room for +me, then for +me.all."""
        return 15 if self.major < 470 else 18 if self.major < 575 else 20

    @property
    def lists_profiles_without_mode(self) -> bool:
        """`-lgip` under driver 580 answers while MIG mode is off; the older captures that say
        "No MIG-enabled devices found." for it do not show which driver was the last."""
        return self.major >= 550

    @property
    def mixes_3g_and_4g(self) -> bool:
        """MIG User Guide, "Partitioning": not before R510."""
        return self.major >= 510

    @property
    def tells_architecture(self) -> bool:
        return self.major >= 470

    @property
    def tells_reserved_memory(self) -> bool:
        return self.major >= 510

    @property
    def tells_fabric(self) -> bool:
        return self.major >= 525

    @property
    def gpu_power_readings(self) -> bool:
        return self.major >= 530

    @property
    def power_draws(self) -> tuple[str, ...]:
        """The elements with the power draw, as captured under 580; which driver was the first is a guess."""
        return ("average_power_draw", "instant_power_draw") if self.major >= 580 else ("power_draw",)

    @property
    def schema(self) -> str:
        number = 11 if self.major < 525 else 12 if self.major < 580 else 13
        return f"nvsmi_device_v{number}.dtd"

    @property
    def numa_id_column(self) -> bool:
        return self.major >= 545

    def handle(self, index: int, bus_id: str) -> str:
        """How it names a GPU that it cannot open."""
        if self.major < 525:
            return f"GPU {bus_id[4:]}"
        return f"GPU{bus_id[4:]}" if self.major < 560 else f"GPU{index}: {bus_id[4:]}"
