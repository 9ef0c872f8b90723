"""Each public name carries an example in its docstring, and each example runs."""

from __future__ import annotations

import doctest
import inspect

import pytest

import tacit

NAMES = [name for name in tacit.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_carries_an_example_that_runs(name: str) -> None:
    documentation = inspect.getdoc(getattr(tacit, name)) or ""
    assert "Example:" in documentation, f"tacit.{name} has no Example: in its docstring"
    text = documentation.partition("Example:")[2]
    parsed = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert parsed.examples, f"the example of tacit.{name} holds no line that runs"
    output: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(parsed, out=output.append, clear_globs=False)
    assert results.failed == 0, "".join(output)
