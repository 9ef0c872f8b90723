"""Compares this build with that of another commit, prints a table, and exits with 1 if something got slower."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .builds import build_of, default_base, working_tree
from .cases import CASES
from .measuring import ROUNDS, Row, compare


def main() -> int:
    options = parsed(sys.argv[1:])
    base, head = build_of(options.base or default_base()), working_tree()
    cases = [case for case in CASES if options.only in case]
    if not cases:
        raise SystemExit(
            f"ONLY must be a part of a case's name; got {options.only!r}, cases: {', '.join(CASES)}"
        )
    print(f"{'CPU time a call':30} {base.name:>16} {head.name:>14} {'ratio':>7}", flush=True)
    rows = []
    for row in compare(base, head, cases, factor=options.factor, rounds=options.rounds):
        rows.append(row)
        print(as_line(row), flush=True)
    slower = [row.case for row in rows if row.slower]
    if options.json:
        options.json.write_text(json.dumps(as_document(base.name, options.factor, rows), indent=2) + "\n")
    print(verdict(slower, options.factor))
    return 1 if slower else 0


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-compare", description=__doc__)
    parser.add_argument("--base", default="", help="a commit, tag or branch; the last tag if left out")
    parser.add_argument("--factor", type=float, default=1.2, help="how many times slower is too slow")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the builds take turns")
    parser.add_argument("--only", default="", help="a part of the names of the cases to compare")
    parser.add_argument("--json", type=Path, help="a file for the rows")
    options = parser.parse_args(arguments)
    if not options.factor > 1:
        parser.error(f"--factor must be greater than 1; got {options.factor}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {options.rounds}")
    return options


def as_line(row: Row) -> str:
    if row.base_s is None or row.head_s is None or row.ratio is None:
        return f"{row.case:30} {row.missing}"
    mark = "  slower" if row.slower else ""
    return f"{row.case:30} {spelt(row.base_s):>16} {spelt(row.head_s):>14} {row.ratio:6.2f}x{mark}"


def spelt(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-6:.2f} us"


def verdict(slower: list[str], factor: float) -> str:
    if slower:
        return f"{len(slower)} of them over {factor:g} times as slow: {', '.join(slower)}"
    return f"nothing is over {factor:g} times as slow"


def as_document(base: str, factor: float, rows: list[Row]) -> dict[str, object]:
    return {
        "base": base,
        "factor": factor,
        "slower": [row.case for row in rows if row.slower],
        "cases": [
            {
                "case": row.case,
                "base_s": row.base_s,
                "head_s": row.head_s,
                "ratio": row.ratio,
                "missing": row.missing,
            }
            for row in rows
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
