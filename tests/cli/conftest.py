"""A folder and an environment of its own for each test: no .env, no variable of the engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from console import Run

from alpha_arena.cli import main

PREFIXES = ("DATABASE_", "REGIME_", "PORTFOLIO_", "RISK_", "OKX_", "API_WRITE", "LLM_", "DEEPSEEK_", "RL_", "TRADING_", "PREFECT_API")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is empty, the database is one of its own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/arena.db")
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
