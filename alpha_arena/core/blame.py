"""Whose code failed, and where: for people who bring their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb

from alpha_arena.core.errors import AlphaArenaError


@dataclass(frozen=True, slots=True)
class Call:
    """A call on the way to an error. name: as Python qualifies it, such as BuyDips.signals."""

    name: str
    file: Path
    line: int

    def __str__(self) -> str:
        shown = self.file.relative_to(Path.cwd()) if self.file.is_relative_to(Path.cwd()) else self.file
        return f"{shown}, line {self.line}"


def calls_into(error: BaseException, folders: Sequence[Path]) -> list[Call]:
    """Calls of code below the folders on the way to an error, the outermost first."""
    within = [folder.resolve() for folder in folders]
    frames = ((frame.f_code, Path(frame.f_code.co_filename).resolve(), line) for frame, line in walk_tb(error.__traceback__))
    return [Call(code.co_qualname, file, line) for code, file, line in frames if any(file.is_relative_to(folder) for folder in within)]


def said(error: BaseException, folders: Sequence[Path]) -> str:
    """Kind and words of an error, and the last place below the folders on the way to it, where there is one."""
    calls = calls_into(error, folders)
    return f"{type(error).__name__}: {error}{f' ({calls[-1]})' if calls else ''}"


@contextmanager
def blamed(folders: Sequence[Path]) -> Iterator[None]:
    """Say in one sentence what failed of the code below the folders; any other failure is left as it is.

    Raises:
        AlphaArenaError: code of the folders raised, or what it called.
    """
    try:
        yield
    except AlphaArenaError:
        raise
    except Exception as error:
        calls = calls_into(error, folders)
        if not calls:
            raise
        raise AlphaArenaError(f"{calls[0].name} failed: {said(error, folders)}; mend it, or leave it out") from error
