"""Predictions and merged plans against a few lines of Python that compare every task with every other."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit._native import Advisor
from tacit.errors import ValidationError
from tacit.model.record import Change, EpisodeRecord

# A run is the number of its task, its agent, its tools as letters, and whether it succeeded.
Run = tuple[int, str, str, bool]
TEXTS = ["cancel order now", "cancel flight now", "fetch invoice", "order invoice order", "zebra", "ship it"]
FUNCTION_WORDS = {"now", "it"}
RUN = st.tuples(st.integers(0, 5), st.sampled_from("xy"), st.text("abc", max_size=4), st.booleans())
RUNS = st.lists(RUN, min_size=1, max_size=12)


def domain(task: int) -> str:
    return "even" if task % 2 == 0 else "odd"


def payload(run: Run, *, ended: bool = True, keyed: bool = True, text: str | None = None) -> bytes:
    task, agent, tools, is_success = run
    record = {
        "namespace": "default",
        "task": TEXTS[task] if text is None else text,
        "task_key": f"task {task}" if keyed else None,
        "context": {"domain": domain(task)},
        "agent": agent,
        "steps": [{"tool": tool, "status": "ok"} for tool in tools] if ended else [],
        "outcome": {"kind": "success" if is_success else "failure"} if ended else None,
        "reward": {"total": 1.0 if is_success else 0.25} if ended else None,
    }
    return msgspec.msgpack.encode(record)


def put(number: int, run: Run, text: str | None = None) -> Change:
    record = EpisodeRecord(
        id=number.to_bytes(16, "big"),
        namespace="default",
        external_id=None,
        digest=bytes(16),
        task_key=f"task {run[0]}",
        domain=domain(run[0]),
        agent=run[1],
        complexity="unknown",
        state="learned",
        started_at=0,
        ended_at=0,
        base=float(run[3]),
        payload=payload(run, text=text),
        facts=b"",
        contents=b"",
        embedder=None,
        embedding=b"",
    )
    return Change(number + 1, "put", record, record.id)


def filled(runs: Sequence[Run]) -> Advisor:
    """An advisor that has learned the odds of the runs."""
    advisor = Advisor()
    advisor.apply([put(number, run) for number, run in enumerate(runs)])
    return fitted(advisor)


def fitted(advisor: Advisor) -> Advisor:
    fit = advisor.fit_due("default", "outcomes")
    assert fit is None or (fit.run() and advisor.install(fit))
    return advisor


def simulated(rng: random.Random) -> list[tuple[Run, str, float]]:
    """Runs whose odds are known: four agents, 120 tasks of random words, one to four attempts each."""
    agents = {name: rng.gauss(0, 1) for name in "wxyz"}
    runs = []
    for task in range(120):
        effect, text = rng.gauss(0, 1.2), " ".join(rng.choices([f"w{word}" for word in range(60)], k=6))
        for agent in rng.sample("wxyz", rng.randint(1, 4)):
            chance = sigmoid(0.3 + agents[agent] + effect)
            runs.append(((task, agent, "a", rng.random() < chance), text, chance))
    return runs


@pytest.mark.parametrize("unseen", [True, False])
def test_intervals_hold_the_truth_about_as_often_as_they_say(unseen: bool) -> None:
    rng, held = random.Random(7), []
    for _ in range(16):
        runs = simulated(rng)
        advisor = Advisor()
        known = [put(number, run, text) for number, (run, text, _) in enumerate(runs) if run[0] < 100]
        advisor.apply(known)
        fitted(advisor)
        for run, text, chance in runs:
            if (run[0] >= 100) == unseen:
                _, low, high = advisor.predict(payload(run, ended=False, text=text)).success
                held.append(low <= chance <= high)
    assert 0.91 < sum(held) / len(held) < 0.99


# --- the oracle of the odds ---------------------------------------------------------------------


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def groups(run: Run) -> list[tuple[str, object]]:
    task, agent, _, _ = run
    return [("agent", agent), ("domain", domain(task)), ("pair", (agent, domain(task))), ("task", task)]


def effects(runs: Sequence[Run]) -> tuple[float, dict[tuple[str, object], float], dict[str, float]]:
    """The mean, the effect of each group and the variance of each kind: one step for each in turn, 40 times."""
    won = sum(run[3] for run in runs)
    mean = math.log((won + 0.5) / (len(runs) - won + 0.5))
    effect: dict[tuple[str, object], float] = defaultdict(float)
    variance = dict.fromkeys(("agent", "domain", "pair", "task"), 1.0)

    def expected(run: Run) -> float:
        return sigmoid(mean + sum(effect[group] for group in groups(run)))

    def pull(chosen: Iterable[Run]) -> tuple[float, float]:
        shares = [(run[3], expected(run)) for run in chosen]
        return sum(won - p for won, p in shares), sum(p * (1 - p) for _, p in shares)

    for _ in range(40):
        gradient, information = pull(runs)
        own = sigmoid(mean)
        mean += 0.7 * (gradient + 0.5 - own) / (information + own * (1 - own))
        for place, kind in enumerate(variance):
            members: dict[tuple[str, object], list[Run]] = defaultdict(list)
            for run in runs:
                members[groups(run)[place]].append(run)
            pulls = {group: pull(chosen) for group, chosen in members.items()}
            squares = 2.0
            for group, (gradient, information) in pulls.items():
                precision = information + 1 / variance[kind]
                effect[group] += (gradient - effect[group] / variance[kind]) / precision
                squares += effect[group] ** 2 + 1 / precision
            variance[kind] = squares / (len(members) + 2) if len(members) > 1 else 1.0
    return mean, effect, variance


def parts_by_group(runs: list[Run], asked: Run) -> tuple[float, list[tuple[float, float]]]:
    """The base of a prediction, then each part of its log-odds beside the effect by the plain loops."""
    _, effect, _ = effects(runs)
    row = filled(runs).predict(payload(asked, ended=False))
    found = {signal: value for signal, value, _ in row.reasons}
    signals = zip(("agent", "domain", "agent_in_domain"), groups(asked), strict=False)
    return found["base"], [(found.get(signal, 0.0), effect.get(group, 0.0)) for signal, group in signals]


# A task with one attempt leaves the parts of its odds as they are: no attempt can be left out.
@settings(max_examples=40)
@given(st.lists(RUN, min_size=1, max_size=6, unique_by=lambda run: run[0]), st.sampled_from("xyz"))
def test_agent_and_domain_have_the_effects_that_the_plain_loops_find(runs: list[Run], agent: str) -> None:
    base, parts = parts_by_group(runs, (runs[0][0], agent, "", True))
    assert base == pytest.approx(sigmoid(effects(runs)[0]), abs=1e-4)
    for part, effect in parts:
        assert part == pytest.approx(effect, abs=2e-3)


@settings(max_examples=40)
@given(RUNS, st.sampled_from("xyz"))
def test_more_attempts_at_a_task_scale_the_effects_of_agent_and_domain_alike(
    runs: list[Run], agent: str
) -> None:
    _, parts = parts_by_group(runs, (runs[0][0], agent, "", True))
    largest = max(parts, key=lambda part: abs(part[1]))
    scale = largest[0] / largest[1] if abs(largest[1]) > 0.01 else 1.0
    assert scale > 0.0
    for part, effect in parts:
        assert part == pytest.approx(scale * effect, abs=4e-3)


@given(RUNS, st.integers(0, 5), st.booleans())
def test_a_prediction_is_the_sum_of_its_reasons_between_its_bounds(
    runs: list[Run], task: int, keyed: bool
) -> None:
    row = filled(runs).predict(payload((task, "x", "", True), ended=False, keyed=keyed))
    success, low, high = row.success
    assert sum(value * weight for _, value, weight in row.reasons) == pytest.approx(success)
    assert 0.0 <= low <= success <= high <= 1.0
    assert row.base_rate == pytest.approx((sum(run[3] for run in runs) + 0.5) / (len(runs) + 1))
    own = [run for run in runs if run[0] == task]
    if own:
        assert row.support == len(own)


@given(RUNS)
def test_a_success_takes_about_as_many_steps_as_those_of_its_task(runs: list[Run]) -> None:
    row = filled(runs).predict(payload(runs[0], ended=False))
    lengths = [len(run[2]) for run in runs if run[3]]
    if not lengths:
        assert row.steps is None
        return
    steps, low, high = row.steps or (0.0, 0.0, 0.0)
    own = [len(run[2]) for run in runs if run[3] and run[0] == runs[0][0]]
    if own:
        mean = sum(lengths) / len(lengths)
        assert steps == pytest.approx((sum(own) + 0.05 * mean) / (len(own) + 0.05))
    assert low <= steps <= high


# --- the oracle of the plans --------------------------------------------------------------------


def ratio(a: str, b: str) -> float:
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return 2 * rows[-1][-1] / (len(a) + len(b)) if a or b else 1.0


def stems(text: str) -> list[str]:
    """Only these words of `TEXTS` have an ending that is cut."""
    cut = {"invoice": "invoic"}
    return [cut.get(word, word) for word in text.split()]


def features(text: str) -> dict[str, float]:
    """Stems and the 4-grams of words with their weights."""
    found: dict[str, float] = {}
    for word, stem in zip(text.split(), stems(text), strict=True):
        whole = 0.1 if word in FUNCTION_WORDS else 1.0
        marked = f"<{word}>"
        grams = [f"gram {marked[at : at + 4]}" for at in range(len(marked) - 3)]
        for feature, weight in [(stem, whole), *((gram, whole / math.sqrt(len(grams))) for gram in grams)]:
            found[feature] = max(found.get(feature, 0.0), weight)
    return found


def likeness(asked: str, text: str, held: Sequence[str]) -> float:
    """BM25 of the features that both have, divided by the most that any text could score."""
    bags = [features(each) for each in held]
    mean = sum(map(len, bags)) / len(bags)

    def rarity(feature: str) -> float:
        count = sum(feature in bag for bag in bags)
        return math.log(1 + (len(bags) - count + 0.5) / (count + 0.5))

    def share(length: int) -> float:
        return 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / mean))

    values = {feature: weight * rarity(feature) for feature, weight in features(asked).items()}
    ranked = sorted(values.values(), reverse=True)
    most = max(sum(ranked[:count]) * share(count) for count in range(1, len(ranked) + 1))
    shared = features(text)
    return sum(values.get(feature, 0.0) for feature in shared) * share(len(shared)) / most


def similarities(runs: list[Run], asked: int) -> dict[int, float]:
    held = [TEXTS[run[0]] for run in runs]

    def similarity(task: int) -> float:
        text = 1.0 if task == asked else min(1.0, likeness(TEXTS[asked], TEXTS[task], held))
        proposed = (set(TEXTS[asked].split()) & set(TEXTS[task].split())) - FUNCTION_WORDS
        return text * bool(proposed) + 0.3 * (domain(task) == domain(asked))

    return {task: similarity(task) for task in {run[0] for run in runs}}


def utility(plan: str, runs: list[Run], weights: dict[int, float]) -> float:
    best: dict[int, float] = defaultdict(float)
    for task, _, tools, is_success in runs:
        if is_success:
            best[task] = max(best[task], ratio(plan, tools))
    return sum(weights[task] * value for task, value in best.items())


@given(RUNS, st.integers(0, 5))
def test_a_plan_serves_the_similar_tasks_no_worse_than_any_that_was_followed(
    runs: list[Run], asked: int
) -> None:
    row = filled(runs).plan(payload((asked, "x", "", True), ended=False), 5)
    followed = {run[2] for run in runs if run[3]}
    if not followed:
        assert (row.steps, row.episodes) == ([], [])
        return
    weights = {task: max(0.0, value) ** 4 for task, value in similarities(runs, asked).items()}
    if not any(weights[run[0]] for run in runs if run[3]):
        weights = dict.fromkeys(weights, 1.0)
    plan = "".join(tool for tool, _ in row.steps)
    best = max(utility(other, runs, weights) for other in followed)
    assert utility(plan, runs, weights) >= best - 1e-4 * sum(weights.values())
    assert all(0.0 < share <= 1.0 for _, share in row.steps)


@given(RUNS, st.integers(0, 5), st.integers(1, 3))
def test_the_episodes_behind_a_plan_are_successes_of_different_tasks(
    runs: list[Run], asked: int, limit: int
) -> None:
    row = filled(runs).plan(payload((asked, "x", "", True), ended=False), limit)
    behind = [runs[int.from_bytes(id, "big")] for id in row.episodes]
    assert all(run[3] for run in behind)
    assert len(behind) <= limit
    assert len({run[0] for run in behind}) == len(behind)


@given(RUNS, st.lists(st.integers(0, 11), unique=True), st.integers(0, 5))
def test_an_episode_that_was_forgotten_and_added_again_leaves_no_trace(
    runs: list[Run], forgotten: list[int], asked: int
) -> None:
    question = payload((asked, "x", "", True), ended=False)
    plain, moved = filled(runs), filled(runs)
    gone = [number for number in forgotten if number < len(runs)]
    moved.apply([Change(100, "remove", None, number.to_bytes(16, "big")) for number in gone])
    fitted(moved)
    moved.apply([put(number, runs[number]) for number in reversed(gone)])
    fitted(moved)
    before, after = plain.predict(question), moved.predict(question)
    assert (before.success, before.steps, before.reasons) == (after.success, after.steps, after.reasons)
    assert plain.plan(question, 5).steps == moved.plan(question, 5).steps


def test_shuffled_outcomes_say_nothing_of_tasks_that_were_never_tried() -> None:
    runs = [(number % 5, "xy"[number % 2], "ab", (number * 7919) % 13 < 6) for number in range(600)]
    success, low, high = filled(runs).predict(payload((5, "x", "", True), ended=False)).success
    assert success == pytest.approx(6 / 13, abs=0.1)
    assert low < 6 / 13 < high


def test_a_question_that_is_no_episode_is_refused() -> None:
    for ask in (Advisor().predict, lambda record: Advisor().plan(record, 5)):
        with pytest.raises(ValidationError, match="record"):
            ask(b"\xc1")
