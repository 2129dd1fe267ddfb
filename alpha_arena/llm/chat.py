"""One call over the wire, with langchain-openai, which takes seconds to import and is imported at the first call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2

from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import PASSING_STATUS, CallFailed, Messages, Reply, Usage, clean

LARGEST_BYTES = 2_000_000
LONGEST_TEXT = 100_000
# tokens; more than that no model has read or written, and a number without end has no price
MOST_COUNTED = 10**9
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# a compressed body may be a thousand times as large as what is counted of it
PLAIN = "identity"
NO_KEY = "none"
# nobody has heard the question
UNREACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class TooLarge(Exception):
    """A body beyond all answers."""


class Encoded(Exception):
    """A body that is compressed, which nobody asked for. response: whose it is, unread."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__("the reply is compressed, which it was asked not to be")
        self.response = response


@dataclass(frozen=True)
class Chat:
    """Asks a provider through langchain-openai; one call at a time.

    Args:
        key: the provider's, "" for none; it never shows in what this returns or raises.
        params: sent beside model and messages. monotonic: seconds.
    """

    provider: Provider
    key: str
    params: Mapping[str, Any]
    monotonic: Callable[[], float] = time.monotonic

    def __repr__(self) -> str:
        return f"Chat({self.provider.name}, {self.provider.model})"

    @cached_property
    def _until(self) -> list[float]:
        return [0.0]

    @cached_property
    def _model(self) -> Any:
        from alpha_arena.llm.thinking import ThinkingChat

        # a proxy of the environment is for what lies beyond this machine
        trusted = (urlsplit(self.provider.base_url).hostname or "") not in LOOPBACK
        alone = httpx2.Limits(max_keepalive_connections=0)
        hooks, headers = {"response": [self._bounded]}, {"Accept-Encoding": PLAIN}
        client = httpx2.Client(event_hooks=hooks, headers=headers, trust_env=trusted, follow_redirects=False, limits=alone)
        return ThinkingChat(
            model=self.provider.model,
            base_url=self.provider.base_url,
            api_key=self.key or NO_KEY,
            extra_body=dict(self.params),
            max_retries=0,
            http_client=client,
            use_responses_api=False,
            thinking_field=self.provider.reasoning_field,
        )

    def _bounded(self, response: httpx2.Response) -> None:
        """Hold a body to its size and the call to its time, however slowly the body comes.

        Raises:
            Encoded: it is compressed, so that its size cannot be told beforehand.
        """
        if response.headers.get("content-encoding", PLAIN).strip().lower() not in ("", PLAIN):
            raise Encoded(response)
        response.stream = _Bounded(cast(httpx2.SyncByteStream, response.stream), lambda: self.monotonic() > self._until[0])

    def complete(self, messages: Messages, timeout_s: float) -> Reply:
        """As Wire.complete; a prompt holds no secret, and an answer that repeats one is masked."""
        from langchain_core.exceptions import LangChainException
        from openai import OpenAIError

        self._until[0] = self.monotonic() + timeout_s
        model = self._model
        # the import counts
        left_s = max(self._until[0] - self.monotonic(), 0.001)
        timeout = httpx2.Timeout(left_s, connect=min(left_s, self.provider.connect_s))
        try:
            said = model.invoke(list(messages), timeout=timeout)
            return self._reply(said)
        except TooLarge:
            raise CallFailed("TooLarge", f"the reply has more than {LARGEST_BYTES:,} bytes") from None
        except Encoded as error:
            raise (refused(error.response, str(error)) if not error.response.is_success else CallFailed("BadReply", str(error))) from None
        except (OpenAIError, LangChainException) as error:
            raise self._failed(error) from None
        except (AttributeError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise CallFailed("BadReply", self._masked(f"not an answer of a chat: {error}")) from None

    def _reply(self, said: Any) -> Reply:
        told = said.response_metadata
        content = said.content if isinstance(said.content, str) else str(said.text)
        thinking = said.additional_kwargs.get(self.provider.reasoning_field) or ""
        return Reply(
            text=self._masked(content),
            model=self._masked(str(told.get("model_name") or "")),
            finish=self._masked(str(told.get("finish_reason") or "")),
            fingerprint=self._masked(str(told.get("system_fingerprint") or "")),
            reasoning=self._masked(str(thinking)),
            usage=usage_of(told.get("token_usage") or {}, self.provider.cached_field),
        )

    def _masked(self, text: str) -> str:
        return clean(text.replace(self.key, "***") if self.key else text, LONGEST_TEXT)

    def _failed(self, error: Exception) -> CallFailed:
        import openai

        reached = not any(isinstance(one, UNREACHED) for one in causes(error))
        if isinstance(error, openai.APITimeoutError):
            return CallFailed("Timeout", "no whole reply in time", passing=True, reached=reached)
        if isinstance(error, openai.APIStatusError):
            return refused(error.response, self._masked(str(error.message)))
        if isinstance(error, openai.APIConnectionError):
            return CallFailed("Connection", self._masked(str(error)), passing=True, reached=reached)
        return CallFailed("BadReply", self._masked(str(error)))


class _Bounded(httpx2.SyncByteStream):
    """A body that is read no further than allowed.

    Args:
        late: whether time is up.
    """

    def __init__(self, stream: httpx2.SyncByteStream, late: Callable[[], bool]) -> None:
        self.stream, self.late = stream, late

    def __iter__(self) -> Iterator[bytes]:

        read = 0
        for chunk in self.stream:
            read += len(chunk)
            if read > LARGEST_BYTES:
                raise TooLarge
            if self.late():
                raise httpx2.ReadTimeout("the reply came too slowly")
            yield chunk

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()


def refused(response: Any, said: str) -> CallFailed:
    """A call that ended with a status that is none of success."""
    status = response.status_code
    passing = status in PASSING_STATUS or status >= 500
    return CallFailed(f"Http{status}", said, status, passing, seconds(response.headers.get("retry-after")))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what it came of: each layer wraps that of the one below it."""
    while error is not None:
        yield error
        error = error.__cause__


def seconds(told: str | None) -> float | None:
    """A Retry-After in seconds; a date, or what is no number that can be waited for, is not read."""
    try:
        waits = float(told) if told else nan
    except ValueError:
        return None
    return max(waits, 0.0) if isfinite(waits) else None


def usage_of(told: Mapping[str, Any], cached_field: str) -> Usage:
    """Tokens as a provider counts them."""
    thought = _at(told, "completion_tokens_details.reasoning_tokens")
    return Usage(_at(told, "prompt_tokens"), _at(told, cached_field), _at(told, "completion_tokens"), thought)


def _at(told: Any, path: str) -> int | None:
    for part in path.split("."):
        told = told.get(part) if isinstance(told, Mapping) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= MOST_COUNTED else None
