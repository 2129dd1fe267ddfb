"""The chart library, served out of the installed package that carries it, after a look at its version and bytes."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from alpha_arena.core.errors import ConfigError

PACKAGE = "pylightcharts"
VERSION = "0.1.6"
SHA256 = "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"


def installed_version() -> str:
    """Version of the package that carries the library, "" where it is not installed."""
    try:
        return distribution(PACKAGE).version
    except PackageNotFoundError:
        return ""


def chart_library(version: str = VERSION, digest: str = SHA256) -> bytes:
    """TradingView Lightweight Charts 5.2.1 (Apache-2.0), as pylightcharts 0.1.6 ships it.

    Args:
        version: of the package that must be installed. digest: SHA-256 that the script must have.

    Raises:
        ConfigError: the package is missing, or another version, or its file is not the one that was examined.
    """
    found = installed_version()
    spec = find_spec(PACKAGE)
    if found != version or spec is None or spec.origin is None:
        raise ConfigError(f"the page needs {PACKAGE}=={version}, found {found or 'none'}; install it with the pins of constraints.txt")
    script = (Path(spec.origin).parent / "js" / "lightweight-charts.js").read_bytes()
    if sha256(script).hexdigest() != digest:
        raise ConfigError(f"the chart library in {PACKAGE} {found} is not the file that was examined; reinstall {PACKAGE}=={version}")
    return script


def notice() -> str:
    """The NOTICE that the library's licence asks to show, in one line."""
    text = distribution(PACKAGE).read_text("licenses/NOTICE") or ""
    return " ".join(text.split())
