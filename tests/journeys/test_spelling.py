"""One task in several Unicode spellings: composed and decomposed Hangul, full-width and ordinary Latin."""

from __future__ import annotations

import unicodedata

import pytest

from tacit import Memory, Outcome

WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("주문을 취소하고 환불해 주세요", unicodedata.normalize("NFD", "주문을 취소하고 환불해 주세요")),
        ("Cancel order 17 and refund it", "Cancel order 17 and refund it".translate(WIDE)),
        ("テレビを修理する", "ﾃﾚﾋﾞを修理する"),
    ],
)
def test_a_task_scores_the_same_in_each_of_its_spellings(stored: str, asked: str) -> None:
    with Memory() as memory:
        for task in (stored, "Something else altogether"):
            episode = memory.start(task)
            memory.log(episode, "tool", output="done")
            memory.complete(episode, Outcome.success("done"))
        usual, other = memory.recall(stored), memory.recall(asked)
    now_free = {"recency"}
    for one, two in zip(usual.hits, other.hits, strict=True):
        assert one.episode_id == two.episode_id
        assert [each for each in one.reasons if each.signal not in now_free] == [
            each for each in two.reasons if each.signal not in now_free
        ]
    lexical = {reason.signal: reason.value for reason in other.hits[0].reasons}["lexical"]
    assert lexical > 0.5
