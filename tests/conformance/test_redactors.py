"""Built-in redactors keep the promises that third-party ones are held to, and a broken promise is named."""

from __future__ import annotations

import msgspec
import pytest

from tacit.redaction import Chain, redactors, replace_texts
from tacit.testing import check_redactor


class Shouts:
    """Adds to each text each time."""

    def redact(self, record: bytes) -> tuple[bytes, int]:
        return replace_texts(record, lambda text: text + "!")


class DropsSteps:
    def redact(self, record: bytes) -> tuple[bytes, int]:
        episode = msgspec.msgpack.decode(record)
        dropped = len(episode["steps"])
        return msgspec.msgpack.encode(episode | {"steps": []}), dropped


class Renames:
    def redact(self, record: bytes) -> tuple[bytes, int]:
        episode = msgspec.msgpack.decode(record)
        changed = int(episode["namespace"] != "other")
        return msgspec.msgpack.encode(episode | {"namespace": "other"}), changed


class NoTokens:
    def redact(self, record: bytes) -> tuple[bytes, int]:
        return replace_texts(record, lambda text: text.replace("ghp_", ""))


@pytest.mark.parametrize("name", ["off", "secrets"])
def test_a_built_in_redactor_keeps_its_promises(name: str) -> None:
    assert sorted(redactors) == ["off", "secrets"]
    check_redactor(redactors.create(name))


def test_a_redactor_in_python_and_a_chain_keep_them() -> None:
    check_redactor(NoTokens())
    check_redactor(Chain([redactors.create("secrets"), NoTokens()]))


@pytest.mark.parametrize(
    ("redactor", "broken"),
    [
        (Shouts(), "redacting twice changes nothing"),
        (DropsSteps(), "the number of steps stays"),
        (Renames(), "namespace stays"),
    ],
)
def test_a_broken_promise_is_named(redactor: Shouts | DropsSteps | Renames, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_redactor(redactor)
