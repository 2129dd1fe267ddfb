"""What makes two simulations the same: the code that shapes them and everything that it was told, as one hash each."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from alpha_arena.backtest.result import plain

ROOT = Path(__file__).resolve().parents[1]
PACKAGE_FILE = "__init__.py"
# folders and files of the package that shape a simulation
SIMULATING = (
    "core",
    "features",
    "strategies",
    "risk",
    "decision",
    "execution/simulated.py",
    "exchange/matching.py",
    "engine.py",
    *(f"backtest/{name}.py" for name in ("binding", "closes", "columns", "jit", "jit_parts", "kernel", "tally", "targets", "trips")),
    *(f"wiring/{name}.py" for name in ("arrays", "study")),
)


@cache
def code_hash() -> str:
    """SHA-256 over names and texts of the package's sources that shape a simulation; line ends of Windows count as those of Unix."""
    digest = sha256()
    for file in sources():
        digest.update(f"{file.relative_to(ROOT).as_posix()}\n".encode())
        digest.update(_text(file))
    return digest.hexdigest()


def sources() -> list[Path]:
    """The files, in the order of their names."""
    return sorted(file for name in SIMULATING for file in _files(ROOT / name))


def _files(path: Path) -> Iterator[Path]:
    yield from path.rglob("*.py") if path.is_dir() else [path]


def trial_hash(parts: Mapping[str, Any]) -> str:
    """SHA-256 of everything that shapes a trial, the code included; parts that are equal as JSON are the same trial.

    Args:
        parts: symbol, timeframe, parameters of the strategies, costs, risk and so on; NaN and infinity count as null.
    """
    told = json.dumps({"code": code_hash(), "parts": plain(parts)}, sort_keys=True, default=str)
    return sha256(told.encode()).hexdigest()


def foreign_code(components: Iterable[object]) -> dict[str, str]:
    """SHA-256 of the sources of those components, or classes, that are not of this package, such as a plugin's strategies, by class name.

    What their modules import of their own folder counts with them, wherever the import stands; a module whose name is only put together
    at run time does not.
    """
    kinds = (one if isinstance(one, type) else type(one) for one in components)
    files = {kind.__qualname__: (kind.__module__, Path(inspect.getfile(kind)).resolve()) for kind in kinds}
    return {name: _digest(*where) for name, where in sorted(files.items()) if not where[1].is_relative_to(ROOT)}


def _digest(module: str, file: Path) -> str:
    """SHA-256 over names and texts of a module and of all that it imports from beside it."""
    # one that is run as a script has the name of its file to the others
    name = file.stem if module == "__main__" else module
    root = (file.parent if file.name == PACKAGE_FILE else file.with_suffix("")).parents[name.count(".")]
    found = {name: file}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        beside = {other: path for other in _imported(one, found[one]) if other not in found and (path := _source(root, other))}
        found |= beside
        waiting += beside
    digest = sha256()
    for one, path in sorted(found.items()):
        digest.update(f"{one}\n".encode())
        digest.update(_text(path))
    return digest.hexdigest()


def _imported(module: str, file: Path) -> Iterator[str]:
    """Every module that a source may import, with the packages around it."""
    package = module.split(".") if file.name == PACKAGE_FILE else module.split(".")[:-1]
    for node in ast.walk(ast.parse(_text(file))):
        if isinstance(node, ast.Import):
            yield from (outer for one in node.names for outer in _outward(one.name))
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            yield from (outer for one in node.names for outer in _outward(f"{base}.{one.name}" if base else one.name))


def _outward(name: str) -> Iterator[str]:
    """A dotted name and the names before each of its dots."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _source(root: Path, module: str) -> Path | None:
    """The file of a module below a folder, None where it is not there."""
    place = root.joinpath(*module.split("."))
    return next((file for file in (place / PACKAGE_FILE, place.with_name(f"{place.name}.py")) if file.is_file()), None)


def _text(file: Path) -> bytes:
    """A source as it counts: line ends of Windows are those of Unix."""
    return file.read_bytes().replace(b"\r\n", b"\n")
