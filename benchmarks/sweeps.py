"""A sweep of real candles on Ray and in threads, as a table: python benchmarks/sweeps.py DATA [quick]

DATA holds okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet and binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet. 100,000 combinations of
ema_trend, `quick` takes 3,000; each way in a fresh process with an empty list of trials, and all must find the same to the last bit.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

CANDLES = "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet"
FUNDING = "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"
SPACE = {
    "ema_fast": "5..14/1",
    "ema_medium": "16..34/2",
    "ema_slow": "40..130/10",
    "stop_loss_atr": "1..5.5/0.5",
    "take_profit_atr": "1..10/1",
}
QUICK = SPACE | {"ema_fast": "5..9/2", "ema_slow": "40..130/10", "stop_loss_atr": "1..5.5/0.5", "take_profit_atr": "[4.0]"}
ONE = {"ema_fast": "[9]", "ema_medium": "[21]", "ema_slow": "[55]", "stop_loss_atr": "[2.0]", "take_profit_atr": "[4.0]"}
WAYS = {
    "Ray, 1 worker": ["ray.use=always", "ray.workers=1"],
    "Ray, 2 workers": ["ray.use=always", "ray.workers=2"],
    "Ray, two nodes of one core": ["ray.address=auto"],
    "2 threads": ["ray.use=never", "ray.workers=2"],
}
NODES = ("127.0.0.2", "127.0.0.3")
STARTED = "Ray runtime started"
STARTS = 3
EVERY_S = 1.0
MB = 1e6


@dataclass
class Peak:
    """Resident memory at its highest, bytes; all: every process that the benchmark has started, shared pages counted in each."""

    driver: int = 0
    all: int = 0

    def look(self, driver: int) -> None:
        """At this moment."""
        used = {process.pid: resident(process) for process in psutil.Process().children(recursive=True)}
        self.driver, self.all = max(self.driver, used.get(driver, 0)), max(self.all, sum(used.values()))


def resident(process: psutil.Process) -> int:
    """Bytes, 0 of a process that has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def command(*arguments: str, peak: Peak | None = None) -> dict[str, Any]:
    """A command's JSON.

    Raises:
        SystemExit: it failed; what it said of it stands above.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "alpha_arena.cli", *arguments, "report=json"], stdout=subprocess.PIPE, text=True
    ) as process:
        while True:
            try:
                out, _ = process.communicate(timeout=EVERY_S)
                break
            except subprocess.TimeoutExpired:
                if peak:
                    peak.look(process.pid)
    if process.returncode:
        raise SystemExit(f"`alpha-arena {' '.join(arguments)}` ended with exit code {process.returncode}")
    result: dict[str, Any] = json.loads(out)
    return result


@contextmanager
def cluster(temporary: Path) -> Iterator[str]:
    """Two nodes of one core each on this machine, on addresses of its loopback; yields the head's HOST:PORT."""
    port = free_port()
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    with ExitStack() as nodes:
        for host, own in zip(NODES, (head, [f"--address={NODES[0]}:{port}"]), strict=True):
            nodes.enter_context(node(temporary, [*own, f"--node-ip-address={host}", "--num-cpus=1"]))
        yield f"{NODES[0]}:{port}"


def free_port() -> int:
    """One that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind((NODES[0], 0))
        return int(probe.getsockname()[1])


@contextmanager
def node(temporary: Path, arguments: list[str]) -> Iterator[None]:
    """A node of Ray, with all its processes gone afterwards; one that comes up too late on a busy machine is started again."""
    environment = {**os.environ, "RAY_TMPDIR": str(temporary), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments]
    for _ in range(STARTS):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with ending(process):
            if any(STARTED in line for line in process.stdout or ()):
                yield
                return
    raise RuntimeError(f"`{' '.join(command)}` has not started in {STARTS} attempts")


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process that is gone with its whole family afterwards."""
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(process.pid)
            family = [*own.children(recursive=True), own]
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family)
        process.wait()
        if process.stdout:
            process.stdout.close()


def found(database: Path) -> tuple[int, str]:
    """How many trials a database has, and SHA-256 of all their numbers."""
    digest, count = sha256(), 0
    with closing(sqlite3.connect(database)) as connection:
        for row in connection.execute("SELECT config_hash, figures, sums, squares FROM trials ORDER BY config_hash"):
            count += 1
            for part in row:
                digest.update(part.encode() if isinstance(part, str) else part)
    return count, digest.hexdigest()


def swept(template: Path, folder: Path, overrides: list[str]) -> tuple[dict[str, Any], Peak, float, tuple[int, str]]:
    """One way: what the command says, its memory, its seconds from start to end, what it has found."""
    database, peak, began = folder / "own.sqlite", Peak(), time.perf_counter()
    shutil.copy(template, database)
    result = command("sweep", f"database.url=sqlite:///{database}", f"outputs={folder}", *overrides, peak=peak)
    seconds, all_ = time.perf_counter() - began, found(database)
    for file in folder.glob("own.sqlite*"):
        file.unlink()
    return result, peak, seconds, all_


def axes(space: dict[str, str]) -> list[str]:
    """A space on the command line."""
    return ["sweep=ema_trend", *[f"sweep.strategies.ema_trend.{name}={values}" for name, values in space.items()]]


def imported(data: Path, folder: Path) -> Path:
    """A database with the candles and funding."""
    database = folder / "template.sqlite"
    where = [f"database.url=sqlite:///{database}", "exchange=file"]
    command("db", "upgrade", where[0])
    command("ingest", *where, f"exchange.path={data / CANDLES}", f"exchange.funding_path={data / FUNDING}")
    return database


def main(data: Path, quick: bool) -> None:
    """Import, sweep each way, print, compare."""
    space = QUICK if quick else SPACE
    with tempfile.TemporaryDirectory(prefix="ray") as name:
        folder = Path(name)
        os.environ["RAY_TMPDIR"] = name
        template, first, hashes = imported(data, folder), 0.0, set()
        # what is compiled once on a machine is no part of the comparison
        swept(template, folder, [*axes(ONE), "ray.use=never"])
        print("| | combinations | found in, s | combinations/s | ratio | command, s | driver, MB | all, MB | load before | numbers |")
        print(f"|---{'|---:' * 9}|", flush=True)
        for way, overrides in WAYS.items():
            with cluster(folder) if "nodes" in way else nullcontext():
                load = os.getloadavg()[0]
                result, peak, seconds, (count, digest) = swept(template, folder, [*axes(space), *overrides])
            rate = result["trials_per_second"]
            first = first or rate
            cells = [f"{count:,}", f"{result['search_seconds']:.1f}", f"{rate:,.0f}", f"{rate / first:.2f}", f"{seconds:.1f}"]
            cells += [f"{peak.driver / MB:,.0f}", f"{peak.all / MB:,.0f}", f"{load:.1f}", digest[:8]]
            print(f"| {way} ({result['where']}) | {' | '.join(cells)} |", flush=True)
            hashes.add(digest)
    if len(hashes) > 1:
        raise SystemExit("the numbers differ")
    print(f"\nthe same numbers every time: {hashes.pop()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "quick" in sys.argv[2:])
