# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that mean the same in every module that takes a host's models."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  models:
    description:
      - The host's models, as C(fleet_models) has them. Each entry has the keys C(name), C(type), C(source), C(devices),
        C(replicas), C(state), C(args), C(env), C(image), C(recipe), C(open), C(direct), C(ready_timeout) (seconds,
        default 1800) and C(shm_size) (default C(8g)).
      - Faults of all entries are reported in one message, each with its path.
    type: list
    elements: dict
    required: true
  images:
    description: Image references that replace the pinned ones, as C(fleet_images) has them.
    type: dict
    default: {}
  recipes:
    description:
      - Recipes that the models name, as C(fleet_recipes) has them. Those of the collection (C(whisper), C(voxtral),
        C(gemma3n)) need not be listed.
    type: dict
    default: {}
  cache:
    description:
      - Where weights from a hub are kept and how they get there, as C(fleet_cache) has it. Without a C(path) it is the
        Docker volume C(fleet-hf-cache).
    type: dict
    default: {}
  mig:
    description:
      - What the GPUs are partitioned into, as C(fleet_mig) has it. GPU index, UUID or V(all) to a list of MIG devices
        or V(off), or V(auto).
    type: raw
    default: {}
  absent:
    description: Models that are taken as V(absent) in this call, whatever O(models) says of them.
    type: list
    elements: str
    default: []
"""
