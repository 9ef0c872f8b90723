from __future__ import annotations

import json
import sqlite3

import pytest

from tacit.demo.database import STALE, TABLES, Database, judge, normalised
from tacit.demo.language import FAMILIES, read_back, understand

SEEDS = range(5)


def everything(database: Database) -> list[object]:
    tables = database.table_names()
    return [
        (table, database.columns(table), database.execute(f"SELECT * FROM {table}", 500)) for table in tables
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_database_and_its_questions_are_a_pure_function_of_the_seed(seed: int) -> None:
    first, second = Database(seed), Database(seed)
    assert everything(first) == everything(second)
    assert list(first.questions(50)) == list(second.questions(50)) == list(first.questions(80))[:50]


def test_another_seed_is_another_schema() -> None:
    assert Database(1).table_names() != Database(2).table_names()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_question_is_asked_twice_and_every_family_comes_up(seed: int) -> None:
    questions = list(Database(seed).questions(300))
    assert len({question.text for question in questions}) == 300
    assert {question.family for question in questions} == {family.name for family in FAMILIES}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_question_says_nothing_of_the_schema(seed: int) -> None:
    database = Database(seed)
    stale = {"name"} | {word for table in database.table_names() for word, _ in database.columns(table)}
    legacy = {name for name in [*database.table_names(), *stale] if "_" in name}
    assert len(database.table_names()) == TABLES + STALE
    assert not any(name in question.text for question in database.questions(100) for name in legacy)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_asked_is_understood_as_it_was_meant(seed: int) -> None:
    for question in Database(seed).questions(200):
        intent = understand(question.text)
        assert intent is not None
        assert intent.family.name == question.family


def test_what_is_no_known_phrasing_is_not_understood() -> None:
    assert understand("Why is the sky blue?") is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_sql_that_was_written_from_names_gives_the_names_back(family) -> None:
    question = next(each for each in Database(3).questions(300) if each.family == family.name)
    intent = understand(question.text)
    assert intent is not None
    names = {slot: f"{slot}_7" for slot in family.slots}
    for form in family.forms:
        assert read_back(intent, intent.write(form, names)) == (form, names)


def test_an_answer_is_right_if_its_rows_are_the_true_ones_in_their_order() -> None:
    database = Database(1)
    question = next(each for each in database.questions(300) if each.family == "top")
    truth = json.loads(question.answer)
    assert judge(question, truth)
    assert not judge(question, truth[::-1])
    assert not judge(question, truth[:-1])
    assert not judge(question, [])


def test_numbers_are_equal_to_six_digits_whatever_their_type() -> None:
    assert normalised([[3]]) == normalised([(3.0000000001,)])
    assert normalised([[3]]) != normalised([[3.01]])
    assert normalised([["3"]]) != normalised([[None]])


def test_errors_are_those_of_the_engine_and_nothing_can_be_changed() -> None:
    database = Database(1)
    table = database.table_names()[0]
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        database.columns("nowhere")
    with pytest.raises(sqlite3.OperationalError, match="no such column: nonesuch"):
        database.execute(f"SELECT nonesuch FROM {table}")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute(f"DROP TABLE {table}")
