"""A small agent meets a database that it does not know: without tacit, then with it.

`run` does the experiment, `print_report` shows it. It is what `tacit demo` and `make demo` do.
"""

from .experiment import SEED, Block, Curve, DemoResult, Example, Transcript, Trial, Use, run
from .loop import live
from .report import TITLES, print_report

__all__ = [
    "SEED",
    "TITLES",
    "Block",
    "Curve",
    "DemoResult",
    "Example",
    "Transcript",
    "Trial",
    "Use",
    "live",
    "print_report",
    "run",
]
