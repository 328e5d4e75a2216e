# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows that can be picked with a click, or with the keyboard."""

from __future__ import annotations

from typing import Any

PICK = """
const pick = (event) => {
  const row = event.target.closest('[data-pick]');
  if (!row) return;
  if (event.type === 'keydown') {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
  }
  element.querySelectorAll('.picked').forEach((one) => one.classList.remove('picked'));
  row.classList.add('picked');
  trigger('select', {pick: row.dataset.pick});
};
element.addEventListener('click', pick);
element.addEventListener('keydown', pick);
"""


def picked(event: Any) -> str:
    """What the row stands for. From a browser, so it may be anything."""
    data = getattr(event, "_data", None)
    found = data.get("pick") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""
