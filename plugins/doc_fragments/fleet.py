# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of every module that takes the fleet of a host."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  models:
    description:
      - Models to use in place of C(fleet_models), in the same form, for a playbook of your own without an inventory of
        this collection. The other C(fleet_) variables of the host (images, recipes, cache, ...) still apply.
      - The role C(fleet) describes all of them. Faults of all entries are reported in one message, each with its path.
    type: list
    elements: dict
  fleet:
    description:
      - The parts of the host's fleet that the module needs. Its action plugin sets this option, not the playbook, from
        what M(inference.fleet.validate) read, or else from the C(fleet_) variables of the host.
    type: dict
    default: {}
  secrets:
    description:
      - The token of the hub, secret values of the models' environments, and the URL of a proxy that has a password. Its
        action plugin sets this option.
    type: dict
    default: {}
"""
