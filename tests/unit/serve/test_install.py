from __future__ import annotations

import json
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from tacit import ValidationError
from tacit.serve.http import tokens_of
from tacit.serve.install import enter


def test_a_server_is_entered_beside_what_is_there_and_only_once(tmp_path: Path) -> None:
    settings = tmp_path / ".mcp.json"
    settings.write_text('{"mcpServers": {"other": {"command": "x"}}, "kept": 1}')
    settings.chmod(0o600)
    assert "entered tacit" in enter("claude-code", "m.db", "shop", folder=tmp_path)
    read = json.loads(settings.read_text())
    assert read["kept"] == 1
    assert read["mcpServers"]["other"] == {"command": "x"}
    mine = read["mcpServers"]["tacit"]
    assert mine["command"] == sys.executable
    assert mine["args"][-2:] == ["--namespace", "shop"]
    assert Path(mine["args"][mine["args"].index("--db") + 1]).is_absolute()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert json.loads((tmp_path / ".mcp.json.bak").read_text())["mcpServers"] == {"other": {"command": "x"}}
    before = settings.read_bytes()
    assert "already" in enter("claude-code", "m.db", "shop", folder=tmp_path)
    assert settings.read_bytes() == before


def test_a_table_is_appended_to_toml_and_its_comments_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    settings = tmp_path / "config.toml"
    settings.write_text('# mine\nmodel = "m"')
    enter("codex", None, None)
    text = settings.read_text()
    assert text.startswith('# mine\nmodel = "m"\n\n[mcp_servers.tacit]\n')
    assert tomllib.loads(text)["mcp_servers"]["tacit"]["args"] == ["-m", "tacit", "serve"]
    enter("codex", None, None)
    assert settings.read_text() == text
    assert "left as it is" in enter("codex", None, "other")


def test_cursor_gets_a_file_of_its_own(tmp_path: Path) -> None:
    enter("cursor", "libsql://host", None, folder=tmp_path)
    read = json.loads((tmp_path / ".cursor" / "mcp.json").read_text())
    assert read["mcpServers"]["tacit"]["args"][-1] == "libsql://host"
    enter("cursor", "libsql://host", "default", folder=tmp_path)
    read = json.loads((tmp_path / ".cursor" / "mcp.json").read_text())
    assert read["mcpServers"]["tacit"]["args"][-2:] == ["--namespace", "default"]


@pytest.mark.parametrize("text", ["not json", "[]", '{"mcpServers": []}'])
def test_a_file_that_is_no_settings_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / ".mcp.json").write_text(text)
    with pytest.raises(ValidationError):
        enter("claude-code", None, "default", folder=tmp_path)
    assert (tmp_path / ".mcp.json").read_text() == text
    assert not (tmp_path / ".mcp.json.bak").exists()


def test_an_unknown_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="claude-code, codex, cursor"):
        enter("emacs", None, "default", folder=tmp_path)


def test_tokens_are_read_a_line_each_and_a_refusal_never_tells_one() -> None:
    assert tokens_of("# who\n\nabc shop\n  def bank \n") == {"abc": "shop", "def": "bank"}
    with pytest.raises(ValidationError, match="line 2 must be TOKEN NAMESPACE") as refusal:
        tokens_of("abc shop\nsecret\n")
    assert "secret" not in str(refusal.value)
