"""Fixtures and settings that every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", UNTIMED, max_examples=50)
settings.register_profile("thorough", UNTIMED, max_examples=1_000)
settings.register_profile("ci", UNTIMED, max_examples=50, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "quick"))


# Answers that tests compare do not depend on when a thread was done; tests of the thread name their settings.
os.environ.setdefault("TACIT_ADVICE_TRAINING", "caller")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Agents of real frameworks need an environment of their own: they run if they are named."""
    is_named = any("frameworks" in argument for argument in config.args)
    return True if collection_path == ROOT / "tests" / "frameworks" and not is_named else None


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of recorded trajectories: TACIT_EVAL_DATA, else shared/data beside the project."""
    folder = Path(os.environ.get("TACIT_EVAL_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no recorded trajectories in {folder}: set TACIT_EVAL_DATA to their folder")
    return folder
