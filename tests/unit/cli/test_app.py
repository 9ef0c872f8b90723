"""The table of commands agrees with the commands themselves."""

from __future__ import annotations

from importlib import import_module

import pytest
from typer.testing import CliRunner

from tacit.cli.app import COMMANDS, app


def output(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_the_first_sentence_of_each_command_s_help(name: str) -> None:
    entry = COMMANDS[name]
    function = getattr(import_module(f"tacit.cli.{entry.module}"), entry.function)
    assert entry.summary == function.__doc__.strip().partition("\n\n")[0]
    assert entry.summary in " ".join(output(name, "--help").split())
    assert f"tacit {name} [OPTIONS]" in output(name, "-h") or f" {name} [OPTIONS]" in output(name, "-h")


def test_help_lists_every_command_in_its_order() -> None:
    listed = [line.split()[0] for line in output("--help").splitlines() if line.startswith("  ")]
    assert [each for each in listed if each in COMMANDS] == list(COMMANDS)


def test_an_unknown_command_is_wrong_usage() -> None:
    done = CliRunner().invoke(app, ["no-such-command"])
    assert done.exit_code == 2
    assert "No such command 'no-such-command'" in done.stderr
