"""What may not run beside each other does not, with several workers (tests/guard/turns.py)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from turns import ALONE, Turns

ROOT = Path(__file__).resolve().parents[2]


def test_files_of_one_worker_exist() -> None:
    """A name that is no file's any more would keep nothing apart."""
    assert [name for name in ALONE if not (ROOT / name).is_file()] == []


def test_a_test_elsewhere_is_given_out_alone() -> None:
    scope = Turns.__new__(Turns)._split_scope
    assert scope(f"{ALONE[0]}::test_a[x::y]") == scope(f"{ALONE[0]}::test_b") == ALONE[0]
    assert scope("tests/a/test_b.py::test_c[1]") != scope("tests/a/test_b.py::test_c[2]")


@pytest.mark.slow
def test_two_workers_share_no_file_that_is_one_worker_s() -> None:
    """As pytest gives tests out."""
    asked = ["-m", "pytest", "-v", "-n", "2", "-m", "not slow", "-k", "worth_its_start", ALONE[0]]
    done = subprocess.run([sys.executable, *asked], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    workers = re.findall(r"^\[(gw\d)\]", done.stdout, re.MULTILINE)
    assert (len(workers), len(set(workers))) == (7, 1), done.stdout
