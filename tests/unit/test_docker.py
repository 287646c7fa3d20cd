"""The images and the compose file, as far as they can be judged without pulling an image."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from agent.cli import main
from agent.settings import Settings, flattened, load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.cuda"]
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def _environment_names() -> set[str]:
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    return {line.split("=", 1)[0] for line in lines if line and not line.startswith("#")}


def _ignored(path: str) -> bool:
    """Apply .dockerignore: the last pattern that matches the path or a folder above it decides."""
    parts = path.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    ignored = False
    for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatch(prefix, pattern) for prefix in prefixes):
            ignored = not line.startswith("!")
    return ignored


def _tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is missing: install the development requirements again (make test does)"
    return found


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    """Hadolint, from the locked development tools, has no complaint of any level."""
    hadolint = _tool("hadolint")
    run = subprocess.run(
        [hadolint, "--no-color", str(dockerfile)], capture_output=True, text=True, check=False
    )
    assert run.stdout + run.stderr == ""
    assert run.returncode == 0


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_final_stage_is_not_root_and_checks_itself(dockerfile: Path) -> None:
    """The last stage runs as a numbered user, has a health check, and starts Faultline with a config."""
    steps = _instructions(dockerfile)
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    final = dict(steps[last:])
    assert final["USER"].isdigit()
    assert int(final["USER"]) > 0
    assert "/healthz" in final["HEALTHCHECK"]
    assert final["ENTRYPOINT"] == '["faultline"]'
    assert "org.opencontainers.image.licenses" in final["LABEL"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_base_images_are_pinned_to_a_version(dockerfile: Path) -> None:
    """Each base names a version, never `latest`."""
    bases = [rest.split()[0] for name, rest in _instructions(dockerfile) if name == "FROM"]
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+", base) for base in bases)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_copied_paths_exist_and_reach_the_build(dockerfile: Path) -> None:
    """What a Dockerfile copies from the repository is there and not held back by .dockerignore."""
    for name, rest in _instructions(dockerfile):
        if name != "COPY" or "--from" in rest:
            continue
        for source in rest.split()[:-1]:
            assert (REPOSITORY / source).exists(), source
            assert not _ignored(source), source


def test_dockerignore_keeps_the_rest_out() -> None:
    """Tests, recordings, environments and version control are no part of an image."""
    assert all(_ignored(path) for path in (".venv/bin", ".git/config", "tests/conftest.py", "docker/.env"))


def test_every_package_of_the_wheel_is_copied() -> None:
    """A package that pyproject.toml ships is copied into both builds."""
    packages = re.search(r"^packages = \[(.*)\]$", (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages
    for dockerfile in DOCKERFILES:
        copied = {rest.split()[0] for name, rest in _instructions(dockerfile) if name == "COPY"}
        assert {package.strip(' "') for package in packages[1].split(",")} | {"runbooks"} <= copied


def test_compose_follows_the_compose_specification() -> None:
    """The published schema, as check-jsonschema carries it, accepts the file."""
    command = [
        _tool("check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        str(DOCKER / "compose.yaml"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_compose_services_are_complete() -> None:
    """Every service has a pinned image, a health check with limits, and only named volumes that exist."""
    compose = _compose()
    for name, service in compose["services"].items():
        assert ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name
        check = service["healthcheck"]
        assert check == {"disable": True} or {"test", "interval", "timeout", "retries"} <= set(check), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port} to everyone"


def test_compose_waits_for_what_it_needs() -> None:
    """Faultline starts after healthy servers and fetched models; every condition is one of compose's."""
    services = _compose()["services"]
    needs = services["faultline"]["depends_on"]
    assert set(needs) == {"kafka", "postgres", "qdrant", "models"}
    assert {need["condition"] for need in needs.values()} <= CONDITIONS
    assert needs["models"]["condition"] == "service_completed_successfully"
    for name, need in needs.items():
        if need["condition"] == "service_healthy":
            assert "test" in services[name]["healthcheck"]


def test_compose_variables_are_explained() -> None:
    """A variable without a default stands in .env.example, and secrets have no default."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    wanted = dict(re.findall(r"\$\{(\w+)(:[-?][^}]*)?\}", text))
    without_default = {name for name, rest in wanted.items() if not rest.startswith(":-")}
    assert without_default <= _environment_names()
    assert {"POSTGRES_PASSWORD", "FAULTLINE_HTTP__API_KEY"} <= without_default


def test_compose_build_names_an_existing_dockerfile() -> None:
    """The default Dockerfile lies below the build context."""
    build = _compose()["services"]["faultline"]["build"]
    default = re.fullmatch(r"\$\{DOCKERFILE:-(.+)\}", build["dockerfile"])
    assert default
    assert (DOCKER / build["context"] / default[1]).resolve() == DOCKERFILES[0]


def test_mounted_configuration_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped configuration, with the variables that compose sets, becomes these settings."""
    for name, value in _compose()["services"]["faultline"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]+\}", "secret", value))
    settings = load_settings(DOCKER / "faultline.yaml")
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.database_url.startswith("postgresql://faultline:secret@postgres")
    assert settings.http.port == 8321


def test_mounted_configuration_passes_the_check_with_a_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`faultline config check` accepts the file, shows no secret, and without the key names the variable."""
    check = ["config", "check", str(DOCKER / "faultline.yaml")]
    monkeypatch.delenv("FAULTLINE_HTTP__API_KEY", raising=False)
    refused = CliRunner().invoke(main, check)
    assert refused.exit_code == 1
    assert "set FAULTLINE_HTTP__API_KEY" in refused.output
    for name, value in _compose()["services"]["faultline"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]+\}", "open sesame", value))
    accepted = CliRunner().invoke(main, check)
    assert accepted.exit_code == 0, accepted.output
    assert "is usable" in accepted.output
    assert "open sesame" not in accepted.output


@pytest.mark.parametrize(
    "name", ["compose.yaml", ".env.example", "faultline.yaml", "Dockerfile", "Dockerfile.cuda"]
)
def test_variables_of_faultline_are_settings(name: str) -> None:
    """What is called `FAULTLINE_…` names a setting: others, once exported, Faultline refuses."""
    known = {dotted.upper().replace(".", "__") for dotted, _, _ in flattened(Settings.model_construct())}
    said = set(re.findall(r"\bFAULTLINE_([A-Z0-9_]+)", (DOCKER / name).read_text(encoding="utf-8")))
    assert said
    assert said <= known


def test_qdrant_server_matches_the_client() -> None:
    """Qdrant promises compatibility between equal minor versions only."""
    image = _compose()["services"]["qdrant"]["image"]
    server = re.search(r":-v(\d+\.\d+)\.", image)
    assert server
    assert server[1] == ".".join(version("qdrant-client").split(".")[:2])
