# ruff: noqa: RUF001
"""Words, error classes and Unicode spellings, against short references in pure Python."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tacit._native import TEXT_VERSION, HashedEmbedder, Index, Trajectory, error_class, words
from tacit.errors import ValidationError
from tests.native.reference_error_class import reference_class_2

# Characters that this Python knows: a newer Unicode may give the others another spelling.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=60)
ASCII_TEXT = st.text(alphabet="abXY_ .-", max_size=40)
FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
HANGUL = "주문을 취소하고 환불해 주세요"
# Letters, quotes, colons, digits and spaces in every neighbourhood, beside letters with several spellings.
MESSAGE = st.text(alphabet="abE:;'\"`. /_5\néré각ﾃ" + "r1".translate(WIDE), max_size=60)
MESSAGE_WORDS = st.lists(
    st.sampled_from(
        [
            "error",
            "Error:",
            "Exception:",
            "Traceback",
            "Traceback (most recent call last):",
            "returncode=1: Traceback (most recent call last):",
            "bash:",
            "line",
            "error[E0308]:",
            "[Errno",
            "13]",
            "HTTP",
            "HTTP/1.1",
            "404",
            "-32602:",
            "17345678",
            "Exit code",
            "status=42",
            "(code 5)",
            "ORA-00942:",
            "sqlite3.OperationalError:",
            "rate_limit_exceeded",
            "INVALID_ARGUMENT:",
            "orders.py",
            "订单123不存在",
            "错误404：",
            "注文「A-1」が、見つかりません。",
            "‘a b’",
            "$ make",
            "<p>bad</p>",
            "done;",
            "no",
            "such",
            "table:",
            "'x'",
            '"a b"',
            "can't",
            "17",
            "\n",
            "\n ",
        ]
    ),
    max_size=24,
).map(" ".join)
# Messages of many words, with the parts that vary in one run and with them in another.
VARYING = st.tuples(
    st.sampled_from(
        ["order {} not found", "Table '{}' is locked", "{}: no such file or directory", "订单{}不存在"]
    ),
    st.from_regex(r"[a-z]{2,6}_?[0-9]{6,9}", fullmatch=True),
)

LOOKUP = (
    "Traceback (most recent call last):\n  File 'a.py', line 3, in load\n    table[key]\nKeyError: 'size'"
)
SHAPE = (
    "Traceback (most recent call last):\n  File 'b.py', line 9, in cut\n    raise\nValueError: bad shape\n"
)
CLASSES = {
    '{"detail": "Not Found"}': "not found",
    "{'detail': 'Not Found'}": "not found",
    '{"detail": "Unauthor': "unauthor",
    'Error: {\n  "message": "ship 17 is late",\n  "id": 4\n}': "ship is late",
    '{"detail": [{"loc": ["body"], "msg": "field required"}]}': "field required",
    '{"error": "invalid_grant"}': "invalid_grant",
    '{"error": {"code": 429, "message": "slow down"}, "id": "a1"}': "code 429 slow down",
    '{"request": {"message": "hello"}, "error": "queue is full"}': "queue is full",
    'call failed: {"error": "{\\"detail\\": \\"queue is full\\"}"}': "call failed queue is full",
    '"Not Found"': "not found",
    f"returncode=1: {SHAPE}": "bad shape",
    f"{LOOKUP}\n\nDuring handling, another exception occurred:\n\n{SHAPE}Exit code 1": "bad shape",
    "Traceback (most recent call last): File 'a.py', line 3 ValueError: bad shape": "bad shape",
    LOOKUP: "keyerror",
    "Exit code 1\nnpm ERR! missing script: build": "npm err missing script",
    "Exit code 128\nfatal: not a git repository": "not a git repository",
    "Exit code 101\n   Compiling box v0.1.0\nerror[E0308]: mismatched types": "e0308 mismatched types",
    "Command failed with exit code 137": "command failed with exit code 137",
    "Error executing query:\nTable 'ships' doesn't exist": "table doesn't exist",
    "a.ts(3,4): error TS2304: Cannot find name 'ship'.": "ts2304 cannot find name",
    "PermissionError: [Errno 13] Permission denied: '/a/b'": "errno 13 permission denied",
    "MCP error -32602: Invalid arguments": "-32602 invalid arguments",
    "Error: 404 Not Found": "404 not found",
    "Error: 3 fields are missing": "fields are missing",
    "postal code 94110 is unknown": "postal code is unknown",
    "bash: line 1: shipit: command not found": "command not found",
    "docker: Error response from daemon: No such container: box": "no such container",
    "Error: rate_limit_exceeded": "rate_limit_exceeded",
    "订单12345不存在": "订单 不存在",
    "注文「A-17」が見つかりません。": "注文 が見つかりません",
    "错误404：未找到页面": "错误 404 未找到页面",
    "船" * 90: "船" * 32,
}


def reference_words(text: str) -> list[str]:
    """ASCII letters only: a name whole, then cut at underscores and at capitals that start a word.

    A single letter is a word only if it is a capital and stands alone.
    """
    found = []
    for whole in re.findall(r"[A-Za-z_]+", text):
        name = whole.strip("_")
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        several = [name] if len(parts) == 1 else [name, *parts] if parts else []
        found += [name] if whole in ("X", "Y") else [word for word in several if len(word) > 1]
    return [word.lower() for word in found]


PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def reference_class_1(message: str) -> str:
    """The class of an error message in version 1, step by step."""
    lines = [line.strip() for line in re.split(r"\r?\n", message) if line.strip()] or [""]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    tokens = [word for word in without_quoted_parts(line.lower()).split() if not names_one_occurrence(word)]
    while (end := next((at for at, word in enumerate(tokens[:6]) if word.endswith(":")), None)) is not None:
        label = tokens[: end + 1]
        if end + 1 == len(tokens) or not any("error" in word or "exception" in word for word in label):
            break
        tokens = tokens[end + 1 :]
    if len(tokens) > 2 and tokens[-2].endswith(":"):
        tokens = tokens[:-1]
    kept: list[str] = []
    for word in tokens:
        bare = word.strip(PUNCTUATION)
        if len(" ".join([*kept, bare]).encode()) + (not kept) > 96:
            break
        kept.append(bare)
        if word.endswith((";", ".")) and len(kept) >= 3:
            break
    return " ".join(kept) or "error"


def without_quoted_parts(line: str) -> str:
    kept, at = "", 0
    while at < len(line):
        opens = line[at] in "'\"`" and not (at and line[at - 1].isalnum())
        ends = [
            end
            for end in range(at + 1, len(line))
            if opens and line[end] == line[at] and not line[end + 1 : end + 2].isalnum()
        ]
        kept, at = (kept + " ", ends[0] + 1) if ends else (kept + line[at], at + 1)
    return kept


def names_one_occurrence(word: str) -> bool:
    bare = word.strip(PUNCTUATION)
    return not bare or any(c in "0123456789/\\@_=." for c in bare)


@given(ASCII_TEXT)
def test_words_of_ascii_names_are_those_of_the_reference(text: str) -> None:
    assert words(text) == reference_words(text)


@given(TEXT)
def test_words_of_any_text_are_lower_case_and_hold_no_space(text: str) -> None:
    for word in words(text):
        assert word
        assert not any(character.isspace() for character in word)


@given(TEXT)
def test_words_are_the_same_in_every_unicode_spelling(text: str) -> None:
    expected = words(text)
    assert all(words(unicodedata.normalize(form, text)) == expected for form in FORMS)


@given(TEXT)
def test_version_1_cuts_the_normalised_text_as_version_2_cuts_the_text(text: str) -> None:
    assert words(text, 2) == words(unicodedata.normalize("NFKC", text), text_version=1)


@given(MESSAGE | MESSAGE_WORDS)
def test_error_classes_of_both_versions_are_those_of_the_references(message: str) -> None:
    assert error_class(message, 1) == reference_class_1(message)
    assume(not holds_json(message))
    assert error_class(message) == reference_class_2(message)


def holds_json(message: str) -> bool:
    """True if a line is a string of JSON; the strategies make no objects."""
    lines = [line.strip() for line in unicodedata.normalize("NFKC", message).split("\n")]
    return any(re.fullmatch('"[^"]*"', line) for line in lines)


@given(MESSAGE_WORDS, st.booleans(), st.sampled_from(["message", "detail", "error", "errors"]))
def test_a_message_in_json_has_the_class_of_the_message(message: str, as_ascii: bool, key: str) -> None:
    assume(message.strip())
    assume(not holds_json(message))
    for value in ({key: message}, {"ok": False, key: [message]}, {"error": {key: message}, "id": 17}):
        assert error_class(json.dumps(value, ensure_ascii=as_ascii)) == error_class(message)


@given(VARYING, VARYING)
def test_long_numbers_and_names_with_numbers_vary(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert error_class(one[0].format(one[1])) == error_class(one[0].format(other[1]))


@given(st.sampled_from(list(range(400, 600))), st.sampled_from(list(range(400, 600))))
def test_classes_of_short_codes_are_as_different_as_the_codes(one: int, other: int) -> None:
    shapes = (
        "HTTP {}",
        "HTTP/1.1 {} refused",
        "exit status {}",
        "[Errno {}] no",
        "MCP error -32{}: no",
        "{} Refused",
    )
    for shape in (
        *shapes,
        "错误{}：没有",
        "エラーコード: {}",
        '{{"code": {}, "message": "no"}}',
        "error[E0{}]: bad type",
    ):
        assert (error_class(shape.format(one)) == error_class(shape.format(other))) == (one == other), shape


@given(st.text(max_size=200))
def test_any_text_has_a_short_class_in_both_versions(message: str) -> None:
    for version in (1, TEXT_VERSION):
        for text in (message, json.dumps({"detail": message}), "Error: {'detail': '" + message):
            assert 0 < len(error_class(text, version).encode()) <= 96


@pytest.mark.parametrize(("message", "expected"), CLASSES.items())
def test_error_classes_of_common_shapes(message: str, expected: str) -> None:
    assert error_class(message) == expected


@given(MESSAGE)
def test_error_classes_are_the_same_in_every_unicode_spelling(message: str) -> None:
    assert error_class(unicodedata.normalize("NFD", message)) == error_class(message)


def test_decomposed_hangul_and_full_width_latin_have_the_vectors_of_their_usual_spelling() -> None:
    embedder = HashedEmbedder()
    usual, decomposed = embedder.embed([HANGUL, unicodedata.normalize("NFD", HANGUL)])
    assert (usual == decomposed).all()
    narrow, wide = embedder.embed(["cancel order 17", "cancel order 17".translate(WIDE)])
    assert (narrow == wide).all()


def test_an_unknown_text_version_is_refused_by_name() -> None:
    for use in (
        lambda: words("a", text_version=4),
        lambda: error_class("a", 0),
        lambda: Trajectory(b"\x80", text_version=9),
        lambda: Index("hashed-8-v1", 8, text_version=9),
    ):
        with pytest.raises(ValidationError, match="text_version"):
            use()


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="text"):
        words("\ud800")
    with pytest.raises(ValidationError, match="message"):
        error_class("\ud800")
