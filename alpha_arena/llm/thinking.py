"""langchain-openai's chat, which keeps what a reasoning model says before it answers. Importing this takes seconds."""

from __future__ import annotations

from typing import Any

from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI


class ThinkingChat(ChatOpenAI):
    """As ChatOpenAI; the message's field `thinking_field`, which it would drop, is in additional_kwargs."""

    thinking_field: str

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        choices = response.get("choices") if isinstance(response, dict) else getattr(response, "choices", None)
        message = getattr(choices[0], "message", None) if choices else None
        thought = getattr(message, self.thinking_field, None)
        if thought:
            result.generations[0].message.additional_kwargs[self.thinking_field] = thought
        return result
