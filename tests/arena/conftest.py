"""A stored market, and no key of any provider."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sweep"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "llm"))

from laboratory import BTC, HOUR, ROWS, walk

from alpha_arena.data.service import DataService

KEYS = ("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "DASHSCOPE_API_KEY", "MOONSHOT_API_KEY", "OPENROUTER_API_KEY", "LLM_PROVIDER")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataService]:
    """700 hours of a walk with some pattern in it, in a database of the test's own that commands find."""
    url = f"sqlite:///{tmp_path / 'arena.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    with closing(DataService(url)) as made:
        made.upgrade()
        made.write_candles("file", BTC, "1h", walk(ROWS, HOUR))
        yield made
