"""The sentences of a reflection, one by one, from one episode and from history."""

from __future__ import annotations

from tacit.extractors.columns import trajectory_of
from tacit.model.episode import Episode, Outcome, Reflection, Step
from tacit.reflection import History, Recovery, Reflecting, reflect


def reflected(
    *steps: Step, outcome: Outcome | None = None, seconds: int = 0, **history: object
) -> Reflection:
    outcome = outcome or Outcome.success()
    episode = Episode("do it", started_at=1, ended_at=1 + seconds * 10**6, steps=steps, outcome=outcome)
    known = History(**history)  # type: ignore[arg-type]
    return reflect(Reflecting(trajectory_of(episode), outcome, known), generated_at=9)


def failed(tool: str, error: str = "no such table: x") -> Step:
    return Step(tool, status="error", error=error)


def ok(tool: str, latency_ms: float | None = None) -> Step:
    return Step(tool, status="ok", latency_ms=latency_ms)


def test_an_approach_is_told_with_its_evidence() -> None:
    told = reflected(ok("a"), ok("b"), approach_trials=15, approach_successes=13.0)
    assert told.successes[0] == "The approach a > b has now succeeded 14 of 16 times here."
    first = reflected(ok("a"))
    assert first.successes[0] == "The approach a succeeded."


def test_a_failure_tells_no_approach_as_a_success() -> None:
    told = reflected(ok("a"), ok("b"), ok("c"), outcome=Outcome.failure("wrong answer"))
    assert told.successes == ()
    assert told.improvements[0] == "It failed: wrong answer."


def test_a_recovery_is_a_success_even_in_a_failure() -> None:
    told = reflected(failed("query"), ok("show"), outcome=Outcome.failure("no"))
    assert told.successes == ('After query failed with "no such table", show worked.',)


def test_what_was_and_what_was_not_done_is_told_of_a_partial_success() -> None:
    told = reflected(ok("a"), outcome=Outcome.partial(completed=["one"], failed=["two", "three"]))
    assert "Completed: one." in told.successes
    assert told.improvements[0] == "Not done: two, three."


def test_a_tool_that_failed_twice_and_an_error_that_came_twice_are_told() -> None:
    told = reflected(failed("query"), ok("show"), failed("query"), failed("query", "syntax error"))
    assert 'query failed 2 times with the same error "no such table".' in told.improvements
    assert "query failed 3 times." in told.improvements


def test_a_known_recovery_that_was_not_used_is_told() -> None:
    recoveries = {("query", "no such table"): Recovery("show", 12.0, 13)}
    told = reflected(failed("query"), ok("query"), recoveries=recoveries)
    expected = 'After query fails with "no such table", show worked 12 of 13 times; it was not tried.'
    assert told.improvements[0] == expected
    assert reflected(failed("query"), ok("show"), recoveries=recoveries).improvements == ()


def test_the_slowest_step_is_told_where_it_is_much_slower_and_slow() -> None:
    quick = [ok("a", 100.0)] * 9
    assert "Step 10 (b) took 1.5 s, most of the time." in reflected(*quick, ok("b", 1_500.0)).improvements
    assert "Step 10" not in " ".join(reflected(*quick, ok("b", 900.0)).improvements)


def test_a_long_episode_is_told() -> None:
    told = reflected(*[ok(tool) for tool in "ab" * 26], seconds=301)
    assert "It took 301 s, more than 300 s." in told.improvements
    assert "It took 52 steps, more than 50." in told.improvements


def test_a_tool_that_follows_itself_may_be_one_call() -> None:
    told = reflected(ok("a"), ok("a"), ok("b"), ok("b"), ok("b"))
    assert told.improvements == ("b followed itself 2 times: perhaps one call would do.",)


def test_the_first_success_after_failures_is_told_with_what_was_different() -> None:
    told = reflected(ok("a"), ok("check"), failed_attempts=2, last_failed=("a", "guess"))
    expected = "First success at this task after 2 failed attempts; this time with check and without guess."
    assert told.insights[0] == expected
    assert reflected(ok("a"), failed_attempts=1, last_failed=("b",), succeeded_before=True).insights == ()


def test_an_episode_is_compared_with_what_is_usual() -> None:
    told = reflected(
        ok("a"), seconds=10, episodes=8, usual_steps=6.0, usual_seconds=60.0, usual_error_rate=0.0
    )
    assert told.insights[0].startswith("1 steps against 6, the median")
    assert told.insights[1].startswith("10 seconds against 60, the median")


def test_more_errors_than_usual_are_told() -> None:
    told = reflected(failed("a"), ok("b"), episodes=8, usual_steps=2.0, usual_error_rate=0.1)
    assert told.insights[0].startswith("50% of the steps failed, against 10%")


def test_new_patterns_are_counted() -> None:
    assert reflected(ok("a"), new_patterns=3).insights == ("3 patterns were seen for the first time.",)


def test_each_list_has_at_most_five_sentences_in_the_same_order_every_time() -> None:
    steps = [failed(f"tool{n % 6}", f"error kind {letter}") for n, letter in enumerate("abcdefabcdef")]
    told = reflected(*steps, outcome=Outcome.failure("no"))
    assert len(told.improvements) == 5
    assert told == reflected(*steps, outcome=Outcome.failure("no"))
    assert told.generated_at == 9
