"""What models answered, handed on as a file: another database replays it, twice is once, and a bad line is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_llm import Says, allocation, serving
from run_world import KEY, backtest, left, no_socket, one_key, stored

from alpha_arena.commands import db
from alpha_arena.core.errors import ConfigError
from alpha_arena.data.models import KeptAnswers, every_answer
from alpha_arena.data.service import DataService
from alpha_arena.settings import load


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """One provider has a key."""
    one_key(monkeypatch)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DataService]:
    """A database with a market in it."""
    yield from stored(tmp_path)


def act(action: str, folder: Path, file: Path) -> dict[str, Any]:
    """A command of `db` on the database of a folder."""
    return db.run(load("db", [f"db.action={action}", f"db.file={file}", f"database.url=sqlite:///{folder / 'arena.db'}"]))


def test_a_recording_is_replayed_elsewhere_byte_for_byte(service: DataService, tmp_path: Path) -> None:
    """L3: failures and second questions included; nothing in it is secret."""
    file, other = tmp_path / "answers.jsonl", tmp_path / "other"
    other.mkdir()
    rough = [Says(allocation), Says("no JSON"), Says(allocation), Says(raw=b"<html>"), Says(status=401, raw=b"{}"), Says(allocation)]
    with serving(*rough) as fake:
        recorded = backtest(service, fake.url, "limit=12", "llm.cache=record")
    assert act("export_answers", tmp_path, file) == {"file": str(file), "answers": 13}
    assert KEY not in file.read_text()
    with closing(next(elsewhere := stored(other))) as empty:
        assert act("import_answers", other, file) == {"file": str(file), "added": 13, "replaced": 0, "left": 0}
        assert act("import_answers", other, file) == {"file": str(file), "added": 0, "replaced": 0, "left": 13}
        with no_socket():
            assert left(backtest(empty, "http://127.0.0.1:9/v1", "limit=12", "llm.cache=replay_strict")) == left(recorded)
        again = other / "again.jsonl"
        act("export_answers", other, again)
        assert again.read_bytes() == file.read_bytes()
    elsewhere.close()


def test_the_newer_answer_stays_and_no_failure_takes_its_place(service: DataService, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with serving() as fake:
        backtest(service, fake.url, "limit=1", "llm.cache=record")
    act("export_answers", tmp_path, file)
    line = json.loads(file.read_text())
    for changes, done in (
        ({"wall_ms": line["outcome"]["wall_ms"] - 1}, "left"),
        ({"wall_ms": line["outcome"]["wall_ms"] + 1}, "replaced"),
        ({"wall_ms": line["outcome"]["wall_ms"] + 2, "reply": None}, "left"),
    ):
        file.write_text(json.dumps({**line, "outcome": {**line["outcome"], **changes}}))
        assert act("import_answers", tmp_path, file)[done] == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{"key"', '"key"', "is not JSON"),
        ('"schema_version":1', '"schema_version":2', "is not an answer of schema_version 1"),
        ('"template_sha256":"', '"template_sha256":"x', "is no SHA-256"),
        ('"wall_ms":', '"wall_ms":"x', "is not JSON"),
        ('"finish":"stop"', '"finish":5', "an outcome that is none of this question"),
        ('"finish":"stop"', '"finish":"\\u001b[2J"', "an outcome that is none of this question"),
        ('"wall_ms":', '"wall_ms":9999999', "an outcome that is none of this question"),
        ('"cost_usd":', '"cost_usd":-', "an outcome that is none of this question"),
        ('"attempts":[', '"attempts":[{},', "an outcome that is none of this question"),
        ('"outcome":{', '"outcome":{"more":1,', "an outcome that is none of this question"),
        ('"outcome":{', '"outcome":7,"other":{', "is not an answer"),
        ("fits", "\udcff", "is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_taken_in(service: DataService, tmp_path: Path, old: str, new: str, said: str) -> None:
    file, other = tmp_path / "answers.jsonl", tmp_path / "other"
    other.mkdir()
    with serving() as fake:
        backtest(service, fake.url, "limit=2", "llm.cache=record")
    act("export_answers", tmp_path, file)
    first, second = file.read_text().splitlines()
    assert old in second
    file.write_text(f"{first}\n{second.replace(old, new, 1)}\n", encoding="utf-8", errors="surrogateescape")
    with closing(next(elsewhere := stored(other))):
        with pytest.raises(ConfigError, match=rf"answers.jsonl: line 2 .*{said}.*; nothing was taken in"):
            act("import_answers", other, file)
        assert act("export_answers", other, other / "none.jsonl")["answers"] == 0
    elsewhere.close()


def test_a_file_that_is_not_named_or_there_is_said(service: DataService, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"db export_answers needs a file: db\.file=answers\.jsonl"):
        db.run(load("db", ["db.action=export_answers", f"database.url=sqlite:///{tmp_path / 'arena.db'}"]))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        act("import_answers", tmp_path, tmp_path / "nowhere.jsonl")
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        act("export_answers", tmp_path, tmp_path / "nowhere" / "answers.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be written: Is a directory"):
        act("export_answers", tmp_path, tmp_path / "folder")
    assert not (tmp_path / "folder.part").exists()


def test_what_an_older_version_kept_can_be_handed_on(service: DataService, tmp_path: Path) -> None:
    """Its texts may hold what turns the order of others, which no import takes."""
    file, other = tmp_path / "answers.jsonl", tmp_path / "other"
    other.mkdir()
    with serving() as fake:
        backtest(service, fake.url, "limit=1", "llm.cache=record")
    ((key, template, outcome),) = every_answer(service)
    KeptAnswers(service).put(key, template, {**outcome, "reply": {**outcome["reply"], "reasoning": "up \u202e down"}})
    act("export_answers", tmp_path, file)
    with closing(next(elsewhere := stored(other))):
        assert act("import_answers", other, file)["added"] == 1
    elsewhere.close()
