"""Builds of tacit: that of the working tree, and those of commits, made once in `.bench/`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".bench"
# The first commit whose figures later ones are compared with, where no version has a tag.
FIRST = "db3dcd2"


@dataclass(frozen=True)
class Build:
    """A folder that holds the package `tacit`, and code to run before it is measured."""

    name: str
    folder: Path
    change: str = ""


def working_tree() -> Build:
    """The build of `make build`: the files as they are now."""
    return Build("this build", ROOT / "python")


def default_base() -> str:
    """The newest tag that leads here, or the first commit that figures were kept of."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else FIRST


def commit_of(base: str) -> str:
    """The full name of a commit; `SystemExit` if there is none."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"BASE must be a commit, a tag or a branch of this repository; got {base!r}")
    return found.stdout.strip()


def build_of(base: str) -> Build:
    """A release build of a commit, from `.bench/` if it was made before."""
    commit = commit_of(base)
    folder = BENCH / commit
    if not folder.exists():
        make(commit, folder)
    return Build(f"base {commit[:9]}", folder)


def make(commit: str, folder: Path) -> None:
    """Builds the wheel of a commit and unpacks it to `folder`, which appears whole or not at all."""
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as scratch:
        source, wheels, unpacked = (Path(scratch, name) for name in ("source", "wheels", "unpacked"))
        archive = subprocess.run(
            ["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(source, filter="data")
        subprocess.run(
            [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--out", str(wheels)],
            cwd=source,
            env=os.environ | {"CARGO_TARGET_DIR": str(BENCH / "cargo")},
            check=True,
        )
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", str(unpacked), *map(str, wheels.glob("*.whl"))], check=True)
        unpacked.rename(folder)
