"""An empty run of the sandbox, start and end of its process included."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tacit.sandbox import CodeSandbox


class Run:
    """Code that returns at once: the first run of a process, which tries the defences, is made in `setup`."""

    def setup(self) -> None:
        self.sandbox = CodeSandbox()
        assert self.sandbox.run("return 17").value == 17

    def time_run(self) -> None:
        self.sandbox.run("return 17")

    def time_64_at_once(self) -> None:
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda _: self.sandbox.run("return 17"), range(64)))
