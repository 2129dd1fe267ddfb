"""Progress of an import: a bar a series."""

from __future__ import annotations

import sys
from typing import Any


class SeriesBars:
    """Told (label, done, total) after each batch; shows the series that is at work, on a terminal only."""

    def __init__(self) -> None:
        self.label = ""
        self.bar: Any = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` bars of what `label` names are stored."""
        from tqdm import tqdm

        if label != self.label:
            self.close()
            self.label, self.bar = label, tqdm(desc=label, total=total, unit="bars", file=sys.stderr, disable=None, leave=False)
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the present bar away."""
        if self.bar is not None:
            self.bar.close()
            self.label, self.bar = "", None
