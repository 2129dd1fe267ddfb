"""Every row of the fault table that a trader's process can see, through the real executor over the wire, and one checker at the end."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos_scenario import Scenario, scenarios
from chaos_world import Failure, World, orders_of
from checker import Figures, Rows, check, measured

from alpha_arena.data.controls import Controls

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path("/dev/shm")
SEEDS = range(1, 11)
PARTS = 4
HOW: dict[str, tuple[Failure, ...]] = {
    "none": (),
    "changes": ("die", "fail"),
    "each": ("die", "fail anywhere"),
    "everywhere": ("die anywhere", "fail anywhere"),
}
TABLE = {
    *(f"A{n}" for n in range(1, 16)),
    *(f"B{n}" for n in range(1, 7)),
    "C1",
    *(f"C{n}" for n in range(3, 9)),
    "E1",
    "E2",
    "E3",
    "E7",
    "E8",
}
PLAYED = {name: one for name, one in scenarios().items() if one.market}
SHOWN = {name: one for name, one in scenarios().items() if one.shown_by}
Record = Callable[[str, object], None]


@contextmanager
def lived(scenario: Scenario, seed: int, dies_at: int | None = None, how: Failure = "die", kind: type[World] = World) -> Iterator[World]:
    """One life; its files lie in memory where there is such a place: that they are written to the disk is asserted and not measured."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        world = kind(scenario, seed, Path(folder), dies_at, how)
        try:
            yield world.live()
        finally:
            world.close()


def judge(world: World) -> Figures:
    """The invariants and what the scenario expects."""
    finished, expect = world.finished(), world.scenario.expect
    figures = measured(finished)
    check(finished)
    state, reason = finished.ledger.stands()
    assert (state, expect.reason in reason) == (expect.state, True), f"{state}: {reason}"
    held = finished.held()
    assert (held > 0) - (held < 0) == expect.holds, f"{held} is held"
    ends, plain = orders_of(world), world.dies_at is None
    if expect.orders is not None and (plain or expect.otherwise != "any"):
        assert ends in [expect.orders, *([] if plain else expect.otherwise)], ends
    if plain:
        as_told(world, finished.decisions)
    return figures


def as_told(world: World, found: Rows) -> None:
    """What is expected of a life in which the process does not die."""
    expect = world.scenario.expect
    refused = {refusal["rule"] for row in found for refusal in row["refusals"]}
    assert set(expect.refusals) <= refused, refused
    assert expect.decided in (None, len(found)), [row["bar_ts"] for row in found]
    for said in expect.failed:
        assert any(said in told for told in world.failed), world.failed
    done = {row["action"] for row in Controls(world.people).audits("t", 1_000)}
    assert set(expect.audits) <= done, done
    assert expect.posts is None or len(world.sent) <= expect.posts, len(world.sent)
    assert all(rule.struck for rule in world.rules), [rule for rule in world.rules if not rule.struck]


@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_ends_as_it_must(name: str, record_property: Record) -> None:
    """D20, I9: whatever fails outside, both sides have the same orders, fills and money afterwards; and once more, to the byte."""
    ends = []
    for _ in range(2):
        with lived(PLAYED[name], PLAYED[name].seed) as world:
            figures = judge(world)
            ends.append((world.exchange.dump()[1], orders_of(world), world.steps, world.sent, world.failed))
    assert ends[0] == ends[1]
    record_property("chaos_figures", figures.told)


class Noting(World):
    """Keeps the names of its steps."""

    def step(self, name: str) -> None:
        before = self.steps
        super().step(name)
        self.names: list[str] = [*getattr(self, "names", []), *[name] * (self.steps - before)]


@pytest.mark.parametrize("name", ["a15_keys_that_are_withdrawn", "e2_refused_again_and_again"])
def test_a_death_beside_a_refusal_loses_no_halt(name: str) -> None:
    """A1, A15, E2: the end of a refused order and the halt that comes of it are one transaction."""
    with lived(PLAYED[name], 1, None, "die", Noting) as world:
        assert isinstance(world, Noting)
        last = len(world.names) - 1 - world.names[::-1].index("after POST trade/order")
    if name.startswith("a15"):
        last = [n for n, step in enumerate(world.names) if step == "after POST trade/order"][1]
    for point in range(last, last + 3):
        with lived(PLAYED[name], 1, point) as world:
            judge(world)


def each_step(scenario: Scenario, how: Failure, part: int) -> Figures:
    """Lives that end, or fail, at the steps of a part, each in one of ten markets."""
    total, point = Figures(), part
    while True:
        with lived(scenario, SEEDS[point % len(SEEDS)], point, how) as world:
            if world.steps <= point:
                return total
            try:
                total += judge(world)
            except AssertionError as error:
                raise AssertionError(f"step {point}, seed {world.seed}: {error}; {world.failed}") from error
        point += PARTS


def matrix() -> Iterator[tuple[str, Failure]]:
    """Scenarios, and how what happens in them is cut short."""
    for name, one in PLAYED.items():
        for how in HOW[one.crash]:
            yield name, how


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("name", "how"), [*matrix()])
def test_dying_or_failing_at_each_step(name: str, how: Failure, part: int, record_property: Record) -> None:
    """A1, A2, A3, A4, C4: the process dies, or its requests and transactions fail, one after the other."""
    record_property("chaos_figures", each_step(PLAYED[name], how, part).told)


def test_each_row_has_a_scenario() -> None:
    assert {row for one in scenarios().values() for row in one.rows} >= TABLE


@pytest.mark.parametrize("name", SHOWN)
def test_what_shows_a_row_is_there(name: str) -> None:
    """Rows of processes, files and units: the tests that their files name exist."""
    for where in SHOWN[name].shown_by:
        path, _, function = where.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}, where
