"""Code that an agent wrote runs here: in a locked-down process of its own, without files and network.

    from tacit.sandbox import CodeSandbox

    result = CodeSandbox().run("return context.orders.length", context={"orders": [17, 18]})

See docs/guides/sandbox.md for what is defended, by which layer, and what is not.
"""

from __future__ import annotations

from .labels import LABELS
from .runner import CodeSandbox
from .values import HostFunction, SandboxLimits, SandboxPolicy, SandboxResult, Status

__all__ = [
    "LABELS",
    "CodeSandbox",
    "HostFunction",
    "SandboxLimits",
    "SandboxPolicy",
    "SandboxResult",
    "Status",
]
