"""How a command ends: what it prints, and NVML's return code as the exit status.

nvidia-smi(1), "RETURN VALUE", has 0 to 15 and 255; the two above 15 are NVML's (nvml.h, nvmlReturn_t).
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    CORRUPT_INFOROM = 14
    GPU_IS_LOST = 15
    LIBRARY_MISMATCH = 18
    IN_USE = 19
    INSUFFICIENT_RESOURCES = 23
    OTHER = 255

    @property
    def text(self) -> str:
        """The text of nvmlErrorString."""
        return {
            Code.INVALID_ARGUMENT: "Invalid Argument",
            Code.NOT_SUPPORTED: "Not Supported",
            Code.NO_PERMISSION: "Insufficient Permissions",
            Code.NOT_FOUND: "Not Found",
            Code.IN_USE: "In use by another client",
            Code.INSUFFICIENT_RESOURCES: "Insufficient Resources",
        }[self]


class Refused(Exception):
    """Ends a command; what it printed before stays printed."""

    def __init__(self, code: Code, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.code = code
        self.lines = lines


INVALID_COMBINATION = "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."
