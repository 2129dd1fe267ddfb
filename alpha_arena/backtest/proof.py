"""A run's folder, read again: is it whole and as it was written, and where does a run made again differ from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from alpha_arena.backtest.folder import META, as_json, file_hashes, own_hash
from alpha_arena.backtest.wording import moment
from alpha_arena.core.errors import DataError
from alpha_arena.core.types import Bools

if TYPE_CHECKING:
    import pandas as pd


EXAMPLE = "outputs/backtest/2026-01-31_14-05-09_ema_trend"
# of wall time, of who did the work, and of what was known before
NOT_COMPARED = ("seconds", "run.seconds", "search_seconds", "trials_per_second", "where", "reused")


@dataclass(frozen=True, slots=True)
class Compared:
    """One part of a run beside what it is now. binding: where it differs the run is not reproduced; others are for information."""

    part: str
    same: bool
    said: str
    binding: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """A run's folder with its meta.json."""

    path: Path
    meta: Mapping[str, Any]

    @classmethod
    def of(cls, path: Path) -> Kept:
        """Read a folder.

        Raises:
            DataError: it is not that of a run, not whole, of a version that kept no hashes, or its meta.json is not as it was written.
        """
        if not path.is_dir():
            raise DataError(f"{path} is not a folder; name one that a run has left, such as {EXAMPLE}")
        if not (path / META).is_file():
            raise DataError(f"{path} is not the folder of a run, it holds no {META}; name one such as {EXAMPLE}")
        meta = read_json(path / META)
        if not {"command", "name", "versions", "sha256"} <= set(meta):
            raise DataError(f"{path / META} is not that of a run; name a folder such as {EXAMPLE}")
        if not {"files", "code", "seal"} <= set(meta):
            raise DataError(f"{path} is of a version that kept no hashes of its files, so nothing can be proved of it; make the run again")
        if meta["seal"] != own_hash(meta):
            raise DataError(f"{path / META} was changed after the run, so it proves nothing; take it from a copy or make the run again")
        missing = [name for name in meta["files"] if not (path / name).is_file()]
        if missing:
            raise DataError(f"{path} is not whole, {', '.join(missing)} is missing; take it from a copy or make the run again")
        return cls(path, meta)

    @property
    def result(self) -> dict[str, Any]:
        """result.json."""
        return read_json(self.path / "result.json")

    @property
    def config(self) -> dict[str, Any]:
        """config.yaml."""
        try:
            read = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            read = None
        if not isinstance(read, dict):
            raise DataError(f"{self.path / 'config.yaml'} cannot be read as a configuration; take it from a copy or make the run again")
        return read

    @property
    def overrides(self) -> list[str]:
        """overrides.txt."""
        return (self.path / "overrides.txt").read_text(encoding="utf-8").splitlines()

    def frame(self, name: str) -> pd.DataFrame:
        """One of trades, equity, signals, and of a search trials or folds.

        Raises:
            DataError: it is no parquet file.
        """
        import pandas as pd

        try:
            return pd.read_parquet(self.path / f"{name}.parquet")
        except (OSError, ValueError) as error:
            raise DataError(f"{name}.parquet cannot be read: {str(error).splitlines()[0]}") from None


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: it is none.
    """
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise DataError(f"{file} cannot be read as a JSON object; take it from a copy or make the run again")
    return read


def untouched(kept: Kept) -> Compared:
    """Whether the files are those that were written."""
    now = file_hashes(kept.path)
    changed = [name for name, digest in kept.meta["files"].items() if now[name] != digest]
    whole = f"all {len(kept.meta['files'])} files are as they were written"
    return Compared("files", not changed, f"changed after the run: {', '.join(changed)}" if changed else whole)


def same_result(stored: Mapping[str, Any], made: Mapping[str, Any]) -> Compared:
    """Figures to the last digit; times of the wall clock aside."""
    ours = dict(flat(json.loads(as_json(made))))
    theirs = dict(flat(stored))
    names = [name for name in {**theirs, **ours} if name not in NOT_COMPARED]
    wrong = [name for name in names if ours.get(name, "nothing") != theirs.get(name, "nothing")]
    if not wrong:
        return Compared("result", True, f"{len(names)} figures are the same to the last digit")
    first = wrong[0]
    said = f"{first} is {theirs.get(first, 'nothing')} in the folder and {ours.get(first, 'nothing')} made again"
    return Compared("result", False, f"{said}; {len(wrong)} of {len(names)} figures differ")


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings and lists as dotted names; an empty one is a value."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    if not inner or not value:
        yield prefix, value
        return
    for name, item in inner:
        yield from flat(item, f"{prefix}.{name}" if prefix else str(name))


def same_frame(kept: Kept, name: str, made: pd.DataFrame) -> Compared:
    """Rows of one of the frames to the last digit."""
    try:
        stored = kept.frame(name)
    except DataError as error:
        return Compared(name, False, str(error))
    said = first_difference(stored, made)
    return Compared(name, not said, said or f"{len(made):,} rows are the same to the last digit")


def first_difference(stored: pd.DataFrame, made: pd.DataFrame) -> str:
    """Where two frames first differ, in a sentence; "" where nowhere."""
    columns = [str(name) for name in made]
    if [str(name) for name in stored] != columns:
        return f"columns are {', '.join(map(str, stored))} in the folder and {', '.join(columns)} made again"
    rows = min(len(stored), len(made))
    wrong = {name: _unequal(stored[name].to_numpy()[:rows], made[name].to_numpy()[:rows]) for name in columns}
    if any(differ.any() for differ in wrong.values()):
        return _told(stored, made, wrong)
    return f"{len(stored):,} rows in the folder and {len(made):,} made again" if len(stored) != len(made) else ""


def _told(stored: pd.DataFrame, made: pd.DataFrame, wrong: Mapping[str, Bools]) -> str:
    name = min((name for name in wrong if wrong[name].any()), key=lambda column: int(np.argmax(wrong[column])))
    row, count = int(np.argmax(wrong[name])), int(np.logical_or.reduce(list(wrong.values())).sum())
    stamp = next((column for column in ("ts", "entry_ts") if column in made), None)
    at = f" ({moment(int(made[stamp].iloc[row]))})" if stamp else ""
    values = f"{stored[name].iloc[row]} in the folder and {made[name].iloc[row]} made again"
    return f"{name} of row {int(made.index[row]):,}{at} is {values}; {count:,} of {len(made):,} rows differ"


def _unequal(ours: NDArray[Any], theirs: NDArray[Any]) -> Bools:
    return np.asarray(~((ours == theirs) | ((ours != ours) & (theirs != theirs))), np.bool_)


def same_versions(kept: Kept, now: Mapping[str, Any]) -> Compared:
    """Of Python and packages; for information."""
    then = kept.meta["versions"]
    changed = [f"{name} {then.get(name)} then, {now.get(name)} now" for name in {**then, **now} if then.get(name) != now.get(name)]
    return Compared("versions", not changed, "; ".join(changed) or f"{len(now)} versions are the same", binding=False)


def same_code(kept: Kept, code: str, git: Mapping[str, Any] | None) -> Compared:
    """The revision, and whether what shapes a simulation is the same; for information."""
    then, same = kept.meta.get("git"), kept.meta["code"] == code
    shaping = "what shapes a simulation is the same" if same else "what shapes a simulation was changed"
    revisions = f"revision {revision(then)} then, {revision(git)} now" if then != git else f"revision {revision(git)}"
    return Compared("code", same, f"{shaping}; {revisions}", binding=False)


def revision(git: Mapping[str, Any] | None) -> str:
    """A commit in words."""
    return "unknown" if git is None else git["revision"][:12] + (" with changes" if git["changed"] else "")


def same_config(stored: Mapping[str, Any], present: Mapping[str, Any], left_out: Sequence[str]) -> Compared:
    """Keys whose values the command line would give another value now, because of YAML files or the environment; for information."""
    then, now = ({k: v for k, v in flat(one) if k.partition(".")[0] not in left_out} for one in (stored, present))
    changed = [f"{key} was {then.get(key)}, is {now.get(key)} here" for key in {**then, **now} if then.get(key) != now.get(key)]
    said = (
        f"{'; '.join(changed)}: the run is made again with what it was" if changed else "the same command line gives the same configuration"
    )
    return Compared("configuration", not changed, said, binding=False)
