"""Measures of the help that a memory gives: it learns from some recorded runs and is asked about the others.

`load_file` and `load_memory` read the runs; `evaluate` asks the questions and reports rows beside their baselines and
controls. `docs/guides/evaluation.md` explains each question and its limits.
"""

from ..errors import LeakError
from . import grouping, next_steps, outcomes, plans, plots, prompts, recovery, retrieval, rules, validation
from .bench import EMPTY, LEARNED, PLACEBO, RANDOM, Arm, Bench, memory_at_rest
from .closed_loop import LoopReport, Score, own_attempts, run_loop
from .dataset import Dataset, Gold, fold_of, load_file, load_memory
from .environments import Environment, Turn, environments
from .evaluating import evaluate
from .loop import ArmResult, Attempt, LiveReport, Spread, Task, live
from .question import Question, questions
from .replay import Replay
from .results import ResultsComparison, RowChange, compare_results, load_results, save_results
from .rows import Comparison, Curve, LeftOut, Measured, Report, Result, Row, Rule, Total

__all__ = [
    "EMPTY",
    "LEARNED",
    "PLACEBO",
    "RANDOM",
    "Arm",
    "ArmResult",
    "Attempt",
    "Bench",
    "Comparison",
    "Curve",
    "Dataset",
    "Environment",
    "Gold",
    "LeakError",
    "LeftOut",
    "LiveReport",
    "LoopReport",
    "Measured",
    "Question",
    "Replay",
    "Report",
    "Result",
    "ResultsComparison",
    "Row",
    "RowChange",
    "Rule",
    "Score",
    "Spread",
    "Task",
    "Total",
    "Turn",
    "compare_results",
    "environments",
    "evaluate",
    "fold_of",
    "grouping",
    "live",
    "load_file",
    "load_memory",
    "load_results",
    "memory_at_rest",
    "next_steps",
    "outcomes",
    "own_attempts",
    "plans",
    "plots",
    "prompts",
    "questions",
    "recovery",
    "retrieval",
    "rules",
    "run_loop",
    "save_results",
    "validation",
]
