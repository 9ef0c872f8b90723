"""The script that commits batches on a server, and the reading of its results.

A batch is one chain of steps: each runs only if the one before it did not fail, and a condition that must not hold is
a step that fails (`refuse_if`). A refused batch is rolled back, the others of its group are committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ..._native import (
    EpisodeRow,
    SideRecordRow,
    batch_rows,
    facts_sql,
    kind_number,
    pattern_key,
    state_number,
    stored_with_state,
    unpack_facts,
)
from ...errors import ConflictError, TacitError, ValidationError, VersionConflictError
from ...model.record import Batch, Receipt
from .calls import failure_of
from .connections import TryFailed
from .hrana import IN_TRANSACTION, REFUSED, Script, SqlText, StepResults, Value, both, failed, ok, refuse_if

NEWEST = "(SELECT coalesce(max(sequence), 0) FROM change)"
_NEXT = "(SELECT coalesce(max(sequence), 0) + 1 FROM change)"
_LOG = f"INSERT INTO change (sequence, op, id) VALUES ({_NEXT}, ?1, ?2)"
_NAMESPACE = "INSERT INTO namespace (name) VALUES (?1) ON CONFLICT DO NOTHING"
_PUT = (
    "INSERT INTO episode (sequence, id, namespace, external_id, digest, task_key, domain, agent, complexity, state, "
    f"started_at, ended_at, base, embedder, record) VALUES ({_NEXT}, ?1, "
    "(SELECT number FROM namespace WHERE name = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) "
    "ON CONFLICT DO NOTHING"
)
_LOG_PUT = (
    "INSERT INTO change (sequence, op, id) "
    f"SELECT sequence, 0, id FROM episode WHERE id = ?1 AND sequence = {_NEXT}"
)
_WRITE = (
    "INSERT OR REPLACE INTO note (sequence, kind, id, namespace, is_there, record, subject) "
    f"SELECT {_NEXT}, ?1, ?2, (SELECT number FROM namespace WHERE name = ?3), ?4, ?5, ?6 WHERE "
)
_IF_DIFFERENT = "NOT EXISTS (SELECT 1 FROM note WHERE kind = ?1 AND id = ?2 AND is_there = 1 AND record = ?5)"
_IF_THERE = (
    "EXISTS (SELECT 1 FROM note WHERE kind = ?1 AND id = ?2 AND is_there = 1 "
    "AND namespace = (SELECT number FROM namespace WHERE name = ?3))"
)
_LOG_SIDE_RECORD = (
    "INSERT INTO change (sequence, op, id) "
    f"SELECT sequence, 2, id FROM note WHERE kind = ?1 AND id = ?2 AND sequence = {_NEXT}"
)
_OF_ANOTHER = (
    "EXISTS (SELECT 1 FROM note WHERE kind = ?1 AND id = ?2 AND is_there = 1 "
    "AND namespace IS NOT (SELECT number FROM namespace WHERE name = ?3))"
)
_SET_STATE = f"UPDATE episode SET sequence = {NEWEST}, state = ?2, record = ?3 WHERE id = ?1"
_DELETE = "DELETE FROM episode WHERE id = ?1"
_LOG_DROP = (
    f"INSERT INTO change (sequence, op, id) SELECT {_NEXT}, 3, ?3 WHERE EXISTS (SELECT 1 FROM pattern "
    "WHERE id = ?2 AND namespace = (SELECT number FROM namespace WHERE name = ?1)) "
    "AND NOT EXISTS (SELECT 1 FROM episode WHERE namespace = (SELECT number FROM namespace WHERE name = ?1) "
    "AND instr({facts}, ?2) > 0)"
)
_DROP = (
    "DELETE FROM pattern WHERE id = ?2 AND namespace = (SELECT number FROM namespace WHERE name = ?1) "
    f"AND EXISTS (SELECT 1 FROM change WHERE sequence = {NEWEST} AND op = 3 AND id = ?3)"
)
_VERSION = (
    "CASE given.column1 WHEN 1 THEN (SELECT sequence FROM episode WHERE id = given.column2) "
    "ELSE (SELECT sequence FROM note WHERE kind = given.column1 AND id = given.column2 AND is_there = 1) END"
)
_HEADER = 14
"""The bytes of a record's frame, which hold the length and the hash of the rest."""


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """A stored episode that a batch removes or changes."""

    sequence: int
    namespace: str
    external_id: str | None
    patterns: tuple[bytes, ...]
    record: bytes | None
    """Read only for a change of state."""


class Moved(Exception):
    """A stored episode was written by somebody else between the look at it and the commit."""


@dataclass(slots=True)
class BatchPlan:
    """A batch on its way: its rows, and what is known of the episodes that it removes or changes."""

    batch: Batch
    episodes: list[EpisodeRow]
    side_records: list[SideRecordRow]
    stored: dict[bytes, StoredEpisode] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: Batch) -> BatchPlan:
        """Packs the rows of a batch; refuses one that breaks a limit."""
        return cls(batch, *batch_rows(batch))

    @property
    def operations(self) -> int:
        """The number of operations; preconditions are none."""
        batch = self.batch
        return len(batch.removed) + len(batch.states) + len(batch.episodes) + len(batch.side_records)

    @property
    def bytes(self) -> int:
        """About the size of the request."""
        records = sum(len(row.record) + 256 * len(row.patterns) for row in self.episodes)
        return records + sum(len(row.record) for row in self.side_records)

    @property
    def needs_look(self) -> bool:
        """True if stored episodes have to be read before the batch can be written."""
        return bool(self.batch.removed or self.batch.states)

    @property
    def needs_comparison(self) -> bool:
        """True if repeating the batch must find that nothing is left to do."""
        return bool(self.batch.expect) or any(row.id in self.batch.removed for row in self.episodes)


def add_look(script: Script, plan: BatchPlan) -> tuple[int, int]:
    """Adds the reading of the episodes that a batch removes or changes; returns both steps."""
    removed, changed = SqlText(), SqlText()
    source = (
        "FROM {} CROSS JOIN episode ON episode.id = given.column1 "
        "JOIN namespace ON namespace.number = episode.namespace"
    )
    gone = removed.table([(id,) for id in plan.batch.removed] or [(None,)])
    moved = changed.table([(each.id,) for each in plan.batch.states] or [(None,)])
    head = "SELECT episode.id, episode.sequence, namespace.name, episode.external_id, "
    return (
        script.add(head + f"{facts_sql()} {source.format(gone)}", removed.values),
        script.add(head + f"episode.record {source.format(moved)}", changed.values),
    )


def read_look(results: StepResults, steps: tuple[int, int], plan: BatchPlan) -> None:
    """Notes what `add_look` found."""
    for step in steps:
        require(results, step)
    plan.stored = {}
    for id, sequence, name, external_id, facts in results.rows(steps[0]):
        known = (_int(sequence), str(name), _text(external_id))
        plan.stored[_blob(id)] = StoredEpisode(*known, _patterns(_blob(facts)), None)
    for id, sequence, name, external_id, record in results.rows(steps[1]):
        known = (_int(sequence), str(name), _text(external_id))
        plan.stored.setdefault(_blob(id), StoredEpisode(*known, (), _blob(record)))


def _patterns(facts: bytes) -> tuple[bytes, ...]:
    """The patterns that packed facts name; those of a damaged episode name none."""
    try:
        return tuple(dict.fromkeys(pattern for pattern, *_ in unpack_facts(facts)))
    except ValidationError:
        return ()


def require(results: StepResults, step: int) -> None:
    """Raises the failure of a step that did not run."""
    error = results.error(step)
    if error is not None:
        raise failure_of(error, "the server refused a statement")
    if not results.ran(step):
        raise TryFailed("the server left a statement out", is_servers_fault=False)


class BatchSteps:
    """The steps of one batch inside a transaction, and the outcome that their results mean."""

    def __init__(self, script: Script, plan: BatchPlan) -> None:
        self._script = script
        self._plan = plan
        self._first = len(script)
        self._refusals: dict[int, Callable[[StepResults], Receipt]] = {}
        self._counted: list[int] = []
        self._known = 0
        """The operations that change something, as the look showed."""
        self._versions = -1
        self._namespaces: set[str] = set()
        self._add_all()
        self.newest: int = script.then(f"SELECT {NEWEST}")

    def _add_all(self) -> None:
        plan = self._plan
        if plan.needs_comparison:
            self._add_comparison()
        if plan.needs_look:
            self._add_removals_and_states()
        for row in plan.episodes:
            self._add_put(row)
        for note in plan.side_records:
            self._add_side_record(note)
        for namespace, pattern in sorted(self._unnamed()):
            key = pattern_key(namespace, pattern)
            values = (namespace, pattern, key)
            self._script.then(_LOG_DROP.replace("{facts}", facts_sql()), values)
            self._script.then(_DROP, values)

    def _refuse(
        self, condition: str, values: Sequence[Value], outcome: Callable[[StepResults], Receipt]
    ) -> None:
        self._refusals[self._script.then(refuse_if(condition), values)] = outcome

    def _add_comparison(self) -> None:
        held = SqlText()
        self._refuse(" AND ".join(self._held(held)), held.values, self._unchanged)
        wanted = SqlText()
        rows: list[tuple[Value, ...]] = [
            (kind_number(each.kind), each.id, each.version) for each in self._plan.batch.expect
        ]
        if rows:
            found = SqlText()
            self._versions = self._script.then(f"SELECT {_VERSION} FROM {found.table(rows)}", found.values)
            condition = f"EXISTS (SELECT 1 FROM {wanted.table(rows)} WHERE {_VERSION} IS NOT given.column3)"
            self._refuse(condition, wanted.values, self._version_conflict)

    def _held(self, text: SqlText) -> Iterator[str]:
        """The conditions that together mean: the store is already as the batch would leave it."""
        plan, put = self._plan, {row.id for row in self._plan.episodes}
        gone: list[tuple[Value, ...]] = [(id,) for id in plan.batch.removed if id not in put]
        if gone:
            yield (
                f"NOT EXISTS (SELECT 1 FROM {text.table(gone)} "
                "WHERE EXISTS (SELECT 1 FROM episode WHERE id = given.column1))"
            )
        states: list[tuple[Value, ...]] = [(each.id, state_number(each.state)) for each in plan.batch.states]
        if states:
            yield (
                f"NOT EXISTS (SELECT 1 FROM {text.table(states)} "
                "WHERE (SELECT state FROM episode WHERE id = given.column1) IS NOT given.column2)"
            )
        replaced = [row for row in plan.episodes if row.id in plan.batch.removed]
        if replaced:
            heads: list[tuple[Value, ...]] = [(row.id, row.record[:_HEADER]) for row in replaced]
            yield (
                f"NOT EXISTS (SELECT 1 FROM {text.table(heads)} "
                f"WHERE (SELECT substr(record, 1, {_HEADER}) FROM episode WHERE id = given.column1) "
                "IS NOT given.column2)"
            )
        added: list[tuple[Value, ...]] = [
            (row.id, row.external_id, row.namespace, row.digest)
            for row in plan.episodes
            if row.id not in plan.batch.removed
        ]
        if added:
            digest = _digest_of("given.column1", "given.column2", "given.column3")
            yield f"NOT EXISTS (SELECT 1 FROM {text.table(added)} WHERE {digest} IS NOT given.column4)"
        notes: list[tuple[Value, ...]] = [
            (row.kind, row.id, row.namespace, int(row.is_there), row.record[:_HEADER])
            for row in plan.side_records
        ]
        if notes:
            yield (
                f"NOT EXISTS (SELECT 1 FROM {text.table(notes)} LEFT JOIN note ON note.kind = given.column1 "
                "AND note.id = given.column2 AND note.is_there = 1 WHERE CASE WHEN note.id IS NULL "
                "OR note.namespace IS NOT (SELECT number FROM namespace WHERE name = given.column3) "
                f"THEN given.column4 ELSE substr(note.record, 1, {_HEADER}) IS NOT given.column5 END)"
            )
        yield "1"

    def _add_removals_and_states(self) -> None:
        plan, looked = self._plan, SqlText()
        ids = dict.fromkeys(chain(plan.batch.removed, (each.id for each in plan.batch.states)))
        rows: list[tuple[Value, ...]] = [
            (id, plan.stored[id].sequence if id in plan.stored else None) for id in ids
        ]
        condition = (
            f"EXISTS (SELECT 1 FROM {looked.table(rows)} "
            "WHERE (SELECT sequence FROM episode WHERE id = given.column1) IS NOT given.column2)"
        )
        self._refuse(condition, looked.values, _moved)
        for id in dict.fromkeys(plan.batch.removed):
            if id in plan.stored:
                self._known += 1
                self._script.then(_LOG, (1, id))
                self._script.then(_DELETE, (id,))
        records = {id: each.record for id, each in plan.stored.items() if id not in plan.batch.removed}
        for change in plan.batch.states:
            record = records.get(change.id)
            if record is None:
                self._refuse("1", (), _raise(VersionConflictError("episode", change.id.hex(), 0, None)))
                return
            restated = stored_with_state(change.id, record, change.state)
            if restated is not None:
                self._known += 1
                records[change.id] = restated
                self._script.then(_LOG, (1, change.id))
                self._script.then(_LOG, (0, change.id))
                self._script.then(_SET_STATE, (change.id, state_number(change.state), restated))

    def _add_namespace(self, name: str) -> None:
        if name not in self._namespaces:
            self._namespaces.add(name)
            self._script.then(_NAMESPACE, (name,))

    def _add_put(self, row: EpisodeRow) -> None:
        script = self._script
        self._add_namespace(row.namespace)
        columns: tuple[Value, ...] = (
            row.id, row.namespace, row.external_id, row.digest, row.task_key, row.domain, row.agent,
            row.complexity, row.state, row.started_at, row.ended_at, row.base, row.embedder, row.record,
        )  # fmt: skip
        self._counted.append(script.then(_PUT, columns))
        conflict = ConflictError(row.id.hex() if row.external_id is None else row.external_id, row.namespace)
        digest = f"{_digest_of('?1', '?2', '?3')} IS NOT ?4"
        self._refuse(digest, (row.id, row.external_id, row.namespace, row.digest), _raise(conflict))
        script.then(_LOG_PUT, (row.id,))
        if row.patterns:
            text = SqlText()
            space, id, head = (text.bind(each) for each in (row.namespace, row.id, row.record[:_HEADER]))
            given = text.table(row.patterns)
            script.then(
                "INSERT INTO pattern (namespace, id, kind, record) "
                f"SELECT (SELECT number FROM namespace WHERE name = {space}), column1, column2, column3 "
                f"FROM {given} WHERE EXISTS "
                f"(SELECT 1 FROM episode WHERE sequence = {NEWEST} AND id = {id} "
                f"AND substr(record, 1, {_HEADER}) = {head}) "
                "ON CONFLICT DO NOTHING",
                text.values,
            )

    def _add_side_record(self, row: SideRecordRow) -> None:
        script = self._script
        if row.is_there:
            conflict = ConflictError(row.id.hex(), row.namespace)
            self._refuse(_OF_ANOTHER, (row.kind, row.id, row.namespace), _raise(conflict))
            self._add_namespace(row.namespace)
        values = (row.kind, row.id, row.namespace, int(row.is_there), row.record, row.subject)
        condition = _IF_DIFFERENT if row.is_there else _IF_THERE
        self._counted.append(script.then(_WRITE + condition, values))
        script.then(_LOG_SIDE_RECORD, (row.kind, row.id))

    def _unnamed(self) -> set[tuple[str, bytes]]:
        """The patterns that may have lost their last fact, by namespace.

        A pattern that the new version of a removed episode names has not, if that version is sure to be stored.
        """
        plan = self._plan
        ids = Counter(row.id for row in plan.episodes)
        external = Counter((row.namespace, row.external_id) for row in plan.episodes)
        named = {
            (row.namespace, pattern)
            for row in plan.episodes
            if row.id in plan.stored and ids[row.id] == 1
            if row.external_id is None
            or (
                external[row.namespace, row.external_id] == 1
                and plan.stored[row.id].external_id == row.external_id
            )
            for pattern in row.named
        }
        removed = {id: plan.stored[id] for id in plan.batch.removed if id in plan.stored}
        lost = {(each.namespace, pattern) for each in removed.values() for pattern in each.patterns}
        return lost - named

    # --- results ---

    def outcome(self, results: StepResults) -> Receipt:
        """Returns the receipt of a batch. Raises its refusal, or `Moved`, or the failure of a statement."""
        for step in range(self._first, self.newest + 1):
            error = results.error(step)
            if error is None:
                continue
            if step in self._refusals and REFUSED in error.message:
                return self._refusals[step](results)
            raise failure_of(error, "the server refused a statement")
        require(results, self.newest)
        committed = self._known + sum(results.changed(step) for step in self._counted)
        return Receipt(sequence_of(results, self.newest), committed, self._plan.operations - committed, "")

    def _unchanged(self, results: StepResults) -> Receipt:
        """The receipt of a batch that wrote nothing, and so needs no COMMIT: its sequence is 0."""
        return Receipt(0, 0, self._plan.operations, "")

    def _version_conflict(self, results: StepResults) -> Receipt:
        for expected, (found,) in zip(self._plan.batch.expect, results.rows(self._versions), strict=True):
            if found != expected.version:
                version = None if found is None else _int(found)
                raise VersionConflictError(expected.kind, expected.id.hex(), expected.version, version)
        raise TryFailed("the server refused versions that hold", is_servers_fault=False)


class GroupScript:
    """Batches in one transaction. A batch that is refused leaves nothing, and does not fail the others."""

    def __init__(self, plans: Sequence[BatchPlan]) -> None:
        script = Script()
        self.script: Script = script
        self.before: int = 0
        """The newest change before the transaction, as its results tell."""
        self._begin = script.add("BEGIN IMMEDIATE")
        self._newest = script.add(f"SELECT {NEWEST}", condition=ok(self._begin))
        self._batches: list[BatchSteps] = []
        if len(plans) == 1:
            script.last = self._newest
            self._batches.append(BatchSteps(script, plans[0]))
            whole = ok(script.last)
        else:
            for plan in plans:
                self._add_guarded(plan)
            whole = ok(self._begin)
        self._commit = script.add("COMMIT", condition=both(whole, IN_TRANSACTION))
        script.add("ROLLBACK", condition=IN_TRANSACTION)

    def _add_guarded(self, plan: BatchPlan) -> None:
        script = self.script
        script.last = script.add("SAVEPOINT batch", condition=IN_TRANSACTION)
        self._batches.append(BatchSteps(script, plan))
        released = script.then("RELEASE batch")
        undone = script.add("ROLLBACK TO batch", condition=both(failed(released), IN_TRANSACTION))
        script.add("RELEASE batch", condition=ok(undone))

    def outcomes(self, results: StepResults) -> list[Receipt | TacitError | Moved]:
        """Returns the outcome of each batch. Raises `TryFailed` if the transaction may succeed when it is repeated."""
        require(results, self._begin)
        self.before = newest = sequence_of(results, self._newest)
        read = [_settled(batch, results) for batch in self._batches]
        if any(isinstance(each, Receipt) and each.sequence for each in read):
            self._require_commit(results)
        return [
            replace(each, sequence=newest) if isinstance(each, Receipt) and not each.sequence else each
            for each in read
        ]

    def _require_commit(self, results: StepResults) -> None:
        error = results.error(self._commit)
        if error is not None and (error.code or "").startswith("SQLITE_IOERR"):
            # A log that was written but not synced may or may not hold the transaction.
            raise TryFailed(f"the commit failed: {error.message}", may_have_run=True)
        require(results, self._commit)


def _settled(batch: BatchSteps, results: StepResults) -> Receipt | TacitError | Moved:
    try:
        return batch.outcome(results)
    except (TacitError, Moved) as refusal:
        return refusal


def sequence_of(results: StepResults, step: int) -> int:
    """Returns the number that a step read."""
    require(results, step)
    rows = results.rows(step)
    if len(rows) != 1 or not isinstance(rows[0][0], int):
        raise TryFailed("the server returned no sequence", is_servers_fault=False)
    return rows[0][0]


def _digest_of(id: str, external_id: str, namespace: str) -> str:
    """The digest of the episode with this id, else of the one with this external id."""
    return (
        f"coalesce((SELECT digest FROM episode WHERE id = {id}), "
        f"(SELECT digest FROM episode WHERE external_id = {external_id} "
        f"AND namespace = (SELECT number FROM namespace WHERE name = {namespace})))"
    )


def _raise(error: TacitError) -> Callable[[StepResults], Receipt]:
    def refuse(results: StepResults) -> Receipt:
        raise error

    return refuse


def _moved(results: StepResults) -> Receipt:
    raise Moved


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise TryFailed("the server returned another type than a number")
    return value


def _blob(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TryFailed("the server returned another type than bytes")
    return value


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
