"""Compare the cost and the quality of embedders: `python -m benchmarks.compare_embedders hashed static minilm`.

Every task of `PARAPHRASES` is asked for by another wording that has no word in common with it; recall@1 is the share
of questions whose nearest task, among all of them, is the right one. Each embedder runs in a process of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from statistics import median

PARAPHRASES = [
    ("Cancel my order", "Stop the purchase I made"),
    ("Refund the customer", "Give this buyer their money back"),
    ("Book a flight to Paris", "Reserve an airplane ticket for France"),
    ("Change the delivery address", "Ship it somewhere else instead"),
    ("Fix the failing unit tests", "Repair broken checks of a module"),
    ("Delete all temporary files", "Remove scratch data from disk"),
    ("List the largest tables", "Which relations take up most space?"),
    ("Count employees per department", "How many people work in each team?"),
    ("Find the youngest singer", "Which vocalist is least old?"),
    ("Upgrade the seat to first class", "Move this passenger into a better cabin"),
    ("Show the average salary", "What does a worker earn on typical pay?"),
    ("Compress the log directory", "Archive old journals into a zip"),
    ("Restart the web server", "Bring nginx down and up again"),
    ("Translate this page into German", "Make a Deutsch version of that website"),
    ("Decode the hidden message", "Decrypt a secret text"),
    ("Put a clean mug on the shelf", "Place one washed cup upon some rack"),
    ("Heat some bread", "Warm up a slice of toast"),
    ("Speed up the slow query", "Make SQL run faster"),
    ("Rename a variable everywhere", "Refactor an identifier across all files"),
    ("Reset my password", "I cannot log in; new credentials please"),
    ("Which pets are older than ten?", "Animals with an age above 10"),
    ("Exchange the shoes for a smaller size", "Swap these sneakers, they are too big"),
    ("Summarise the meeting", "Write short notes about our call"),
    ("Install the missing dependency", "Add a library that could not be imported"),
]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def resident_mib() -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure(name: str) -> str:
    import numpy as np

    from tacit.embedding import embedders

    before = resident_mib()
    began = time.perf_counter()
    embedder = embedders.create(name)
    tasks = np.asarray(embedder.embed([task for task, _ in PARAPHRASES]))
    loaded = time.perf_counter() - began
    asked = np.asarray(embedder.embed([other for _, other in PARAPHRASES]))
    memory = resident_mib() - before
    found = float(((asked @ tasks.T).argmax(axis=1) == np.arange(len(PARAPHRASES))).mean())
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        for task, _ in PARAPHRASES:
            embedder.embed([task])
        seconds.append((time.perf_counter() - began) / len(PARAPHRASES))
    return (
        f"{name:8} {median(seconds) * 1e3:8.3f} ms a text  {memory:6.1f} MiB  recall@1 {found:.2f}"
        f"  first 24 texts after {loaded:.2f} s"
    )


def main(names: list[str]) -> None:
    if names[:1] == ["--one"]:
        print(measure(names[1]))
        return
    for name in names:
        subprocess.run([sys.executable, "-m", "benchmarks.compare_embedders", "--one", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["hashed", "static", "minilm"])
