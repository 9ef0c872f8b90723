from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tacit.errors import ValidationError
from tacit.evaluation import Bench, fold_of, load_file, load_memory
from tacit.evaluation.dataset import task_of
from tacit.memory import Memory
from tests.unit.importers.runs import run, write


def test_the_fold_of_a_task_is_a_hash_of_its_key() -> None:
    assert fold_of("sql/0") == int(hashlib.sha1(b"sql/0").hexdigest(), 16) % 5
    assert len({fold_of(f"task/{number}") for number in range(50)}) == 5


@pytest.fixture
def files(tmp_path: Path) -> Path:
    task = {
        "source": "bench",
        "task_id": "task/0",
        "domain": "house",
        "task_description": "find it",
        "gold_actions": [{"name": "take", "arguments": {"b": 1, "a": 2}}],
        "gold_write_tools": ["take"],
        "extra": {"task_type": "search"},
    }
    write(tmp_path / "house.tasks.jsonl", task, b"not json")
    return write(tmp_path / "house.episodes.jsonl", run(0), run(0, trial=1), run(1), b"{")


def test_a_file_is_read_with_what_is_known_of_its_tasks(files: Path) -> None:
    dataset = load_file(files)
    assert (dataset.name, len(dataset.episodes), list(dataset.tasks)) == ("house", 3, ["task/0", "task/1"])
    assert [refusal.line for refusal in dataset.refused] == [2, 4]
    gold = dataset.gold["task/0"]
    assert (gold.write_tools, gold.label) == (frozenset({"take"}), "search")
    assert [(step.name, step.arguments) for step in gold.actions] == [("take", '{"a":2,"b":1}')]


def test_whole_domains_or_agents_are_held_out_instead_of_tasks(tmp_path: Path) -> None:
    lines = [{**run(number), "domain": f"d{number % 3}", "model": f"m{number // 6}"} for number in range(12)]
    dataset = load_file(write(tmp_path / "runs.jsonl", *lines))
    for what, of in (("domain", lambda each: each.context.domain), ("agent", lambda each: each.agent)):
        bench = Bench(dataset.leaving_out(what))
        assert len(bench.dataset.folds) == {"domain": 3, "agent": 2}[what]
        for fold in bench.dataset.folds:
            known, asked = bench.training(fold), bench.held_out(fold)
            assert asked
            assert known
            assert not {of(each) for each in known} & {of(each) for each in asked}
    with pytest.raises(ValidationError, match="leave_out must be one of agent, domain"):
        dataset.leaving_out("task")


def test_a_file_without_tasks_has_no_gold(tmp_path: Path) -> None:
    assert load_file(write(tmp_path / "runs.jsonl", run(0))).gold == {}


def test_a_file_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="at least one run"):
        load_file(write(tmp_path / "runs.jsonl", b"{"))


def test_the_same_file_gives_the_same_ids(files: Path) -> None:
    one, other = ([episode.id for episode in load_file(files).episodes] for _ in range(2))
    assert one == other == sorted(one)


def test_a_memory_is_a_dataset_for_each_source(files: Path) -> None:
    with Memory() as memory:
        list(memory.add_many(load_file(files).episodes))
        with memory.episode("wash up", task_key="other") as episode:
            episode.log("wash", output=1)
            episode.succeed()
        with memory.episode("left alone"):
            pass
        datasets = {dataset.name: dataset for dataset in load_memory(memory)}
    assert {name: len(dataset.episodes) for name, dataset in datasets.items()} == {"bench": 3, "memory": 1}


def test_an_empty_memory_is_no_dataset() -> None:
    with Memory() as memory, pytest.raises(ValidationError, match="outcome"):
        load_memory(memory)


def test_attempts_without_a_key_belong_together_by_their_text() -> None:
    with Memory() as memory:
        for _ in range(2):
            with memory.episode("wash up") as episode:
                episode.succeed()
        (dataset,) = load_memory(memory)
    assert len(dataset.tasks) == 1


def test_a_limit_takes_the_tasks_of_smallest_hash(tmp_path: Path) -> None:
    dataset = load_file(write(tmp_path / "runs.jsonl", *(run(number) for number in range(20))))
    bench = Bench(dataset, limit=5)
    chosen = [task_of(episode) for episode in bench.capped(dataset.episodes, task_of)]
    by_hash = sorted(dataset.tasks, key=lambda key: hashlib.sha1(key.encode()).hexdigest())
    assert set(chosen) == set(by_hash[:5])
    assert chosen == [key for key in dataset.tasks if key in chosen]


def test_a_question_is_told_by_domain_where_there_are_a_few(tmp_path: Path) -> None:
    few = load_file(write(tmp_path / "few.jsonl", run(0), run(1, domain="garden")))
    many = load_file(write(tmp_path / "many.jsonl", *(run(n, domain=f"d{n}") for n in range(9))))
    assert (few.slices(), many.slices()) == (("all", "garden", "house"), ("all",))


def test_every_run_is_outside_its_own_fold(tmp_path: Path) -> None:
    dataset = load_file(write(tmp_path / "runs.jsonl", *(run(number) for number in range(20))))
    bench = Bench(dataset)
    for fold in dataset.folds:
        held_out, training = bench.held_out(fold), bench.training(fold)
        assert len(held_out) + len(training) == 20
        assert not {task_of(each) for each in held_out} & {task_of(each) for each in training}
    assert json.dumps(dataset.folds)
