"""The command as a whole: everything listed exists and explains itself, and help comes fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from agent.cli import COMMANDS, main

HEAVY = (
    "pyod",
    "langgraph",
    "langchain_core",
    "llama_cpp",
    "qdrant_client",
    "fastapi",
    "sqlalchemy",
    "numba",
)


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _walk(found, (*path, name))


def test_help_lists_every_command() -> None:
    """What is registered is what a person sees, with its sentence."""
    result = CliRunner().invoke(main, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    for name, sentence in COMMANDS.items():
        assert name in result.output
        assert sentence in result.output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_and_subcommand_explains_itself(name: str) -> None:
    """Every listed command can be loaded, and its help is at least a sentence; options say what they do."""
    context = click.Context(main)
    top = main.get_command(context, name)
    assert top is not None
    for path, command in _walk(top, (name,)):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0, path
        words = (command.help or "").split()
        assert len(words) >= 4, path
        assert command.help is not None
        assert "." in command.help, path
        options = [one for one in command.params if isinstance(one, click.Option)]
        silent = [one.name for one in options if not one.help and not isinstance(one.type, click.Choice)]
        assert not silent, (path, silent)


def test_an_unknown_command_is_told_as_such() -> None:
    """No traceback for a misspelt command."""
    result = CliRunner().invoke(main, ["reply"])
    assert result.exit_code == 2
    assert "No such command 'reply'" in result.output


@pytest.mark.parametrize("arguments", [["--help"], ["eval", "rca", "--help"], ["bench", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """PyOD and LangGraph take seconds to import: help must not wait for them."""
    script = (
        "import sys\nfrom agent.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"
