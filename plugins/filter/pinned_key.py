# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: pinned_key
short_description: The signing key of a package repository, if it has the expected fingerprint
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the OpenPGP public keys of a file as text. Fails unless each key of the file has one of the fingerprints.
positional: _input, fingerprints
options:
  _input:
    description: The file in base64, as M(ansible.builtin.slurp) returns it. The file may be binary or text.
    type: str
    required: true
  fingerprints:
    description: The expected fingerprints, in hexadecimal digits. Blanks are ignored.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Add the repository to apt's sources
  ansible.builtin.deb822_repository:
    name: example
    uris: [https://example.com/deb]
    suites: [/]
    signed_by: "{{ fetched.content | inference.fleet.pinned_key([fingerprint]) }}"
  vars:
    fingerprint: C95B 321B 61E8 8C18 09C4  F759 DDCA E044 F796 ECB0
"""

RETURN = r"""
_value:
  description: The keys as text (ASCII armor).
  type: str
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.module_utils.system.openpgp import pinned_key
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pinned_key": _pinned_key}


@raising(AnsibleFilterError)
def _pinned_key(content: str, fingerprints: Iterable[str]) -> str:
    return pinned_key(base64.b64decode(content), fingerprints)
