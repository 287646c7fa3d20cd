"""The pure parts of the models room: catalogue, prompts, response formats, frames, the scripted model."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

from models.llamacpp import schema_text, to_wire
from models.prompts import Prompt, PromptError, find_prompt, load_prompts, parse_prompt
from models.protocol import (
    BrokenFrameError,
    Failed,
    Ping,
    decode_reply,
    decode_request,
    read_frame,
    write_frame,
)
from models.registry import (
    CATALOGUE,
    DEFAULT_CHAT_MODEL,
    EMBEDDING_MODEL,
    Purpose,
    UnknownModelError,
    chat_model_path,
    find_model,
    known_sum,
    models_for,
)
from models.scripted import ScriptedChat
from models.structured import complete_json
from models.unavailable import ModelUnavailable, UnavailableReason

_PROMPT = """---
id: explain
version: 2
description: Words the analysis.
---
# system
You explain. Cost: 5$$.

# user
Evidence:
${evidence}
"""


def test_wheel_parts_make_up_their_files() -> None:
    """The parts of every file add up to its size; sums are 64 hex digits; names differ."""
    for entry in CATALOGUE:
        for file in entry.files:
            assert sum(part.size for part in file.wheel_parts) == file.size
            assert len(bytes.fromhex(file.sha256)) == 32
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)


def test_unknown_model_names_the_nearest() -> None:
    """A slip of the pen is answered with the right name, nonsense with all names."""
    with pytest.raises(UnknownModelError, match=f"Did you mean {DEFAULT_CHAT_MODEL}"):
        find_model("qwen2.5-coder-1.5b")
    with pytest.raises(UnknownModelError, match="Known: "):
        find_model("####")


def test_purposes_and_paths() -> None:
    """The demo needs the default model and embeddings; only chat models have a chat path."""
    assert [entry.name for entry in models_for(Purpose.DEMO)] == [DEFAULT_CHAT_MODEL, EMBEDDING_MODEL]
    path = chat_model_path(Path("home"), DEFAULT_CHAT_MODEL)
    assert known_sum(path.name) == find_model(DEFAULT_CHAT_MODEL).files[0].sha256
    assert known_sum("my-own.gguf") is None
    with pytest.raises(UnknownModelError, match="not for chat"):
        chat_model_path(Path("home"), EMBEDDING_MODEL)


def explain() -> Prompt:
    """Return the sample prompt."""
    return parse_prompt("explain.v2.md", _PROMPT)


def test_prompt_renders_its_two_messages() -> None:
    """Fields are filled in once: telemetry that looks like a field stays as it is."""
    prompt = explain()
    assert prompt.label == "explain@2"
    assert set(prompt.fields) == {"evidence"}
    system, user = prompt.messages({"evidence": "cost ${evidence} $HOME $$"})
    assert system == SystemMessage("You explain. Cost: 5$.")
    assert user == HumanMessage("Evidence:\ncost ${evidence} $HOME $$")


def test_prompt_hash_follows_the_text() -> None:
    """Any change of the file changes the hash."""
    changed = parse_prompt("explain.v2.md", _PROMPT.replace("explain.", "explain!"))
    assert explain().sha256 != changed.sha256


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("explain.md", _PROMPT, "are called"),
        ("explain.v3.md", _PROMPT, "front matter says"),
        ("explain.v2.md", "no front matter", "wanted are front matter"),
        ("explain.v2.md", _PROMPT.replace("# user", "# somebody"), "`# user`"),
        ("explain.v2.md", _PROMPT.replace("version: 2\n", ""), "exactly"),
        ("explain.v2.md", _PROMPT.replace("id: explain", "id: [explain"), "no YAML"),
        ("explain.v2.md", _PROMPT.replace("5$$", "5$"), "written"),
    ],
)
def test_broken_prompt_files_say_what_is_wrong(name: str, text: str, says: str) -> None:
    """Each way to get a prompt file wrong has its own message."""
    with pytest.raises(PromptError, match=says):
        parse_prompt(name, text)


@pytest.mark.parametrize("fields", [{}, {"evidence": "x", "more": "y"}])
def test_prompt_wants_exactly_its_fields(fields: dict[str, str]) -> None:
    """Missing and superfluous fields are errors."""
    with pytest.raises(PromptError, match="takes the fields"):
        explain().messages(fields)


def test_registry_finds_the_newest_version(tmp_path: Path) -> None:
    """A label picks a version, a bare id the newest; 10 is newer than 2."""
    (tmp_path / "explain.v2.md").write_text(_PROMPT)
    (tmp_path / "explain.v10.md").write_text(_PROMPT.replace("version: 2", "version: 10"))
    (tmp_path / "notes.txt").write_text("not a prompt")
    prompts = load_prompts(tmp_path)
    assert list(prompts) == ["explain@2", "explain@10"]
    assert find_prompt("explain", prompts).version == 10
    assert find_prompt("explain@2", prompts).version == 2
    with pytest.raises(PromptError, match="Known: explain@2, explain@10"):
        find_prompt("unknown", prompts)


def test_shipped_prompts_all_load() -> None:
    """Every prompt file in the package parses and stands under its own label."""
    assert all(prompt.label == label for label, prompt in load_prompts().items())


def test_response_formats_of_both_kinds() -> None:
    """OpenAI's form and llama.cpp's form mean the same; other forms are refused."""
    schema = {"type": "object"}
    ours = schema_text({"type": "json_object", "schema": schema})
    theirs = schema_text({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    assert ours == theirs == schema_text({"type": "json_object"}) == json.dumps(schema)
    assert schema_text(None) is schema_text({"type": "text"}) is None
    with pytest.raises(ValueError, match="none that llama"):
        schema_text({"type": "grammar"})


def test_roles_without_a_place_are_refused() -> None:
    """Tool messages have no turn in a plain chat template."""
    with pytest.raises(ValueError, match="tool"):
        to_wire([ToolMessage("x", tool_call_id="1")])


@given(text=st.text(max_size=200), number=st.integers(0, 2**63 - 1))
def test_frames_come_back_as_they_went(text: str, number: int) -> None:
    """Any message survives the pipe; the stream's end is None."""
    stream = io.BytesIO()
    write_frame(stream, Failed(id=number, reason=text, message=text))
    write_frame(stream, Ping(id=number))
    stream.seek(0)
    first, second = read_frame(stream), read_frame(stream)
    assert first is not None
    assert second is not None
    assert decode_reply(first) == Failed(id=number, reason=text, message=text)
    assert decode_request(second) == Ping(id=number)
    assert read_frame(stream) is None


@given(garbage=st.binary(min_size=1, max_size=64))
def test_garbage_is_no_frame(garbage: bytes) -> None:
    """Bytes that are no frame raise `BrokenFrameError` and nothing else."""
    with pytest.raises(BrokenFrameError):
        decode_reply(read_frame(io.BytesIO(garbage + b"\xff")) or b"")


def test_text_that_is_no_object_is_no_data() -> None:
    """Free text, lists and cut JSON give None; raw newlines in strings are fine."""
    model = ScriptedChat(["Sure!", "[1]", '{"a": ', '{"a":\t"x\ny"}'])
    replies = [complete_json(model, [HumanMessage("?")], {}, 10, 1.0).data for _ in range(4)]
    assert replies == [None, None, None, {"a": "x\ny"}]


def test_script_records_raises_and_runs_out() -> None:
    """The scripted model keeps what it was asked, raises what it is told, and never invents replies."""
    model = ScriptedChat([ModelUnavailable(UnavailableReason.CRASHED, "boom"), "fine"])
    with pytest.raises(ModelUnavailable, match="boom"):
        model.invoke([HumanMessage("one")])
    assert model.invoke([HumanMessage("two")], max_tokens=5).text == "fine"
    assert [messages[0].text for messages in model.seen] == ["one", "two"]
    assert model.settings[1]["max_tokens"] == 5
    with pytest.raises(AssertionError, match="call 3"):
        model.invoke([HumanMessage("three")])
