"""Memories in RAM, on a real file and on a libSQL server, closed when the test is over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory
from tests.hrana_server import empty_database

MakeMemory = Callable[..., Memory]

ON_SERVER = {
    "test_an_episode_comes_back_as_it_was_logged",
    "test_the_same_way_of_working_is_one_pattern_with_evidence_of_every_episode",
    "test_a_new_task_gets_ranked_explained_experience",
    "test_memory_of_one_namespace_is_invisible_in_another",
    "test_completing_again_is_safe_with_the_same_outcome_and_refused_with_another",
    "test_a_forgotten_episode_leaves_nothing_behind_and_can_be_added_again",
    "test_adding_the_same_external_id_again_changes_nothing",
    "test_a_page_of_episodes_is_newest_first_and_filtered",
    "test_a_withdrawn_verdict_leaves_the_episode_unknown_and_no_older_one_returns",
    "test_the_same_verdict_of_the_same_source_changes_nothing",
    "test_a_longer_run_takes_the_place_of_the_stored_one",
    "test_runs_of_one_identity_in_one_call_replace_each_other_in_order",
    "test_a_view_shares_the_store_and_closing_it_closes_nothing",
    "test_one_outcome_is_one_trial_however_much_was_recalled_and_used",
    "test_a_forgotten_episode_takes_its_credit_with_it",
    "test_a_pending_episode_can_be_forgotten",
    "test_a_dry_run_says_the_same_and_writes_nothing",
    "test_near_duplicates_are_one_pattern_that_counts_an_episode_once",
    "test_undoing_twice_changes_nothing_more",
}
"""The tests that also run on a server: some of each verb. All do if `TACIT_TEST_LIBSQL_URL` names a real one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "make_memory" in metafunc.fixturenames:
        is_on_server = metafunc.function.__name__ in ON_SERVER or "TACIT_TEST_LIBSQL_URL" in os.environ
        places = ["memory", "file", *(["server"] if is_on_server else [])]
        metafunc.parametrize("make_memory", places, indirect=True)


@pytest.fixture
def make_memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeMemory]:
    """Makes memories; takes the arguments of `Memory` but the database."""
    made: list[Memory] = []
    with ExitStack() as servers:

        def database() -> str | Path | None:
            path = tmp_path / f"{len(made)}.db"
            if request.param == "server":
                return servers.enter_context(empty_database(path))
            return path if request.param == "file" else None

        def make(**options: Any) -> Memory:
            made.append(Memory(database(), **options))
            return made[-1]

        yield make
        for memory in made:
            memory.close()
