"""Starting a process that uses tacit, beside starting one that does not."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar


class Import:
    """A fresh interpreter imports the package, or nothing, or the modules of a hand-written script."""

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


class Shell:
    """A command of the shell starts, beside a process that imports typer and rich and no more.

    Of `recall` these are the imports: the command's own and the memory's.
    """

    params: ClassVar = [["version", "help", "recall"], ["native", "typer and rich"]]
    param_names: ClassVar = ["command", "implementation"]

    def setup(self, command: str, implementation: str) -> None:
        statement = {
            "version": "from tacit.cli import main; import sys; sys.argv = ['tacit', '--version']; main()",
            "help": "from tacit.cli import main; import sys; sys.argv = ['tacit', '--help']; main()",
            "recall": "import tacit.cli.app, tacit.cli.recalling, tacit.memory",
        }[command]
        self.command = [
            sys.executable,
            "-c",
            statement if implementation == "native" else "import typer, rich",
        ]

    def time_start(self, command: str, implementation: str) -> None:
        subprocess.run(self.command, check=True, stdout=subprocess.DEVNULL)
