"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time: a run that fails can be run again.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real captures, which is not part of the repository; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data is absent: ../shared/data, beside the repository")
    return SHARED_DATA
