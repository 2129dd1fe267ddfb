"""What language models were asked and said: answers by their question, what was spent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from alpha_arena.core.advice import canonical
from alpha_arena.data import tables
from alpha_arena.data.service import DataService

ANSWERS = tables.llm_answers
ONE = select(ANSWERS.c.outcome, ANSWERS.c.wall_ms).where(ANSWERS.c.key == bindparam("key"))
# answers of a run were asked one after the other, and are asked for in the same order again
NEXT = select(ANSWERS.c.key, ANSWERS.c.outcome).where(ANSWERS.c.wall_ms >= bindparam("wall_ms")).order_by(ANSWERS.c.wall_ms).limit(256)


class KeptAnswers:
    """Answers that are kept in the database; it keeps `llm.kept.Kept`."""

    def __init__(self, service: DataService) -> None:
        self.database = service.database
        self._ahead: dict[str, str] = {}
        self._found = 0

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What is kept of a question."""
        found = self._ahead.get(key) or self._read(key)
        return json.loads(found) if found else None

    def _read(self, key: str) -> str | None:
        """One answer, and from the second on those that were kept after it."""
        with self.database.read() as connection:
            row = connection.execute(ONE, {"key": key}).first()
            if row is None:
                return None
            if self._found:
                self._ahead = {one.key: one.outcome for one in connection.execute(NEXT, {"wall_ms": row.wall_ms})}
        self._found += 1
        found: str = row.outcome
        return found

    def put(self, key: str, template_sha256: str, outcome: Mapping[str, Any]) -> None:
        """Keep an outcome in the place of an earlier one."""
        row = {"key": key, "template_sha256": template_sha256, "wall_ms": outcome["wall_ms"], "outcome": canonical(outcome)}
        self._ahead.pop(key, None)
        with self.database.write() as connection:
            self.database.upsert(connection, tables.llm_answers, [row], ("key",))

    def others(self, template_sha256: str) -> int:
        """How many answers are kept to questions of other templates."""
        table = tables.llm_answers
        query = select(func.count()).select_from(table).where(table.c.template_sha256 != template_sha256)
        with self.database.read() as connection:
            return connection.execute(query).scalar() or 0


def every_answer(service: DataService) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, template and outcome of all that is kept, in the order in which it was asked."""
    query = select(ANSWERS).order_by(ANSWERS.c.wall_ms, ANSWERS.c.key)
    with service.database.read() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            yield row.key, row.template_sha256, json.loads(row.outcome)


def spend(service: DataService, trader: str, ts: int, cost_usd: float) -> None:
    """Note what a call has cost at most, as soon as it is made: it is gone whatever becomes of the cycle. ts: the market's time, ms UTC."""
    with service.database.write() as connection:
        connection.execute(insert(tables.llm_spending), [{"trader": trader, "ts": ts, "cost_usd": cost_usd}])


def spent_usd(service: DataService, trader: str, since_ts: int) -> float:
    """What a trader's calls from `since_ts` on have cost at most."""
    table = tables.llm_spending
    query = select(table.c.cost_usd).where(table.c.trader == trader, table.c.ts >= since_ts)
    with service.database.read() as connection:
        return float(sum(connection.execute(query).scalars()))
