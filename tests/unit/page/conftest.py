"""The application of the page, without a browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for an inventory."""
    made = tmp_path / "inventory"
    made.mkdir()
    return made
