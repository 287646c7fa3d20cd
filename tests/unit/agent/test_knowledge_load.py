"""Reading runbooks: ours, anybody's Markdown, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.analysis import Mechanism, Risk, Severity
from agent.knowledge.load import LARGEST_FILE, RunbookError, RunbookFolderError, load_folder, parse_runbook
from agent.knowledge.runbook import Runbook, Section, SectionKind

OURS = """---
id: pool
title: A pool is exhausted
alerts: [PoolExhausted]
symptoms:
  - timeout waiting for connection
services: [database]
mechanisms: [pool_saturation, lock]
severity: critical
---

# A pool is exhausted

## Meaning

All connections are taken.

## Diagnosis

1. **Look** at the [pool](https://example.org/pool).

   **Risk:** read-only

   ```sh
   kubectl -n "$NAMESPACE" get pods
   kubectl -n "$NAMESPACE" top pods
   ```

2. Ask the database,
   and wait.

   **Risk:** read-only

This paragraph belongs to no step.

## Mitigation

1. Restart it.

   **Risk:** disruptive

   ```sh
   # not a heading
   kubectl rollout restart deployment/"$SERVICE"
   ```
"""


def parsed(text: str, path: str = "some/Book.md") -> Runbook:
    """Return the runbook in `text`, which must have nothing wrong with it."""
    runbook, problems = parse_runbook(text, path)
    assert problems == ()
    return runbook


def section(runbook: Runbook, kind: SectionKind) -> Section:
    """Return the only section of `kind`."""
    (found,) = (one for one in runbook.sections if one.kind is kind)
    return found


def test_front_matter_fields() -> None:
    """Every field of our front matter arrives typed."""
    runbook = parsed(OURS)
    assert (runbook.id, runbook.title, runbook.ours) == ("pool", "A pool is exhausted", True)
    assert runbook.alerts == ("PoolExhausted",)
    assert runbook.symptoms == ("timeout waiting for connection",)
    assert runbook.mechanisms == (Mechanism.POOL, Mechanism.LOCK)
    assert runbook.severity is Severity.CRITICAL
    assert [one.kind.value for one in runbook.sections] == ["meaning", "diagnosis", "mitigation"]


def test_steps_carry_text_command_risk_and_line() -> None:
    """A numbered item is a step; its text is plain, its fence the command, its risk as stated."""
    first, second = section(parsed(OURS), SectionKind.DIAGNOSIS).steps
    assert first.text == "Look at the pool."
    assert first.command == 'kubectl -n "$NAMESPACE" get pods\nkubectl -n "$NAMESPACE" top pods'
    assert (first.risk, first.risk_stated, first.number) == (Risk.READ_ONLY, True, 1)
    assert OURS.splitlines()[first.line - 1].startswith("1. **Look**")
    assert (second.text, second.command) == ("Ask the database, and wait.", None)


def test_hash_inside_a_fence_is_no_heading() -> None:
    """A shell comment does not cut a section."""
    (step,) = section(parsed(OURS), SectionKind.MITIGATION).steps
    assert step.command is not None
    assert step.command.startswith("# not a heading")


def test_plain_markdown_takes_title_and_id_from_heading_and_path() -> None:
    """A folder of anybody's Markdown needs no front matter."""
    runbook = parsed("# Disk is full\n\nIntro.\n\n## What to do\n\nClean up.\n", "host/DiskFull.md")
    assert (runbook.id, runbook.title, runbook.names) == ("host/DiskFull", "Disk is full", ("DiskFull",))
    assert not runbook.ours
    assert [(one.heading, one.kind) for one in runbook.sections] == [
        ("Disk is full", SectionKind.OTHER),
        ("What to do", SectionKind.MITIGATION),
    ]


def test_document_that_begins_with_a_section_keeps_it() -> None:
    """A first heading with siblings is a section, not the title."""
    runbook = parsed("## Meaning\n\nText.\n\n## Impact\n\nMore.\n", "a/Some.md")
    assert [one.heading for one in runbook.sections] == ["Meaning", "Impact"]
    assert (runbook.title, runbook.names) == ("Some", ())


def test_text_without_any_heading_is_one_section() -> None:
    """A note is a runbook as well."""
    runbook = parsed("Restart it and call Ann.", "note.md")
    assert [(one.heading, one.text) for one in runbook.sections] == [("note", "Restart it and call Ann.")]


def test_other_tools_front_matter_is_borne() -> None:
    """Hugo's keys mean nothing here and are no error in a plain runbook."""
    runbook = parsed(
        "---\ntitle: Node Down\nweight: 20\nseverity: page\n---\n# NodeDown\n\nText.\n", "NodeDown.md"
    )
    assert (runbook.title, runbook.names, runbook.severity) == ("Node Down", ("NodeDown",), None)


def test_commands_after_paragraphs_become_steps() -> None:
    """Without a list, each fence and the paragraph right before it make a step; output is left out."""
    text = (
        "# X\n\n## Diagnosis\n\nBackground.\n\nList the pods:\n\n"
        "```console\n$ kubectl get pods\nNAME READY\n```\n\n"
        "Then remove it.\n\n```shell\nkubectl delete pod x\n```\n"
    )
    first, second = section(parsed(text), SectionKind.DIAGNOSIS).steps
    assert (first.text, first.command, first.risk) == ("List the pods:", "kubectl get pods", Risk.READ_ONLY)
    assert (second.risk, second.risk_stated) == (Risk.DISRUPTIVE, False)


def test_bullets_with_commands_become_steps() -> None:
    """A bulleted list counts as steps when an item holds a command."""
    text = "# X\n\n## Mitigation\n\n- Look.\n- Restart:\n\n  ```sh\n  systemctl restart x\n  ```\n"
    steps = section(parsed(text), SectionKind.MITIGATION).steps
    assert [step.command for step in steps] == [None, "systemctl restart x"]


def test_step_without_command_or_risk_is_judged_by_its_place_and_words() -> None:
    """Looking is read-only; acting, or anything under mitigation, is not."""
    text = (
        "# X\n\n## Diagnosis\n\n1. Look at the graph.\n2. Restart a pod to see.\n\n"
        "## Mitigation\n\n1. Think.\n"
    )
    runbook = parsed(text)
    looks = section(runbook, SectionKind.DIAGNOSIS).steps
    assert [step.risk for step in looks] == [Risk.READ_ONLY, Risk.DISRUPTIVE]
    assert section(runbook, SectionKind.MITIGATION).steps[0].risk is Risk.DISRUPTIVE


def test_query_blocks_are_commands_that_read_and_data_blocks_are_none() -> None:
    """PromQL is worth showing as what to run; a YAML sample is not."""
    text = (
        "# X\n\n## Diagnosis\n\n1. Ask.\n\n   ```promql\n   up == 0\n   ```\n\n"
        "2. See.\n\n   ```yaml\n   a: 1\n   ```\n"
    )
    first, second = section(parsed(text), SectionKind.DIAGNOSIS).steps
    assert (first.command, first.risk) == ("up == 0", Risk.READ_ONLY)
    assert second.command is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("---\nid: x\ntitle: [a\n---\ntext", 3, "no YAML"),
        ("---\nid: x\n", 1, "never ends"),
        ("---\n- a\n---\ntext", 2, "key: value"),
        ("---\nid: x\nmechanisms: [cpu, gremlins]\n---\ntext", 3, "unknown mechanism `gremlins`: one of"),
        ("---\nid: x\nseverity: bad\n---\ntext", 3, "unknown severity `bad`: one of"),
        ("---\nid: x\nalerts: {a: b}\n---\ntext", 3, "must be a list of phrases"),
        ("---\nid: x\ntitle: [a, b]\n---\ntext", 3, "one value, not a list"),
        ("---\nid: x\n---\n\n", 4, "no text"),
    ],
)
def test_errors_name_file_and_line(text: str, line: int, message: str) -> None:
    """A broken file says where and what to do."""
    with pytest.raises(RunbookError) as caught:
        parse_runbook(text, "a/b.md")
    assert (caught.value.problem.path, caught.value.problem.line) == ("a/b.md", line)
    assert message in caught.value.problem.message
    assert str(caught.value).startswith(f"a/b.md:{line}: error: ")


def test_unclosed_fence_and_unknown_key_are_reported_but_borne() -> None:
    """The runbook is still there; the problem names the line and the nearest key."""
    runbook, problems = parse_runbook("---\nid: x\nsymptom: y\n---\nText.\n\n```sh\nls\n", "x.md")
    assert runbook.id == "x"
    assert [(problem.line, "close" in problem.message) for problem in problems[:1]] == [(7, True)]
    assert "did you mean `symptoms`?" in problems[1].message
    assert problems[1].line == 3


def test_folder_is_read_in_path_order_without_readme_and_hidden_files(tmp_path: Path) -> None:
    """What is no runbook is left out; the rest comes sorted."""
    for name in ("b/Two.md", "a/One.md", "README.md", ".git/No.md", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n\nText.\n")
    library = load_folder(tmp_path)
    assert [runbook.id for runbook in library.runbooks] == ["a/One", "b/Two"]
    assert library.problems == ()


def test_bad_files_do_not_take_the_good_ones_away(tmp_path: Path) -> None:
    """Not UTF-8, too large, a second file of the same id: each is reported, the good one stays."""
    (tmp_path / "a.md").write_text("---\nid: same\n---\nText.\n")
    (tmp_path / "b.md").write_text("---\nid: same\n---\nText.\n")
    (tmp_path / "c.md").write_bytes(b"fine\n\xff\xfe")
    (tmp_path / "d.md").write_text("x" * (LARGEST_FILE + 1))
    library = load_folder(tmp_path)
    assert [runbook.path for runbook in library.runbooks] == ["a.md"]
    found = {problem.path: (problem.line, problem.message) for problem in library.problems}
    assert found["b.md"][1].startswith("id `same` is taken by a.md")
    assert found["c.md"] == (2, "not UTF-8: save it as UTF-8")
    assert found["d.md"][1] == "larger than 1 MiB: split it"


def test_missing_folder_says_so(tmp_path: Path) -> None:
    """A wrong path is an error of its own."""
    with pytest.raises(RunbookFolderError, match="is no folder"):
        load_folder(tmp_path / "nowhere")


@settings(max_examples=300)
@given(st.text(alphabet=st.sampled_from("# -*1.`~\n>ab[]()$\t"), max_size=200))
def test_any_text_is_a_runbook(text: str) -> None:
    """No Markdown makes the parser fail; no step lies outside the document."""
    assume(text.split("\n")[0].strip() != "---")
    text += "\nx"
    runbook, _ = parse_runbook(text, "x.md")
    last = len(text.splitlines())
    assert all(1 <= step.line <= last for one in runbook.sections for step in one.steps)
    assert all(one.text for one in runbook.sections)
