"""The folder that a run leaves: outputs/<command>/<stamp>_<name>/, whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]

from alpha_arena.backtest.consulted import records
from alpha_arena.backtest.identity import code_hash
from alpha_arena.backtest.result import Run, plain
from alpha_arena.core.errors import StoreError
from alpha_arena.core.market import Market

META = "meta.json"
PACKAGES = ("alpha-arena", "numpy", "numba", "pandas", "pyarrow", "hydra-core", "sqlalchemy", "ta-lib")
CANDLE_COLUMNS = ("ts", "open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("funding_ts", "funding_rate")
GIT_SECONDS = 5
TRIES = 1000


def write_run(
    run: Run,
    outputs: Path,
    command: str,
    now_ms: int,
    overrides: Sequence[str] = (),
    hashes: Mapping[str, Mapping[str, str]] | None = None,
    proof: Mapping[str, Any] | None = None,
) -> Path:
    """Write a run's folder: under another name first, then renamed, so that a folder that is there is complete.

    Args:
        now_ms: ms UTC, shapes the name. overrides: of the command line.
        hashes: SHA-256 of the rows read, "candles" and "funding" by symbol; those of the simulated bars if absent.
        proof: what meta.json says beside that of where the run comes from.

    Raises:
        StoreError: the folder cannot be written.
    """
    from alpha_arena.backtest.report import report_html

    told = meta(command, run.name, now_ms, hashes or market_hashes(run.markets), proof)
    return written(outputs, command, run.name, now_ms, lambda draft: fill(draft, run, told, overrides, report_html(run)))


def written(outputs: Path, command: str, name: str, now_ms: int, fill: Callable[[Path], None]) -> Path:
    """A folder of a command, filled under another name first; meta.json gets the hashes of all other files.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = outputs / command
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    except OSError as error:
        raise StoreError(f"outputs={outputs} cannot be written ({error.strerror}); choose another folder with outputs=") from None
    try:
        fill(draft)
        seal(draft)
        draft.chmod(0o755)
        return _publish(draft, folder, f"{stamp(now_ms)}_{slug(name)}")
    except OSError as error:
        raise StoreError(f"{folder} could not be written ({error.strerror}); free some space or choose another with outputs=") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def stamp(now_ms: int) -> str:
    """A time as folders are named: 2024-01-31_14-05-09, UTC."""
    return str(np.datetime64(now_ms, "ms").astype("datetime64[s]")).replace("T", "_").replace(":", "-")


def slug(name: str) -> str:
    """A name as a folder may have it."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._") or "run"


def _publish(draft: Path, folder: Path, name: str) -> Path:
    """Rename to the first free name; a folder with files in it is never replaced."""
    for number in range(1, TRIES):
        final = folder / (name if number == 1 else f"{name}_{number}")
        try:
            os.rename(draft, final)
        except OSError:
            if final.exists():
                continue
            raise
        return final
    raise StoreError(f"{folder / name} and {TRIES} like it exist; clear old runs")


def seal(folder: Path) -> None:
    """Write SHA-256 of every other file into meta.json, as `files`, and of its own rest, as `seal`, so that a later change is seen."""
    meta_file = folder / META
    told = {**json.loads(meta_file.read_text(encoding="utf-8")), "files": file_hashes(folder)}
    meta_file.write_text(as_json({**told, "seal": own_hash(told)}), encoding="utf-8")


def own_hash(told: Mapping[str, Any]) -> str:
    """SHA-256 of what meta.json says, its seal aside."""
    return sha256(as_json({name: value for name, value in told.items() if name != "seal"}).encode()).hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name of the files of a run, meta.json aside."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != META)
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in files}


def fill(
    draft: Path, run: Run, told: Mapping[str, Any], overrides: Sequence[str], html: str, found: Mapping[str, Any] | None = None
) -> None:
    """Write the files that every command's folder has.

    Args:
        told: what meta.json says. html: the report. found: what result.json says; the run's own result if absent.
    """
    texts = {
        "config.yaml": yaml.safe_dump(plain(run.settings), sort_keys=False, allow_unicode=True),
        "overrides.txt": "".join(f"{override}\n" for override in overrides),
        META: as_json(told),
        "result.json": as_json(found or run.result),
        "report.html": html,
    }
    if run.advice:
        texts["llm.jsonl"] = "".join(f"{line}\n" for line in records(run.advice, run.outcomes))
    for name, text in texts.items():
        (draft / name).write_text(text, encoding="utf-8")
    for name in ("trades", "equity", "signals"):
        getattr(run, name).to_parquet(draft / f"{name}.parquet", index=False)


def as_json(value: Any) -> str:
    """Indented JSON, null for NaN and infinity."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def meta(
    command: str, name: str, now_ms: int, hashes: Mapping[str, Mapping[str, str]], proof: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Where a run comes from: code, versions, data, and what `proof` adds."""
    return {
        "command": command,
        "name": name,
        "created_ts": now_ms,
        "created": f"{np.datetime64(now_ms, 'ms').astype('datetime64[s]')}Z",
        "git": git_revision(Path(__file__).resolve().parents[2]),
        "code": code_hash(),
        "versions": versions(),
        "sha256": {kind: dict(by_symbol) for kind, by_symbol in hashes.items()},
        **(proof or {}),
    }


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that shape a result."""
    return {"python": platform.python_version(), **{package: installed(package) for package in PACKAGES}}


def installed(package: str) -> str | None:
    """Version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision(root: Path) -> dict[str, Any] | None:
    """Commit of the tree that the package runs from and whether it was changed since; None outside a repository of its own."""
    top, commit = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not commit or Path(top) != root:
        return None
    return {"revision": commit, "changed": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def market_hashes(markets: Mapping[str, Market]) -> dict[str, dict[str, str]]:
    """SHA-256 of candle and funding columns by symbol: the bytes of the columns in order, little-endian, 8 bytes a value."""
    kinds = {"candles": CANDLE_COLUMNS, "funding": FUNDING_COLUMNS}
    return {kind: {symbol: _digest(market, names) for symbol, market in markets.items()} for kind, names in kinds.items()}


def _digest(market: Market, names: Sequence[str]) -> str:
    columns = (np.asarray(getattr(market, name)) for name in names)
    return sha256(b"".join(column.astype(column.dtype.newbyteorder("<")).tobytes() for column in columns)).hexdigest()
