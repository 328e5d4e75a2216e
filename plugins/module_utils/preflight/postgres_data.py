# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether the PostgreSQL image can read the host's data. Pure.

PostgreSQL cannot read data of another major version: the container would die at its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, OK, Check

# Since 18 the official image refuses a volume at /var/lib/postgresql/data (docker-library/postgres #1259).
NEWEST = 17
_IMAGE = "fleet_images.postgres"


@dataclass(frozen=True)
class DatabaseFacts:
    """data: the major version in the volume's PG_VERSION; None without data.

    image: the image's PG_MAJOR; None where the image is not on the host or has no PG_MAJOR.
    """

    data: Optional[str] = None
    image: Optional[str] = None


def database_checks(fleet: Fleet, found: DatabaseFacts) -> Iterator[Check]:
    image, volume = fleet.images.postgres, fleet.postgres.volume
    major = found.image or _tag_says(image)
    if major and float(major) >= NEWEST + 1:
        yield Check(_IMAGE, FAULT, f"{image} is PostgreSQL {major}", f"{NEWEST} is the newest supported version")
    elif not found.data:
        return
    elif not major:
        yield Check(
            _IMAGE,
            FAULT,
            f"the major version of {image} is not known, and the volume {volume} has data of PostgreSQL {found.data}",
            f"pull it on the host first, or use a tag that begins with the version, such as postgres:{found.data}",
        )
    elif major != found.data:
        yield Check(
            _IMAGE,
            FAULT,
            f"{image} is PostgreSQL {major}, and the volume {volume} has data of {found.data}, which it cannot read",
            f"to change versions without loss, run the playbook backup, set fleet_postgres.volume to a new name "
            f"(fleet-postgres-{major}), and run restore_backup; the previous volume stays",
        )
    else:
        yield Check("postgres", OK, f"the data and the image have major version {major}")


def _tag_says(image: str) -> Optional[str]:
    """The number that a tag begins with, such as 15 of `postgres:15.19-alpine`."""
    last = image.partition("@")[0].rpartition("/")[2]
    number = re.match(r"\d+", last.partition(":")[2])
    return number.group() if number else None
