from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tacit import Episode
from tacit.importers import Entry, Jsonl, Refusal, Source
from tests.unit.importers.runs import run, step, write


def read(path: Path, **options: Any) -> list[Entry | Refusal]:
    with Source(path, **options) as source:
        return list(Jsonl().read(source))


def episode_of(tmp_path: Path, **fields: Any) -> Episode:
    (entry,) = read(write(tmp_path / "runs.jsonl", run(**fields)))
    assert isinstance(entry, Entry), entry
    return entry.episode


def refusal_of(tmp_path: Path, line: dict[str, Any] | bytes) -> Refusal:
    before, refusal, after = read(write(tmp_path / "runs.jsonl", run(1), line, run(2)))
    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert isinstance(refusal, Refusal)
    assert refusal.line == 2
    return refusal


def test_a_run_becomes_an_episode(tmp_path: Path) -> None:
    episode = episode_of(tmp_path)
    assert episode.task == "find the lamp number 0"
    assert (episode.task_key, episode.agent, episode.source) == ("task/0", "model-a", "bench")
    assert episode.context.domain == "house"
    assert episode.outcome is not None
    assert episode.outcome.kind == "success"
    assert [(each.tool, each.parameters, each.status, each.output) for each in episode.steps] == [
        ("look", {}, "ok", "seen"),
        ("take", {"what": "lamp"}, "ok", "seen"),
    ]


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    outcome = episode_of(tmp_path, outcome={"success": False, "reward": 0.0}).outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == ("failure", "the run was judged unsuccessful")


def test_runs_that_differ_in_source_task_model_or_trial_have_different_external_ids(tmp_path: Path) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"source": "b"},
        {"task_id": "b"},
        {"model": "b"},
        {"trial": 1},
        {"trial": "0"},
        {"task_id": "task/0/model-a", "model": ""},
    ]
    assert len({episode_of(tmp_path, **kind).external_id for kind in kinds}) == len(kinds)


def test_a_reward_that_says_more_than_the_outcome_is_kept(tmp_path: Path) -> None:
    assert episode_of(tmp_path, outcome={"success": False, "reward": 0.4}).metadata == {"reward": 0.4}
    assert episode_of(tmp_path, outcome={"success": False, "reward": 0.0}).metadata == {}
    assert episode_of(tmp_path, outcome={"success": True}).metadata == {}


def test_notes_and_the_first_message_are_metadata(tmp_path: Path) -> None:
    episode = episode_of(tmp_path, meta={"duration_s": 12.5, "split": "a"}, first_user_message="hello")
    assert episode.metadata == {"duration_s": 12.5, "split": "a", "first_user_message": "hello"}
    assert (episode.started_at, episode.ended_at) == (0, None)


def test_a_failed_step_keeps_an_observation_that_differs_from_its_error(tmp_path: Path) -> None:
    steps = [
        step(ok=False, error="no lamp", observation="no lamp"),
        step(ok=False, error="no lamp", observation="a dark room"),
        step(ok=False, error=None, observation="it broke"),
        step(ok=False, error=None, observation=None),
    ]
    assert [(each.error, each.output) for each in episode_of(tmp_path, steps=steps).steps] == [
        ("no lamp", None),
        ("no lamp", "a dark room"),
        ("it broke", None),
        ("the step failed without a message", None),
    ]


def test_an_error_beside_a_step_that_went_well_is_kept_as_a_note(tmp_path: Path) -> None:
    (only,) = episode_of(tmp_path, steps=[step(error="a warning")]).steps
    assert (only.status, only.error, only.metadata) == ("ok", None, {"error": "a warning"})


def test_who_acted_is_kept_where_it_was_not_the_agent(tmp_path: Path) -> None:
    steps = [step(actor="user"), step(actor="agent"), step(actor=None)]
    assert [each.metadata for each in episode_of(tmp_path, steps=steps).steps] == [
        {"actor": "user"},
        None,
        None,
    ]


def test_a_run_without_steps_is_an_episode(tmp_path: Path) -> None:
    assert episode_of(tmp_path, steps=[]).steps == ()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("hardness", "complexity"),
    [
        ("easy", "simple"),
        ("medium", "moderate"),
        ("hard", "complex"),
        ("extra", "complex"),
        ("odd", "unknown"),
    ],
)
def test_difficulty_comes_from_the_neighbouring_tasks(
    tmp_path: Path, hardness: str, complexity: str, suffix: str
) -> None:
    path = write(tmp_path / "x.episodes.jsonl", run())
    task = {"source": "bench", "task_id": "task/0", "extra": {"hardness": hardness}}
    content = (json.dumps(task) + "\n").encode()
    (tmp_path / f"x.tasks.jsonl{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    (entry,) = read(path)
    assert isinstance(entry, Entry)
    assert entry.episode.context.complexity == complexity


def test_nothing_of_the_solutions_is_read(tmp_path: Path) -> None:
    secret = "the gold plan"
    gold: dict[str, Any] = {"gold_actions": [{"name": secret}], "gold_write_tools": [secret]}
    path = write(tmp_path / "x.episodes.jsonl", run(extra=secret, **gold))
    write(
        tmp_path / "x.tasks.jsonl", {"source": "bench", "task_id": "task/0", "extra": {"db": secret}} | gold
    )
    (entry,) = read(path)
    assert isinstance(entry, Entry)
    assert secret not in repr(entry.episode)
    assert entry.left_out == {"extra", "gold_actions", "gold_write_tools"}


def test_a_task_that_cannot_be_read_is_refused_in_its_own_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.episodes.jsonl", run())
    tasks = write(tmp_path / "x.tasks.jsonl", b"{")
    refusal, entry = read(path)
    assert isinstance(refusal, Refusal)
    assert (refusal.path, refusal.line) == (str(tasks), 1)
    assert isinstance(entry, Entry)


def test_fields_of_steps_and_outcomes_that_have_no_place_are_named(tmp_path: Path) -> None:
    line = run(steps=[step(cost=1)], outcome={"success": True, "judge": "x"})
    (entry,) = read(write(tmp_path / "runs.jsonl", line))
    assert isinstance(entry, Entry)
    assert entry.left_out == {"steps.cost", "outcome.judge"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "is not JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'"text"', "Expected `object`"),
        (b"\x00\x01\x02", "is not JSON"),
        (json.dumps(run()).replace("lamp", "\\ud800").encode(), "lone surrogate"),
        (json.dumps(run()).replace("1.0", "NaN").encode(), "holds NaN or Infinity"),
        (json.dumps(run()).replace("1.0", "1e999").encode(), "out of range"),
        (json.dumps(run()).encode() + b"{}", "is not JSON"),
        (json.dumps(run()).encode()[:-20], "is not JSON"),
        (json.dumps(run()).replace("lamp", "l\xe4mp").encode("latin-1"), "is not UTF-8"),
        (b'{"meta":' + b"[" * 100_000, "nests too deep"),
        (b'{"meta":' * 5_000 + b"1" + b"}" * 5_000, "nests too deep"),
        (run(task_description=7), "Expected `str`, got `int` - at `$.task_description`"),
        (run(steps="none"), "Expected `array`, got `str` - at `$.steps`"),
        (run(steps=[step(ok="yes")]), "Expected `bool`, got `str` - at `$.steps[0].ok`"),
        (run(steps=[{"tool": "look"}]), "missing required field `ok` - at `$.steps[0]`"),
        (run(outcome=[]), "Expected `object | null`, got `array` - at `$.outcome`"),
        (run(outcome={"success": 1}), "Expected `bool`, got `int` - at `$.outcome.success`"),
        (run(trial=0.5), "- at `$.trial`"),
        (run(meta=[]), "- at `$.meta`"),
        (run(meta={"first_user_message": "a"}, first_user_message="b"), "meta.first_user_message"),
        ({name: value for name, value in run().items() if name != "model"}, "missing required field `model`"),
    ],
    ids=range(23),
)
def test_a_line_that_is_no_run_is_refused_with_its_reason(
    tmp_path: Path, line: dict[str, Any] | bytes, reason: str
) -> None:
    assert reason in refusal_of(tmp_path, line).reason


def test_blank_lines_and_a_byte_order_mark_say_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", b"\xef\xbb\xbf" + json.dumps(run()).encode(), b"", b"  \r", run(1))
    assert [each.line for each in read(path)] == [1, 4]


def test_a_last_line_needs_no_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(run()))
    assert [type(each) for each in read(path)] == [Entry]


def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", run(), b"x" * 3_000_000, run(1))
    first, refusal, last = read(path, line_bytes=2_000)
    assert isinstance(first, Entry)
    assert isinstance(refusal, Refusal)
    assert "at most 2,000 bytes a line" in refusal.reason
    assert (refusal.line, last.line) == (2, 3)


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(gzip.compress(json.dumps(run()).encode()))
    assert [type(each) for each in read(path)] == [Entry]


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.999])
def test_of_a_gzip_file_that_was_cut_off_every_whole_line_is_read(tmp_path: Path, kept: float) -> None:
    content = "".join(
        json.dumps(run(number, first_user_message=f"{number**7}")) + "\n" for number in range(3_000)
    )
    zipped = gzip.compress(content.encode())
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(zipped[: int(len(zipped) * kept)])
    *entries, refusal = read(path)
    assert all(isinstance(each, Entry) for each in entries)
    assert len(entries) > 3_000 * kept * 0.7
    assert isinstance(refusal, Refusal)
    assert refusal.line == len(entries) + 1
    assert "cannot be read from here on" in refusal.reason


def test_of_a_gzip_file_that_was_damaged_the_lines_before_are_read(tmp_path: Path) -> None:
    content = "".join(
        json.dumps(run(number, first_user_message=f"{number**7}")) + "\n" for number in range(3_000)
    )
    zipped = bytearray(gzip.compress(content.encode()))
    zipped[len(zipped) // 2] ^= 0xFF
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(zipped)
    last = read(path)[-1]
    assert isinstance(last, Refusal)
    assert last.line > 1
