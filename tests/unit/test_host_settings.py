from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tacit import ValidationError
from tacit.host_settings import json_settings, read_json_settings, replace_settings


def test_the_file_before_the_first_change_stays_and_later_changes_leave_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("first")
    for text in ("second", "third"):
        replace_settings(path, text)
    assert path.read_text() == "third"
    assert (tmp_path / "settings.json.bak").read_text() == "first"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["settings.json", "settings.json.bak"]


def test_a_file_keeps_its_mode_and_a_new_one_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    before = os.umask(0)
    try:
        replace_settings(path, "{}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        replace_settings(path, "[]")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert read_json_settings(path) == {}
    replace_settings(path, json_settings({"größe": [1]}))
    assert read_json_settings(path) == {"größe": [1]}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_anything_but_an_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(ValidationError, match="settings must be"):
        read_json_settings(path)
