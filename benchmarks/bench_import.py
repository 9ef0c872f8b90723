"""Starting a process that uses tacit, beside starting one that does not."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar


class Import:
    """A fresh interpreter imports the package, or nothing, or what a script of one's own would need."""

    params: ClassVar = [["native", "bare python", "json and sqlite3"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        statement = {
            "native": "import tacit",
            "bare python": "pass",
            "json and sqlite3": "import json, sqlite3",
        }[implementation]
        self.command = [sys.executable, "-c", statement]

    def time_import(self, implementation: str) -> None:
        subprocess.run(self.command, check=True)
