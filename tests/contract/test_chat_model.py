"""What every chat model behind the port keeps: the real child, a server, and the script for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from models.llamacpp import LlamaCppChat
from models.openai import openai_chat
from models.registry import SMALL_CHAT_MODEL, chat_model_path
from models.scripted import ScriptedChat
from models.structured import complete_json
from models.supervisor import ChildOptions, Supervisor
from models.unavailable import ModelUnavailable, UnavailableReason
from tests.support.openai_server import serving
from tests.support.weights import weights_home

_MESSAGES = [SystemMessage("You find faults."), HumanMessage("cart returns errors. Which service failed?")]
_SCHEMA = {
    "type": "object",
    "properties": {"service": {"type": "string", "enum": ["cart", "checkout"]}},
    "required": ["service"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    """Return a supervisor of the small real model."""
    home: Path = weights_home(SMALL_CHAT_MODEL)
    running = Supervisor(
        chat_model_path(home, SMALL_CHAT_MODEL), options=ChildOptions(context_tokens=512, grace_seconds=5.0)
    )
    yield running
    running.close()


@pytest.fixture(scope="module", params=["llamacpp", "openai", "scripted"])
def model(request: pytest.FixtureRequest, supervisor: Supervisor) -> Iterator[BaseChatModel]:
    """Return each implementation in turn; the server one has the real model behind it."""
    real = LlamaCppChat(supervisor, timeout=120.0)
    if request.param == "llamacpp":
        yield real
    elif request.param == "openai":
        with serving(real) as server:
            yield openai_chat(server.base_url, "small", None, 120.0)
    else:
        yield ScriptedChat(lambda _: '{ "service": "cart" }')


def test_answer_carries_usage_and_finish(model: BaseChatModel) -> None:
    """The message has text, token counts that add up, the model's name and how it ended."""
    message = model.invoke(_MESSAGES, max_tokens=20)
    assert isinstance(message, AIMessage)
    assert str(message.text)
    usage = message.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] > 0
    assert 0 < usage["output_tokens"] <= 20
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert message.response_metadata["model_name"]
    assert message.response_metadata["finish_reason"] in {"stop", "length"}


def test_json_of_the_schema(model: BaseChatModel) -> None:
    """One call site asks any of them for JSON and gets an object that fits."""
    reply = complete_json(model, _MESSAGES, _SCHEMA, 40, 120.0)
    assert reply.data in ({"service": "cart"}, {"service": "checkout"})
    assert reply.finish_reason == "stop"
    assert reply.prompt_tokens > 0
    assert reply.completion_tokens > 0
    assert reply.model_name


def test_cut_answer_is_no_data(model: BaseChatModel) -> None:
    """An answer that hits its token limit says `length` and gives no data."""
    reply = complete_json(model, _MESSAGES, _SCHEMA, 2, 120.0)
    assert (reply.data, reply.finish_reason) == (None, "length")
    assert reply.text.startswith("{")


def test_bound_settings_reach_the_model(model: BaseChatModel) -> None:
    """`bind` works like settings on the call."""
    message = model.bind(max_tokens=2).invoke(_MESSAGES)
    assert isinstance(message, AIMessage)
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] <= 2


def test_server_failures_have_the_same_reasons() -> None:
    """A slow, missing or refusing server fails with reasons from the same list."""
    with serving(ScriptedChat(lambda _: "{}")) as server:
        model = openai_chat(server.base_url, "any", "key-1", 30.0)
        assert complete_json(model, _MESSAGES, _SCHEMA, 10, 30.0).data == {}
        assert server.keys == ["Bearer key-1"]
        assert server.payloads[0]["response_format"]["json_schema"]["schema"] == _SCHEMA
        assert server.payloads[0]["temperature"] == 0.0
        for words in (
            "This model's maximum context length is 512 tokens",
            "request (900 tokens) exceeds the available context size (512 tokens)",
            "context_length_exceeded",
        ):
            server.trouble = (400, {"error": {"message": words}})
            assert reason_of(model, 30.0) is UnavailableReason.PROMPT_TOO_LONG
        server.trouble = (500, {"error": {"message": "out of memory"}})
        assert reason_of(model, 30.0) is UnavailableReason.REFUSED
        server.trouble, server.delay = None, 1.0
        assert reason_of(model, 0.2) is UnavailableReason.TIMED_OUT
    assert reason_of(model, 5.0) is UnavailableReason.UNREACHABLE


def test_slow_answers_time_out(supervisor: Supervisor) -> None:
    """A deadline in the past of what the model needs is `timed_out` for real and scripted alike."""
    assert reason_of(LlamaCppChat(supervisor), 0.001) is UnavailableReason.TIMED_OUT
    assert reason_of(ScriptedChat([threading.Event()]), 0.01) is UnavailableReason.TIMED_OUT


def reason_of(model: BaseChatModel, deadline: float) -> UnavailableReason:
    """Return why a call fails."""
    with pytest.raises(ModelUnavailable) as caught:
        complete_json(model, _MESSAGES, _SCHEMA, 10, deadline)
    return caught.value.reason
