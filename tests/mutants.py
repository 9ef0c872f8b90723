"""Mutation probe: small faults are put into the package, one at a time, and the tests that cover them must fail.

    make mutants MODULES="memory.py credit" SAMPLE=200 SEED=1

A fault is a flipped comparison or condition, a number that is one too large, a guard or a lock that is not there, a
dropped call or await, another clock, a lower threshold. Each runs in a copy of the tree, against the tests that execute
its line (the map of a first run says which), the quickest first. Those that no test notices are printed with their
place. `tests/mutants.toml` lists the ones that cannot be noticed, each with its reason.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tacit"
MODULES = [
    "intake",
    "credit",
    "maintenance",
    "answers",
    "memory.py",
    "storage/in_memory.py",
    "storage/log_follower.py",
]
TESTS = ["tests/unit", "tests/journeys", "tests/conformance", "tests/faults"]
LEFT_OUT = [
    *(f"tests/unit/{name}" for name in ("cli", "demo", "evaluation", "test_house.py", "test_prose.py")),
    *(f"tests/journeys/test_{name}.py" for name in ("demo", "docs", "evaluation", "learned_rules")),
    "tests/faults/test_reentrancy.py",
]
"""Tests that are slow, look at other things than these modules, or send signals, which tracing holds up."""
BUDGET_S = 25.0
"""The time that the tests of one mutant take together without it, at most."""

FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SWAPS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: the bytes of `file` from `start` to `end` become `after`."""

    file: str
    function: str
    line: int
    last_line: int
    start: int
    end: int
    before: str
    after: str
    kind: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


# --- the faults ---


class Finder(ast.NodeVisitor):
    """Every fault that can be put into one source."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.inside: list[str] = []
        self.found: list[Mutant] = []
        self.visit(ast.parse(source))

    def offer(self, node: Any, after: str, kind: str) -> None:
        start = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[node.end_lineno - 1] + node.end_col_offset
        before = " ".join(self.source[start:end].decode().split())
        name = ".".join(self.inside)
        lines = node.lineno, node.end_lineno
        self.found.append(Mutant(self.file, name, *lines, start, end, before, after, kind))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.inside.append(node.name)
        for child in node.body:
            self.visit(child)
        self.inside.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.inside.append(node.name)
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for child in node.body if node.name != "__repr__" else ():
            self.visit(child)
        self.inside.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if not node.orelse and isinstance(node.body[0], ast.Raise | ast.Return | ast.Continue):
            self.offer(node.test, "False", "guard removed")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """The words of a message are no behaviour."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Nor are those of a text."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """It only tells the type checker something."""

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            flipped = FLIPS[type(node.ops[0])]()
            self.offer(node, ast.unparse(ast.Compare(node.left, [flipped], node.comparators)), "comparison")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self.offer(node, f"({ast.unparse(ast.BoolOp(other, node.values))})", "condition")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.offer(node, f"bool({ast.unparse(node.operand)})", "condition")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in SWAPS and not isinstance(node.right, ast.Constant | ast.JoinedStr | ast.Tuple):
            swapped = ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
            self.offer(node, f"({ast.unparse(swapped)})", "arithmetic")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.offer(node, str(not node.value), "switch")
        elif isinstance(node.value, int):
            self.offer(node, f"({node.value} + 1)", "off by one")
        elif isinstance(node.value, float):
            self.offer(node, f"({node.value} * 0.5 + 0.1)", "threshold")

    def visit_keyword(self, node: ast.keyword) -> None:
        """`strict=True` of a zip states that both are equally long: nothing else can be tested of it."""
        if node.arg != "strict":
            self.visit(node.value)

    def visit_Slice(self, node: ast.Slice) -> None:
        for bound in filter(None, (node.lower, node.upper)):
            if not isinstance(bound, ast.Constant):
                self.offer(bound, f"{ast.unparse(bound)} + 1", "off by one")
        self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> None:
        self.offer(node, ast.unparse(node.value), "await dropped")
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            if "lock" in (text := ast.unparse(item.context_expr)) or "catching_up" in text:
                self.offer(item.context_expr, '__import__("contextlib").nullcontext()', "lock removed")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.offer(node, "pass", "call dropped")
            self.generic_visit(node)
        elif isinstance(node.value, ast.Await | ast.Yield | ast.YieldFrom):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name.endswith(("._now", "_clock")):
            self.offer(node, f"({ast.unparse(node)} + 60_000_000_000)", "clock")
        if name in ("max", "min") and len(node.args) > 1:
            self.offer(node.func, "min" if name == "max" else "max", "bound")
        self.generic_visit(node)


def mutants_of(modules: list[str]) -> list[Mutant]:
    places = [PACKAGE / module for module in modules]
    paths = [
        path for place in places for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])
    ]
    return [
        mutant for path in paths for mutant in Finder(str(path.relative_to(ROOT)), path.read_bytes()).found
    ]


# --- the map: which tests execute which lines ---


class Tracer:
    """A plug-in that notes the lines of the package that each test executes, and how long it takes."""

    def __init__(self, package: Path) -> None:
        self.package = str(package)
        self.lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.test = ""

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self.package):
            return None
        self.lines[frame.f_code.co_filename][frame.f_lineno].add(self.test)
        return self.trace

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.test, started = item.nodeid, time.perf_counter()
        sys.settrace(self.trace)
        threading.settrace(self.trace)
        yield
        sys.settrace(None)
        threading.settrace(None)
        self.seconds[item.nodeid] = time.perf_counter() - started


def make_map(target: Path) -> None:
    """Runs the tests once, in this process, and writes the map."""
    tracer = Tracer(PACKAGE)
    left_out = [f"--ignore={path}" for path in LEFT_OUT]
    pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=0", *left_out, *TESTS], plugins=[tracer])
    lines = {
        str(Path(file).relative_to(ROOT)): {
            line: sorted(tests - tracer.failed - {""}) for line, tests in of_file.items()
        }
        for file, of_file in tracer.lines.items()
    }
    target.write_text(json.dumps({"lines": lines, "seconds": tracer.seconds}))


class CoverageMap:
    """The tests of each line, the quickest first, within the budget."""

    def __init__(self, path: Path) -> None:
        known = json.loads(path.read_text())
        self.lines: dict[str, dict[str, list[str]]] = known["lines"]
        self.seconds: dict[str, float] = known["seconds"]

    def tests_of(self, mutant: Mutant) -> list[str]:
        lines = self.lines.get(mutant.file, {})
        covering = {
            test for line in range(mutant.line, mutant.last_line + 1) for test in lines.get(str(line), ())
        }
        if not covering:  # a constant of the module, or a default: read when the module is imported
            covering = {test for tests in lines.values() for test in tests}
        chosen: list[str] = []
        total = 0.0
        names = {*Path(mutant.file).with_suffix("").parts} - {"python", "tacit"}
        for test in sorted(covering, key=lambda test: self._rank(test, names)):
            total += self.seconds.get(test, 0.0)
            if total > BUDGET_S and chosen:
                break
            chosen.append(test)
        return chosen

    def _rank(self, test: str, names: set[str]) -> tuple[bool, float]:
        """Tests of the module itself come first, then the quickest."""
        words = set(test.split("::")[0].replace("/", " ").replace("test_", " ").replace(".py", "").split())
        return not words & names, self.seconds.get(test, 0.0)


# --- the runs ---


def copy_of_the_tree(folder: Path) -> Path:
    """A copy in which files may be changed; bytecode is never written into it."""
    kept = shutil.ignore_patterns("__pycache__", ".*", "target", "site", "dist")
    for name in ("python", "tests", "benchmarks", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=kept)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def is_killed(mutant: Mutant, tests: list[str], seconds: float, folder: Path) -> bool:
    """True if a test fails, or hangs, with the fault in the copy."""
    path = folder / mutant.file
    source = path.read_bytes()
    path.write_bytes(mutant.applied(source))
    environment = os.environ | {
        "PYTHONPATH": str(folder / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_PROFILE": "ci",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        run = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=20 + 6 * seconds, check=False
        )
        return run.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_bytes(source)


def probe(chosen: list[Mutant], covered: CoverageMap, workers: int) -> Iterator[tuple[Mutant, str]]:
    """Runs each mutant and yields its fate: killed, survived, or uncovered."""
    with tempfile.TemporaryDirectory() as scratch:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            folders.put(copy_of_the_tree(Path(scratch, str(number))))

        def run(mutant: Mutant) -> tuple[Mutant, str]:
            tests = covered.tests_of(mutant)
            if not tests:
                return mutant, "uncovered"
            folder = folders.get()
            try:
                seconds = sum(covered.seconds.get(test, 0.0) for test in tests)
                return mutant, "killed" if is_killed(mutant, tests, seconds, folder) else "survived"
            finally:
                folders.put(folder)

        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(run, chosen)


Key = tuple[str, str, str, str]


def key_of(mutant: Mutant) -> Key:
    """The same mutant has the same key after lines were moved."""
    return mutant.file, mutant.function, mutant.before, mutant.after


def reasons() -> dict[Key, str]:
    """By file, function and the change: why no test can notice it."""
    listed = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text()).get("survivor", [])
    return {
        (each["file"], each["function"], each["before"], each["after"]): each["reason"] for each in listed
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", default=MODULES, help="files or folders of python/tacit")
    parser.add_argument("--sample", type=int, default=200, help="how many mutants; 0 is all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, default=ROOT / "target" / "mutants.json")
    parser.add_argument("--map", type=Path, default=ROOT / "target" / "mutants-map.json")
    parser.add_argument("--again", action="store_true", help="only those that survived the run before")
    parser.add_argument("--keep-map", action="store_true", help="use the map of an earlier run")
    given = parser.parse_args()
    given.json.parent.mkdir(parents=True, exist_ok=True)
    if not (given.keep_map and given.map.exists()):
        make_map(given.map)
    known = reasons()
    everything = mutants_of(given.modules or MODULES)
    if given.again:
        before = [each for each in json.loads(given.json.read_text()) if each["state"] != "killed"]
        keys = {(each["file"], each["function"], each["before"], each["after"]) for each in before}
        everything = [mutant for mutant in everything if key_of(mutant) in keys]
    chosen = random.Random(given.seed).sample(
        everything, min(given.sample or len(everything), len(everything))
    )
    results: list[dict[str, Any]] = []
    for mutant, state in probe(chosen, CoverageMap(given.map), given.workers):
        reason = known.get(key_of(mutant))
        state = "equivalent" if state != "killed" and reason else state
        results.append(asdict(mutant) | {"state": state, "reason": reason})
        if state in ("survived", "uncovered"):
            print(f"{state} {mutant.file}:{mutant.line} {mutant.function}: {mutant.kind}")
            print(f"    {mutant.before}\n    {mutant.after}", flush=True)
    given.json.write_text(json.dumps(results, indent=1))
    states = Counter(result["state"] for result in results)
    noticeable = len(results) - states["equivalent"]
    share = states["killed"] / max(1, noticeable)
    print(f"{len(results)} of {len(everything)} mutants: {dict(states)}")
    print(
        f"killed: {states['killed'] / max(1, len(results)):.1%} of all, {share:.1%} without the listed ones"
    )
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
