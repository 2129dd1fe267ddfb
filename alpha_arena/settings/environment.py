"""Environment variables, which of them are secret, and how secrets are kept out of what is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MASK = "***"
SECRET_WORDS = re.compile(r"(?:^|_)(?:key|secret|passphrase|password|token)(?:_|$)", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):([^@\s]+)(?=@)")
QUERY_PASSWORD = re.compile(r"(?i)\b(password|passphrase|sslpassword)=([^&\s]+)")
SHORTEST_SECRET = 6


def read_dotenv(folder: Path) -> None:
    """Take variables from `folder`/.env that the environment does not have; an empty value counts as not given."""
    from dotenv import dotenv_values

    file = folder / ".env"
    if file.is_file():
        for name, value in dotenv_values(file).items():
            if value and not os.environ.get(name):
                os.environ[name] = value


def forget_empty(names: Iterable[str]) -> None:
    """Take variables that are set to nothing out of the environment, so that the YAML's value holds."""
    for name in names:
        if not os.environ.get(name, "-"):
            del os.environ[name]


def is_secret(key: str) -> bool:
    """Whether the last part of a dotted key, or a variable's name, is that of a secret."""
    return bool(SECRET_WORDS.search(key.rsplit(".", 1)[-1]))


def secrets() -> list[str]:
    """Values of the secret variables, longest first; those too short to be one are left out."""
    values = (value for name, value in os.environ.items() if is_secret(name) and len(value) >= SHORTEST_SECRET)
    return sorted(set(values), key=len, reverse=True)


def masked_text(text: str) -> str:
    """The text with the values of secret variables and passwords of URLs replaced."""
    for value in secrets():
        text = text.replace(value, MASK)
    return QUERY_PASSWORD.sub(rf"\1={MASK}", URL_PASSWORD.sub(rf"\1:{MASK}", text))


def masked(value: Any, key: str = "") -> Any:
    """A plain structure with its secrets replaced, those that are named so and those that hold a secret variable's value."""
    if isinstance(value, Mapping):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, key) for item in value]
    if value and is_secret(key):
        return MASK
    return masked_text(value) if isinstance(value, str) else value
