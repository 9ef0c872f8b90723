"""Receipts of answers within an episode, and their stored form."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from ..deferred import dataclass
from ..errors import UnknownEpisodeError, UnknownRecallError, ValidationError
from ..model.checks import check_type
from ..model.ids import as_bytes
from ..model.record import Expect, Filters, SideRecord
from ..storage.base import Store
from .shown_answer import RecallReceipt, ShownAnswer

_USE = struct.Struct("<16sdd")
"""A memory, how much of a trial its use counts for, and to which share it helped."""


@dataclass(frozen=True, slots=True)
class _Receipt:
    """The stored form of a receipt; `share` is the part of one trial that its uses share.

    `used` are the ids of the memories that the episode used, and `expected` the success that was expected of it: a
    later verdict is credited by them.
    """

    namespace: str
    episode: bytes
    at: int
    steps: int
    share: float
    items: bytes
    used: bytes = b""
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class _WaitingReceipt(_Receipt):
    """A receipt of an episode that waits to be learned from: its uses are found then, in the `answer`."""

    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class _Credit:
    """The stored form of credit: the outcome and the expected outcome; without them it came from feedback."""

    uses: bytes
    outcome: float | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer that an episode was given after `steps` steps, at `at`, and its use.

    `shown` counts the memories that it showed, `used` those that the episode used. `helped` is above a half if they led
    to a better end than was to be expected; `None` means that they were not credited.
    """

    at: int
    steps: int
    shown: int
    used: int
    helped: float | None


_RECEIPTS = msgspec.msgpack.Decoder(_Receipt)
_WAITING = msgspec.msgpack.Decoder(_WaitingReceipt)
_ANSWERS = msgspec.msgpack.Decoder(ShownAnswer)
_CREDITS = msgspec.msgpack.Decoder(_Credit)


def receipt_record(
    receipt: RecallReceipt, episode: bytes, share: float, used: Sequence[bytes], expected: float
) -> SideRecord:
    """The side record of a receipt: the answer's episode, the memories that it showed, and the used ones."""
    items = b"".join(receipt.memories)
    stored = _Receipt(receipt.namespace, episode, receipt.at, receipt.steps, share, items)
    if used and receipt.feedback is None:
        stored = replace(stored, used=b"".join(sorted(used)), expected=expected)
    return SideRecord("receipt", receipt.id, receipt.namespace, msgspec.msgpack.encode(stored), episode)


def waiting_records(receipts: Sequence[RecallReceipt], episode: bytes) -> Iterator[SideRecord]:
    """The receipts of an episode that is learned from later, and the feedback that was given already."""
    share = 1.0 / max(1, len(receipts))
    for receipt in receipts:
        items, answer = b"".join(receipt.memories), msgspec.msgpack.encode(receipt.answer)
        stored = _WaitingReceipt(
            receipt.namespace, episode, receipt.at, receipt.steps, share, items, answer=answer
        )
        record = msgspec.msgpack.encode(stored)
        yield SideRecord("receipt", receipt.id, receipt.namespace, record, episode)
        if receipt.feedback is not None:
            yield feedback_credit(receipt.id, receipt.namespace, receipt.feedback, share)


def waiting_receipts(store: Store, episode: bytes) -> list[RecallReceipt]:
    """The answers to a pending episode whose uses are to be found, with the feedback that was given meanwhile."""
    found: list[RecallReceipt] = []
    ids = receipts_of(store, episode)
    records = zip(store.get_many("receipt", ids), store.get_many("credit", ids), strict=True)
    for record, credit_record in records:
        stored = None if record is None else _WAITING.decode(record)
        if stored is not None and stored.answer:
            answer, feedback = _ANSWERS.decode(stored.answer), _feedback_in(credit_record)
            found.append(RecallReceipt(answer, stored.namespace, stored.at, stored.steps, feedback))
    return found


def _feedback_in(credit_record: bytes | None) -> dict[bytes, bool] | None:
    """The feedback that a stored credit holds; `None` for none."""
    credit = None if credit_record is None else _CREDITS.decode(credit_record)
    if credit is None or credit.outcome is not None:
        return None
    return {memory: helped > 0.5 for memory, _, helped in _USE.iter_unpack(credit.uses)}


def outcome_credit(
    id: bytes, namespace: str, used: Sequence[bytes], share: float, *, outcome: float, expected: float
) -> SideRecord:
    """Credit by outcome, shared by the used memories: h = 1/2 + (outcome - expected) / 2.

    More than a half means better than expected.
    """
    helped = 0.5 + (outcome - expected) / 2
    uses = _uses(dict.fromkeys(used, helped), share)
    record = msgspec.msgpack.encode(_Credit(uses, outcome, expected))
    return SideRecord("credit", id, namespace, record)


def judged_records(
    store: Store, episode: bytes, outcome: float | None
) -> tuple[tuple[SideRecord, ...], tuple[Expect, ...]]:
    """The credit of an episode's receipts under another verdict, and the preconditions of writing it.

    An unknown outcome credits nothing. Feedback stands.
    """
    records: list[SideRecord] = []
    expected: list[Expect] = []
    ids = receipts_of(store, episode)
    for id, record in zip(ids, store.get_many("receipt", ids), strict=True):
        if record is None:
            continue
        found = store.get_versioned("credit", id)
        changed = _judged(id, _RECEIPTS.decode(record), None if found is None else found[1], outcome)
        if changed:
            records += changed
            expected.append(Expect("credit", id, None if found is None else found[0]))
    return tuple(records), tuple(expected)


def _judged(
    id: bytes, receipt: _Receipt, credit_record: bytes | None, outcome: float | None
) -> list[SideRecord]:
    credit = None if credit_record is None else _CREDITS.decode(credit_record)
    if credit is not None and credit.outcome is None:
        return []  # feedback
    changed: list[SideRecord] = []
    if not receipt.used and credit is not None:
        ids = (credit.uses[at : at + 16] for at in range(0, len(credit.uses), _USE.size))
        receipt = replace(receipt, used=b"".join(ids), expected=credit.expected)
        stored = msgspec.msgpack.encode(receipt)
        changed.append(SideRecord("receipt", id, receipt.namespace, stored, receipt.episode))
    if not receipt.used or receipt.expected is None:
        return []
    if outcome is None:
        return [*changed, SideRecord("credit", id, receipt.namespace, None)]
    used = [receipt.used[at : at + 16] for at in range(0, len(receipt.used), 16)]
    share, before = receipt.share, receipt.expected
    return [*changed, outcome_credit(id, receipt.namespace, used, share, outcome=outcome, expected=before)]


def feedback_credit(id: bytes, namespace: str, feedback: Mapping[bytes, bool], share: float) -> SideRecord:
    """Credit by feedback, shared by the memories that it named; none if it named nothing."""
    helped = {memory: float(verdict) for memory, verdict in feedback.items()}
    uses = _uses(helped, share) if helped else b""
    return SideRecord("credit", id, namespace, msgspec.msgpack.encode(_Credit(uses)))


def _uses(helped: Mapping[bytes, float], share: float) -> bytes:
    """Packed in the order of ids: the same uses are the same bytes."""
    weight = share / len(helped)
    return b"".join(_USE.pack(memory, weight, helped[memory]) for memory in sorted(helped))


def feedback_record(store: Store, recall_id: str, helped: Mapping[str, bool], namespace: str) -> SideRecord:
    """The credit of a stored receipt as feedback wants it. Raises `UnknownRecallError` and `ValidationError`."""
    id = recall_bytes(recall_id)
    record = store.get("receipt", id)
    receipt = None if record is None else _RECEIPTS.decode(record)
    if receipt is None or receipt.namespace != namespace:
        raise UnknownRecallError(recall_id)
    feedback = feedback_of(helped, {receipt.items[at : at + 16] for at in range(0, len(receipt.items), 16)})
    return feedback_credit(id, receipt.namespace, feedback, receipt.share)


def feedback_of(helped: Mapping[str, bool], shown: Iterable[bytes]) -> dict[bytes, bool]:
    """Feedback by the bytes of ids. Raises `ValidationError` for a memory that was not shown."""
    check_type("helped", helped, Mapping)
    feedback = {_memory_bytes(memory): _checked(verdict) for memory, verdict in helped.items()}
    strangers = feedback.keys() - set(shown)
    if strangers:
        raise ValidationError("helped", "ids of memories that this answer showed", strangers.pop().hex())
    return feedback


def _memory_bytes(memory: str) -> bytes:
    try:
        return as_bytes(memory)
    except UnknownEpisodeError:
        raise ValidationError("helped", "ids of memories that this answer showed", repr(memory)) from None


def _checked(verdict: bool) -> bool:
    if not isinstance(verdict, bool):
        raise ValidationError("helped", "True or False for each memory", repr(verdict))
    return verdict


def recall_bytes(recall_id: str) -> bytes:
    """The 16 bytes of a recall's id; raises `UnknownRecallError` for a text that is none."""
    try:
        return as_bytes(recall_id)
    except UnknownEpisodeError:
        raise UnknownRecallError(recall_id) from None


def receipts_of(store: Store, episode: bytes) -> list[bytes]:
    """Returns the ids of the receipts that belong to an episode."""
    found: list[bytes] = []
    while page := store.scan("receipt", after=found[-1] if found else None, filters=Filters(subject=episode)):
        found.extend(id for id, _ in page)
    return found


def given_answers(store: Store, episode: bytes) -> tuple[GivenAnswer, ...]:
    """The answers that an ended episode was given, in their order."""
    ids = receipts_of(store, episode)
    found = zip(store.get_many("receipt", ids), store.get_many("credit", ids), strict=True)
    answers = (_given(_RECEIPTS.decode(receipt), credit) for receipt, credit in found if receipt is not None)
    return tuple(sorted(answers, key=lambda answer: (answer.at, answer.steps)))


def _given(receipt: _Receipt, credit_record: bytes | None) -> GivenAnswer:
    uses = [] if credit_record is None else list(_USE.iter_unpack(_CREDITS.decode(credit_record).uses))
    weight = sum(share for _, share, _ in uses)
    helped = sum(share * better for _, share, better in uses) / weight if weight else None
    used = len(receipt.used) // 16 or len(uses)
    return GivenAnswer(receipt.at, receipt.steps, len(receipt.items) // 16, used, helped)


def revocation_records(store: Store, receipts: Sequence[bytes]) -> Iterator[SideRecord]:
    """Takes receipts back, with the credit that they gave."""
    for id, record in zip(receipts, store.get_many("receipt", receipts), strict=True):
        if record is not None:
            namespace = _RECEIPTS.decode(record).namespace
            yield SideRecord("receipt", id, namespace, None)
            yield SideRecord("credit", id, namespace, None)
