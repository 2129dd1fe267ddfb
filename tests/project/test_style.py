"""The tree keeps its own rules: short functions, short files, documented names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("alpha_arena", "flows") for path in (ROOT / folder).rglob("*.py") if "versions" not in path.parts)
WORST, P90, MEDIAN, FILE = 60, 22, 6, 400


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function with the lines of its body, docstring aside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


LENGTHS = dict(pair for path in SOURCES for pair in functions(path))


def test_functions_are_short() -> None:
    """None over 60 lines, nine in ten within 22, half within 6."""
    sizes = sorted(LENGTHS.values())
    assert [name for name, size in LENGTHS.items() if size > WORST] == []
    assert sizes[int(len(sizes) * 0.9)] <= P90
    assert median(sizes) <= MEDIAN


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_holds_one_noun(path: Path) -> None:
    """At most 400 lines, and a docstring that says what it is about."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no module docstring"


def test_every_test_file_has_a_name_of_its_own() -> None:
    """Two of one name in two folders are one module to Python, so that the whole suite could not be collected."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in ("conftest.py", "__init__.py")]
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_the_tree_names_no_machine() -> None:
    """No absolute path of a machine and no package index in what is shipped."""
    words = ["/" + "work/", "/" + "root/", "index" + "-url", "pypi" + ".org"]
    kept = (".py", ".md", ".toml", ".txt", ".yaml", ".js", ".css", ".json", ".ini", ".mako", ".example")
    others = {".venv", ".venv-peers", ".git", "outputs", "data"}
    files = [path for path in ROOT.rglob("*") if path.suffix in kept and not others & set(path.parts)]
    found = [f"{path.relative_to(ROOT)}: {word}" for path in files for word in words if word in path.read_text(encoding="utf-8")]
    assert found == []
