from __future__ import annotations

from tacit import Episode, Memory, Outcome, Step


def run(number: int, forced: str, outcome: Outcome) -> Episode:
    steps = (
        Step("Bash", parameters={"command": "deploy"}, error="locked by another run", status="error"),
        Step("Bash", parameters={"command": forced}, output="done", status="ok"),
        Step("Bash", parameters={"command": "git status"}, output="clean", status="ok"),
    )
    return Episode(f"Deploy the service {number}", steps=steps, outcome=outcome)


def changed(memory: Memory) -> object:
    (fix,) = memory.recover("locked by another run", tool="Bash").ways
    return None if fix.changed is None else fix.changed.arguments[0].value


def test_a_fix_names_the_changed_arguments_although_nobody_judged_the_episodes() -> None:
    with Memory() as memory:
        for number in range(3):
            memory.add(run(number, "deploy --force", Outcome.unknown()))
        assert changed(memory) == "deploy --force"
        memory.forget(memory.episodes()[0].id)
        assert changed(memory) == "deploy --force"


def test_a_failure_is_no_example_and_a_success_comes_first() -> None:
    with Memory() as memory:
        for number in range(3):
            memory.add(run(number, "deploy --hard", Outcome.failure("broke it")))
        assert changed(memory) is None
        for number in range(3, 6):
            memory.add(run(number, "deploy --force", Outcome.unknown()))
        assert changed(memory) == "deploy --force"
        for number in range(6, 9):
            memory.add(run(number, "deploy --later", Outcome.success()))
        assert changed(memory) == "deploy --later"


def test_another_namespace_has_its_own_examples() -> None:
    with Memory() as memory:
        for number in range(3):
            memory.add(run(number, "deploy --force", Outcome.unknown()))
            memory.within("other").add(run(number, "deploy --wait", Outcome.unknown()))
        assert changed(memory) == "deploy --force"
        assert changed(memory.within("other")) == "deploy --wait"
