"""The pages of the dashboard: each takes values of a memory and gives HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..credit.receipts import GivenAnswer
from ..model.episode import Episode, Step
from ..model.pattern import Pattern
from ..model.recall import Hit, Recall
from .charts import interval_bar, learning_curve, reason_bar
from .figures import MOST_EPISODES, AnswerUse, HealthCheck, Overview, Share, time_of
from .markup import Markup, element, joined, link, table

KINDS = ("tool_sequence", "decision_point", "error_recovery", "context_pattern")
_PAGES = {
    "/": "Overview",
    "/episodes": "Episodes",
    "/patterns": "Patterns",
    "/answers": "Answers",
    "/recall": "Ask",
    "/health": "Health",
}
_SHORT = 160


def page(title: str, path: str, about: str, *content: object) -> str:
    """A whole page with its navigation; `about` names the memory."""
    links = (
        element("a", name, href=target, aria_current="page" if target == path else None)
        for target, name in _PAGES.items()
    )
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{title}: tacit"),
        Markup('<link rel="stylesheet" href="/style.css">'),
    )
    body = element(
        "body",
        element("header", element("strong", "tacit"), element("small", about), element("nav", *links)),
        element("main", element("h1", title), *content),
    )
    return f"<!doctype html>{element('html', head, body, lang='en')}"


def overview_page(found: Overview) -> Markup:
    """Counts, the learning curve, success by domain and agent, and what was learned lately."""
    overall = f"{found.overall.mean:.0%}" if found.overall.trials else "none yet"
    seen = "" if found.total <= MOST_EPISODES else f" (the newest {MOST_EPISODES:,} episodes)"
    tiles = (
        (f"{found.total:,}", "episodes"),
        (overall, f"success of {found.overall.trials:,} judged{seen}"),
        (f"{found.patterns:,}", "patterns"),
        (f"{found.open:,}", "open now"),
    )
    return joined(
        (
            element(
                "div",
                *(element("div", element("b", n), element("span", t), class_="tile") for n, t in tiles),
                class_="tiles",
            ),
            element("h2", "Success over time"),
            element("div", learning_curve(found.curve), class_="card"),
            element(
                "div",
                element("div", element("h2", "By domain"), _card(share_table("domain", found.domains))),
                element("div", element("h2", "By agent"), _card(share_table("agent", found.agents))),
                class_="columns",
            ),
            element("h2", "Learned lately"),
            _card(episode_table(found.episodes)),
        )
    )


def share_table(head: str, shares: Sequence[Share]) -> Markup:
    """Successes by name, each with its interval."""
    return table(
        (head, "success", "", "judged"),
        (
            (
                each.name,
                _number(f"{each.mean:.0%}"),
                interval_bar(each.mean, each.low, each.high),
                _number(f"{each.trials:,}"),
            )
            for each in shares[:20]
        ),
    )


def episode_table(episodes: Iterable[Episode]) -> Markup:
    """Episodes with their outcomes and insights."""
    return table(
        ("task", "outcome", "steps", "ended", "learned"),
        (
            (
                link(f"/episodes/{each.id}", _short(each.task)),
                outcome_word(each),
                _number(f"{len(each.steps):,}"),
                _number(time_of(each.ended_at)),
                _short("; ".join(_insights(each)[:1])) or element("span", "nothing new", class_="none"),
            )
            for each in episodes
        ),
        wide=True,
    )


def _insights(episode: Episode) -> list[str]:
    found = episode.reflection
    return [] if found is None else [*found.insights, *found.improvements, *found.successes]


def outcome_word(episode: Episode) -> Markup:
    """The outcome in a word of its colour."""
    kind = "open" if episode.outcome is None else episode.outcome.kind
    return element("span", kind, class_=kind)


def episodes_page(episodes: Sequence[Episode], *, size: int, opened: Sequence[Episode]) -> Markup:
    """A page of episodes, newest first, and the open ones above it."""
    parts: list[object] = []
    if opened:
        parts += [element("h2", "Open now"), _card(episode_table(opened)), element("h2", "Ended")]
    parts.append(_card(episode_table(episodes)))
    if len(episodes) == size:
        parts.append(element("p", link(f"/episodes?after={episodes[-1].id}", "Older episodes")))
    return joined(parts)


def episode_page(episode: Episode, answers: Sequence[GivenAnswer]) -> Markup:
    """One episode: its steps, its outcome, its lessons, and the answers that it was given."""
    outcome = episode.outcome
    because = "" if outcome is None else outcome.verdict or outcome.reason or ""
    facts = (
        ("outcome", joined((outcome_word(episode), " ", because))),
        ("judged by", episode.judged_by or "the agent"),
        ("domain", episode.context.domain),
        ("agent", episode.agent or "not named"),
        ("ended", time_of(episode.ended_at)),
        ("reward", "none" if episode.reward is None else f"{episode.reward.total:.2f}"),
        ("source", episode.source or "recorded"),
    )
    parts = [_card(table(("", " "), ((name, value) for name, value in facts)))]
    if lessons := _insights(episode):
        parts += [element("h2", "Learned"), _card(element("ul", *(element("li", each) for each in lessons)))]
    if answers:
        parts += [
            element("h2", "Answers it was given"),
            _card(answer_table([AnswerUse(episode, a) for a in answers])),
        ]
    parts += [
        element("h2", "Steps"),
        _card(joined(_step(number, each) for number, each in enumerate(episode.steps, 1))),
    ]
    return joined(parts)


def _step(number: int, step: Step) -> Markup:
    status = {"ok": "ok", "error": "wrong", "timeout": "wrong"}.get(step.status or "", "none")
    took = "" if step.latency_ms is None else f" {step.latency_ms:,.0f} ms"
    head = element(
        "summary",
        f"{number}. {step.tool} ",
        element("span", step.status or "no result", class_=status),
        element("span", took, class_="soft"),
    )
    result = step.error if step.error is not None else step.output
    parts = [element("pre", _json(step.parameters))] if step.parameters is not None else []
    parts += [element("pre", _json(result))] if result is not None else []
    parts += [element("p", "; ".join(step.altered), class_="soft")] if step.altered else []
    return element("details", head, *parts)


def patterns_page(patterns: Sequence[Pattern], kind: str | None) -> Markup:
    """Patterns with their intervals, the surest first."""
    options = [element("option", "every kind", value="")]
    for each in KINDS:
        options.append(
            element(
                "option", each.replace("_", " "), value=each, selected="selected" if each == kind else None
            )
        )
    form = element(
        "form",
        element("label", "Kind ", element("select", *options, name="kind")),
        element("button", "Show", type="submit"),
        action="/patterns",
    )
    return joined((form, _card(pattern_table(patterns))))


def pattern_table(patterns: Sequence[Pattern]) -> Markup:
    """Patterns with evidence, and their lineage behind a click."""
    return table(
        ("pattern", "state", "worked", "", "at least", "last seen"),
        (
            (
                joined((_short(each.text), _lineage(each))),
                element("span", each.state, class_=each.state),
                _number(f"{each.successes:g} of {each.trials:,}"),
                interval_bar(each.mean, each.low, each.high),
                _number(f"{each.low:.0%}"),
                _number(time_of(each.last_seen)[:10]),
            )
            for each in patterns
        ),
        wide=True,
    )


def _lineage(pattern: Pattern) -> Markup:
    odds = "nothing to compare with"
    if pattern.odds_ratio is not None and pattern.odds_low is not None and pattern.odds_high is not None:
        odds = (
            f"odds of success x{pattern.odds_ratio:.2f} ({pattern.odds_low:.2f} to {pattern.odds_high:.2f})"
        )
        odds += ", undecided" if pattern.undecided else ""
    usage = pattern.usage
    facts = [
        f"{pattern.episodes:,} episodes; {odds}",
        f"domains: {', '.join(pattern.domains) or 'none'}; agents: {', '.join(pattern.agents) or 'not named'}",
        f"shown {usage.retrieved:,} times, used {usage.applied:,}, helped {usage.helped:,}",
        f"id {pattern.id}",
    ]
    if pattern.merged:
        facts.append(f"stands for {', '.join(pattern.merged)} too: they were merged into it")
    return element(
        "details",
        element("summary", pattern.kind.replace("_", " "), class_="soft"),
        element("ul", *(element("li", f) for f in facts)),
    )


def answers_page(uses: Sequence[AnswerUse]) -> Markup:
    """Answers that were given to episodes, and what became of them."""
    note = (
        "Answers to the newest episodes: how many memories each showed, how many the episode used, and how it ended. "
        "Credit above 0.5 means that they led to a better end than was to be expected."
    )
    return joined((element("p", note, class_="soft"), _card(answer_table(uses))))


def answer_table(uses: Sequence[AnswerUse]) -> Markup:
    """Answers with their use and credit."""
    return table(
        ("episode", "after", "showed", "used", "ended", "credit"),
        (
            (
                link(f"/episodes/{each.episode.id}", _short(each.episode.task)),
                _number(f"{each.answer.steps} steps"),
                _number(f"{each.answer.shown}"),
                _number(f"{each.answer.used}"),
                outcome_word(each.episode),
                "none" if each.answer.helped is None else _number(f"{each.answer.helped:.2f}"),
            )
            for each in uses
        ),
        wide=True,
    )


def recall_page(task: str, domain: str | None, recall: Recall | None) -> Markup:
    """A form for a task, and the answer with the reasons of each hit."""
    form = element(
        "form",
        element(
            "input",
            name="task",
            value=task,
            placeholder="A task in words",
            aria_label="task",
            required="required",
        ),
        element("input", name="domain", value=domain or "", placeholder="domain", aria_label="domain"),
        element("button", "Ask", type="submit"),
        action="/recall",
    )
    if recall is None:
        return joined(
            (
                form,
                element(
                    "p",
                    "The answer that an agent would be given, with its reasons. Nothing is written.",
                    class_="soft",
                ),
            )
        )
    prompt = recall.to_prompt(max_tokens=800)
    parts: list[object] = [form]
    if recall.degraded:
        parts.append(element("p", f"Missing: {', '.join(recall.degraded)}", class_="wrong"))
    parts += [element("h2", "For the model"), element("pre", prompt or "nothing comparable is known")]
    parts += [element("h2", "Why"), *(_hit(hit) for hit in recall.hits)]
    if recall.patterns:
        parts += [element("h2", "Patterns"), _card(pattern_table(recall.patterns))]
    if recall.pitfalls:
        parts += [element("h2", "Pitfalls"), _card(pattern_table(recall.pitfalls))]
    return joined(parts)


def _hit(hit: Hit) -> Markup:
    reasons = table(
        ("signal", "", "value", "weight", "adds"),
        (
            (
                each.signal,
                reason_bar(each.value, each.weight),
                _number(f"{each.value:.2f}"),
                _number(f"{each.weight:.2f}"),
                _number(f"{each.value * each.weight:.3f}"),
            )
            for each in hit.reasons
        ),
    )
    head = element(
        "p",
        link(f"/episodes/{hit.episode_id}", _short(hit.task)),
        f" {hit.score:.2f} ",
        element("span", hit.outcome, class_=hit.outcome),
    )
    return element("div", head, reasons, class_="card")


def health_page(checks: Sequence[HealthCheck]) -> Markup:
    """Findings with their remedies."""
    return _card(
        table(
            ("check", "", "finding", "remedy"),
            (
                (
                    each.name,
                    element("span", "ok" if each.ok else "look", class_="ok" if each.ok else "wrong"),
                    each.detail,
                    "" if each.ok else element("code", each.remedy),
                )
                for each in checks
            ),
            wide=True,
        )
    )


def missing_page(what: str) -> Markup:
    """Says that there is no such thing."""
    return element("p", what)


def _card(content: object) -> Markup:
    return element("div", content, class_="card")


def _number(text: str) -> Markup:
    return element("span", text, class_="number")


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
