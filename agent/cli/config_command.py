"""`faultline config`: what can be set, and whether a file sets it well."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from agent.settings import Settings, SettingsError, flattened, load_settings, without_secrets


@click.group()
def command() -> None:
    """Check a configuration, or print every setting with its default."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Read PATH with the environment on top and print what results, secrets hidden."""
    try:
        settings = load_settings(path)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(yaml.safe_dump(_plain(without_secrets(settings.model_dump())), sort_keys=False), nl=False)
    click.echo(f"# {path} is usable")


@command.command()
def reference() -> None:
    """Print every setting: name, default, meaning."""
    for name, value, meaning in flattened(Settings.model_construct()):
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        click.echo(f"{name} = {shown!r}")
        if meaning:
            click.echo(f"    {meaning}")


def _plain(value: object) -> object:
    """Return `value` as YAML's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
