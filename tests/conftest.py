"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real captures, which is not part of the repository; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data is absent: ../shared/data, beside the repository")
    return SHARED_DATA
