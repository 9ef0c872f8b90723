"""The memories that an ended episode used, by the kind of answer that showed them."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tacit import (
    CreditSettings,
    Episode,
    Limits,
    Memory,
    Outcome,
    Playbook,
    Prediction,
    Recall,
    Settings,
    Step,
    SuggestedStep,
    Suggestion,
)
from tacit._native import Index, new_id
from tacit.credit.shown_answer import Answer, RecallReceipt, shown_answer
from tacit.credit.usage import Crediting
from tacit.extractors import Hybrid
from tacit.intake.open_episode import OpenEpisode
from tacit.model.advice import FINISH, PlanStep
from tacit.model.closed_episode import ClosedEpisode
from tacit.model.ids import as_bytes
from tacit.model.pattern import Heuristic
from tacit.model.record import SideRecord
from tacit.redaction import Off

TOOLS = ("look_up", "verify", "refund")
CREDITING = Crediting(settings=CreditSettings(), hybrid=Hybrid(), index=Index("none", 1))
SHOWN = [new_id() for _ in range(4)]


def ended(outcome: Outcome) -> ClosedEpisode:
    recording = OpenEpisode(Episode(task="t", id=new_id(), started_at=1), Limits())
    for tool in TOOLS:
        recording.log((2, tool, None, None, "done", None, False, None, None, None, False))
    return recording.close(outcome, ended_at=3, redactor=Off())


def notes(draft: ClosedEpisode, *answers: tuple[Answer, int]) -> tuple[SideRecord, ...]:
    receipts = [RecallReceipt(shown_answer(answer), "default", 1, steps) for answer, steps in answers]
    findings = CREDITING.hybrid.extract(draft.episode)
    return CREDITING.side_records(draft, receipts, findings)


def credited(*answers: tuple[Answer, int], outcome: Outcome | None = None) -> dict[str, float]:
    """The credit of each memory, as parts of a trial."""
    found: dict[str, float] = {}
    for note in notes(ended(outcome or Outcome.success()), *answers):
        if note.kind == "credit":
            assert note.record is not None
            for memory, weight, _ in struct.iter_unpack(
                "<16sdd", msgspec.msgpack.decode(note.record)["uses"]
            ):
                [shown] = [each for each in SHOWN if as_bytes(each) == memory]
                found[shown] = found.get(shown, 0.0) + weight
    return found


def suggestion(*steps: tuple[str, str]) -> Suggestion:
    return Suggestion(
        new_id(), tuple(SuggestedStep(tool, 0.5, 1.0, (), episodes=(episode,)) for tool, episode in steps)
    )


def test_the_episodes_behind_the_suggestion_that_was_followed_are_used() -> None:
    asked = suggestion(("verify", SHOWN[0]), ("refund", SHOWN[1]))
    assert credited((asked, 1)) == {SHOWN[0]: 1.0}
    assert credited((asked, 2)) == {SHOWN[1]: 1.0}
    assert credited((asked, 0)) == credited((asked, 3)) == {}
    assert credited((suggestion((FINISH, SHOWN[2])), 3)) == {SHOWN[2]: 1.0}


def test_several_answers_share_one_trial_and_one_that_was_not_used_takes_no_part() -> None:
    followed = [(suggestion((tool, SHOWN[at])), at) for at, tool in enumerate(TOOLS)]
    unused = (suggestion(("other", SHOWN[3])), 1)
    assert credited(*followed, unused) == pytest.approx({SHOWN[at]: 1 / 3 for at in range(3)})


def playbook(tools: tuple[str, ...], **fields: Any) -> Playbook:
    success = Prediction(0.5, 0.0, 1.0, 0.5, None, None, None, None, 0.0, ())
    steps = tuple(PlanStep(tool, 1.0) for tool in tools)
    return Playbook(new_id(), "t", steps, success, episodes=(SHOWN[0], SHOWN[1]), **fields)


def test_a_playbook_was_used_where_its_plan_is_like_the_steps() -> None:
    assert credited((playbook((*TOOLS, FINISH)), 0)) == {SHOWN[0]: 0.5, SHOWN[1]: 0.5}
    assert credited((playbook(("look_up", "guess", "give_up")), 0)) == {}
    assert credited((playbook(TOOLS), len(TOOLS))) == {}


def test_a_heuristic_that_was_followed_shares_the_credit() -> None:
    rule = Heuristic(
        as_bytes(SHOWN[2]).hex(), "c", "a", 1, 1.0, 0.5, 0.9,
        when={"after": "look_up", "result": "ok"}, do={"tools": ["verify"]},
    )  # fmt: skip
    assert credited((Recall(new_id(), "t", heuristics=(rule,)), 0)) == {SHOWN[2]: 1.0}
    broken = replace(rule, do={"tools": ["refund"]})
    assert credited((Recall(new_id(), "t", heuristics=(broken,)), 0)) == {}
    assert credited((playbook(TOOLS, heuristics=(rule,)), 0)) == pytest.approx(
        dict.fromkeys(SHOWN[:3], 1 / 3)
    )


def test_an_answer_is_kept_whether_it_was_used_or_not_and_the_same_notes_are_made_again() -> None:
    draft, asked = (
        ended(Outcome.partial(completed=["a"], failed=["b"])),
        (suggestion(("verify", SHOWN[0])), 1),
    )
    made = notes(draft, asked, (suggestion(("other", SHOWN[1])), 1))
    assert [note.kind for note in made] == ["receipt", "receipt", "credit"]
    assert notes(draft, asked) == notes(draft, asked)
    assert CREDITING.side_records(draft, [], None) == ()


def test_a_plan_is_like_the_steps_from_the_set_similarity_on() -> None:
    others = ("a", "b", "c", "d", "e")
    assert credited((playbook((*TOOLS, *others[:4])), 0)) == {SHOWN[0]: 0.5, SHOWN[1]: 0.5}  # 2 * 3 / 10
    assert credited((playbook((*TOOLS, *others)), 0)) == {}  # 2 * 3 / 11


@pytest.mark.parametrize(("limit", "is_used"), [(0.5, True), (0.51, False)])
def test_a_similarity_of_exactly_the_setting_is_enough(limit: float, is_used: bool) -> None:
    memory = Memory(settings=Settings(credit=CreditSettings(plan_similarity=limit)))
    steps = tuple(Step(tool, status="ok") for tool in "abcdef")
    shown = memory.add(Episode("find the order", steps=steps, outcome=Outcome.success())).episode_id
    with memory.episode("find the order") as episode:
        episode.recall()
        for tool in "ab":  # 2 * 2 / (2 + 6)
            episode.log(tool, output=1)
        episode.succeed()
    assert bool(memory.usage(shown).applied) is is_used
