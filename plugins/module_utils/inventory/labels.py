# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts of the collection's containers that modules with short runs need without the whole inventory. Pure."""

from __future__ import annotations

MANAGED_BY = "inference.fleet"  # label of the collection's containers
ENGINE_PORT = 8000  # of the API in every model container; not published on the host
