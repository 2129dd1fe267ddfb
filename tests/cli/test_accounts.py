"""Keys: whose they are, where they lie, who may read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError, SafetyError
from alpha_arena.exchange.accounts import Keys, environment_keys, read_embedded, write_embedded
from alpha_arena.settings import load
from alpha_arena.wiring.venue import checked_keys, host_of, keys_of, world_of

PLAIN = {"OKX_API_KEY": "key", "OKX_API_SECRET": "secret", "OKX_PASSPHRASE": "phrase"}
OWN = {f"{name}__EMA_SOLO": f"own-{value}" for name, value in PLAIN.items()}
LINE = {
    "url": "http://127.0.0.1:8700",
    "control_url": "http://127.0.0.1:8700/__sim",
    "control_token": "t",
    "accounts": [{"name": "default", "api_key": "demo-1", "secret": "canary-secret", "passphrase": "canary-phrase"}],
}


def test_a_trader_has_keys_of_its_own_or_the_plain_ones() -> None:
    assert environment_keys("default", PLAIN | OWN) == Keys("key", "secret", "phrase")
    assert environment_keys("ema_solo", PLAIN | OWN) == Keys("own-key", "own-secret", "own-phrase")
    assert environment_keys("ema-solo", PLAIN | OWN) == Keys("own-key", "own-secret", "own-phrase")
    assert environment_keys("ema_solo", PLAIN) == Keys("key", "secret", "phrase")
    assert environment_keys("ema_solo", {"OKX_API_KEY": "", "OKX_API_SECRET": ""}) is None


@pytest.mark.parametrize("given", [PLAIN | {"OKX_API_KEY": ""}, PLAIN | {"OKX_API_KEY__EMA_SOLO": "own"}, {"OKX_PASSPHRASE": "x"}])
def test_parts_of_two_accounts_are_never_put_together(given: dict[str, str]) -> None:
    """Half a set of a trader's own does not fall back on the other half of the plain one."""
    with pytest.raises(ConfigError, match="is not set, but other keys of that account are"):
        environment_keys("ema_solo", given)


def test_the_file_of_keys_is_its_owners_alone(tmp_path: Path) -> None:
    """Even where one lay there that others could read."""
    file = tmp_path / "data" / "embedded.json"
    write_embedded(file, LINE)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_embedded(file).keys("default") == Keys("demo-1", "canary-secret", "canary-phrase")
    file.chmod(0o644)
    with pytest.raises(SafetyError, match="chmod 600"):
        read_embedded(file)
    write_embedded(file, LINE)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["embedded.json"]
    with pytest.raises(ConfigError, match=r"no account for trader.id=second.*exchange.accounts=\[default,second\]"):
        read_embedded(file).keys("second")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1, "accounts": 5}', json.dumps(LINE | {"accounts": [{"name": "a"}]})])
def test_a_file_of_another_form_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "embedded.json").write_text(text)
    with pytest.raises(ConfigError, match="start the exchange again"):
        read_embedded(tmp_path / "embedded.json")


def test_keys_are_not_shown(tmp_path: Path) -> None:
    """E7."""
    write_embedded(tmp_path / "embedded.json", LINE | {"control_token": "canary-token"})
    found = read_embedded(tmp_path / "embedded.json")
    assert "canary" not in f"{found!r} {found.accounts['default']!r}"


def test_host_and_keys_of_a_configuration(own_folder: Path) -> None:
    """Of the embedded exchange beside the database; of OKX by region."""
    embedded = load("trade", ["executor=okx"])
    with pytest.raises(ConfigError, match="alpha-arena exchange, or up"):
        host_of(embedded)
    write_embedded(own_folder / "embedded.json", LINE)
    assert checked_keys(embedded, "embedded", PLAIN) == (LINE["url"], Keys("demo-1", "canary-secret", "canary-phrase"))
    okx = load("decide", ["executor=okx", "exchange=okx", "exchange.region=eea"])
    assert checked_keys(okx, "demo", PLAIN) == ("https://eea.okx.com", Keys("key", "secret", "phrase"))
    assert keys_of(okx, {}) is None
    assert [world_of(one, demo) for one in (embedded, okx) for demo in (True, False)] == ["embedded", "embedded", "demo", "live"]
    with pytest.raises(SafetyError, match="embedded exchange are not sent to https"):
        checked_keys(okx, "live", PLAIN | {"OKX_API_KEY": "demo-1"})
    with pytest.raises(ConfigError, match="choose exchange=embedded or exchange=okx"):
        host_of(load("trade"))
