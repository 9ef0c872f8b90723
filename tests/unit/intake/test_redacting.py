"""The header of a redacted record: wide enough to add fields behind it, whatever its number of fields."""

from __future__ import annotations

import msgspec
import pytest

from tacit.intake.redacting import with_wide_header


@pytest.mark.parametrize("fields", [0, 1, 15, 16, 17, 255])
def test_a_record_says_the_same_under_its_wide_header(fields: int) -> None:
    content = {f"field {number}": number for number in range(fields)}
    wide = with_wide_header(msgspec.msgpack.encode(content))
    assert wide[0] == 0xDF
    assert msgspec.msgpack.decode(wide) == content
    assert with_wide_header(wide) == wide
