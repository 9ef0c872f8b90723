"""The public names of `import tacit`: each can be reached, is documented, and is free until used."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import operator
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tacit
from tacit import _native

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = sorted(getattr(tacit, "__all__", []))
FOUND = (module.name for module in pkgutil.walk_packages(tacit.__path__, "tacit."))
MODULES = sorted(name for name in FOUND if not name.endswith("__main__"))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(tacit, name)
    if inspect.isclass(value) or callable(value):
        assert inspect.getdoc(value), f"tacit.{name} says nothing about itself"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(importlib.import_module(name)) or name == "tacit._native"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "tacit._native"])
def test_a_module_exports_only_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    assert [export for export in getattr(module, "__all__", []) if not hasattr(module, export)] == []


def test_dir_lists_the_public_names() -> None:
    assert set(PUBLIC) <= set(dir(tacit))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        operator.attrgetter("no_such_name")(tacit)


def test_public_names_are_loaded_when_they_are_first_used() -> None:
    listing = "import sys, tacit; print(*sorted(name for name in sys.modules if name.startswith('tacit.')))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_python_and_rust_agree_on_the_version() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert _native.__version__ == workspace
    assert importlib.metadata.version("tacit") == workspace
