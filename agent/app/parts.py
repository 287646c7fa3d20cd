"""Builds every stage from settings: the only place where adapters are constructed.

Functions, not a container: each takes what it needs and returns one part, so that tests and commands can
build as much of the service as they want.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from agent.analysis import Analysis, Stage
from agent.app.language import Language, TokenBudget
from agent.halves import DetectHalf, IngestHalf
from agent.incidents import Correlator, Policy
from agent.investigate import (
    Budget,
    Gather,
    Hypothesise,
    IndexSteps,
    Investigation,
    Nodes,
    Retrieve,
    Write,
)
from agent.investigate.gather import TelemetryReader
from agent.investigate.write import Context
from agent.knowledge.index import open_index
from agent.knowledge.load import load_folder
from agent.knowledge.port import IndexUnavailable, RunbookIndex
from agent.knowledge.shipped import shipped_runbooks
from agent.mutes import Mute
from agent.pipeline import Pipeline
from agent.serve.otlp import otlp_topics
from agent.settings import IncidentSettings, RetrainingSettings, Settings
from agent.store.sql import SqlStore
from agent.topology import Topology
from detectors.retraining import HOUR, Rules
from detectors.suite import Suite, default_detectors
from detectors.versions import Versions
from ingest.decode import Choice, Decode
from ingest.events import TopicDefaults
from ingest.merged import MergedWindows
from ingest.minutes import Minutes
from ingest.record import SECOND
from ingest.redaction import Redactor
from ingest.templates import Templates
from ingest.windows import Windows
from models.embeddings import MiniLmEmbeddings
from models.prompts import find_prompt, load_prompts
from models.registry import EMBEDDING_MODEL

log = structlog.get_logger(__name__)

PROMPT = "explain@1"
NO_INDEX = "runbooks: no index is configured"
ALERTS_TOPIC = "http.alertmanager"
"""Topic of records that came over HTTP, so that they have an origin like all others."""


def models_home(settings: Settings) -> Path:
    """Return the folder of model weights."""
    return settings.home_folder / "models"


def store(settings: Settings) -> SqlStore:
    """Open and migrate the store."""
    settings.home_folder.mkdir(parents=True, exist_ok=True)
    return SqlStore(settings.database_url)


def redaction_key(settings: Settings) -> bytes:
    """Return the key of redaction's hashes: the setting, else one made on first start and kept in `home`."""
    given = settings.redaction_key.get_secret_value()
    if given:
        return hashlib.blake2b(given.encode()).digest()
    path = settings.home_folder / "redaction.key"
    if settings.role == "ingest":
        log.warning(
            "redaction.own_key",
            key=str(path),
            next="what it hides looks otherwise where another home is used; set one redaction_key for all",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(32).encode())
        # Whole or not at all, and the first process wins.
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
    return path.read_bytes()


def topics(settings: Settings) -> dict[str, TopicDefaults]:
    """Return how each topic's records are read; recordings are flat JSON."""
    read = {
        topic.name: TopicDefaults(
            format=topic.format,
            environment=topic.environment,
            service=topic.service,
            time_field=topic.time_field,
            time_zone=topic.time_zone,
        )
        for topic in settings.kafka.topics
    }
    return {
        "^recording\\..*": TopicDefaults(format="json"),
        ALERTS_TOPIC: TopicDefaults(format="alertmanager"),
        **otlp_topics(),
        **read,
    }


def tell_choice(choice: Choice) -> None:
    """Say once for each topic and format what `auto` took its records for, and why."""
    log.info(
        "decode.recognised",
        topic=choice.topic,
        format=choice.format,
        why=choice.why,
        first=str(choice.first),
        hint=f"to fix it, set the topic's format to {choice.format}",
    )


def pipeline(settings: Settings, key: bytes) -> Callable[[], Pipeline]:
    """Return a maker of fresh pipelines, or of the half that the role says; each has its own state."""
    decode = Decode(topics(settings), tell_choice)

    def windows(*, whole: bool) -> Windows:
        return Windows(
            Templates(),
            width=settings.windows.width * SECOND,
            lateness=settings.windows.lateness * SECOND,
            idle=settings.windows.idle * SECOND,
            whole=whole,
        )

    def ingest_half() -> Pipeline:
        return IngestHalf(
            owner=settings.owner, decode=decode, redactor=Redactor(key), windows=windows(whole=False)
        )

    def build() -> Pipeline:
        detectors = default_detectors(
            alarms_a_day=settings.detectors.alarms_a_day, horizon=settings.detectors.horizon * SECOND
        )
        versions = Versions(detectors, rules(settings.retraining))
        stages: dict[str, Any] = {
            "decode": decode,
            "redactor": Redactor(key),
            "suite": Suite(versions.detectors),
            "correlator": Correlator(policy(settings.incidents)),
            "topology": Topology(everywhere=settings.edges),
            "minutes": Minutes(),
            "models": versions,
            "shadow": settings.detectors.shadow,
        }
        if settings.role == "detect":
            width, idle = settings.windows.width * SECOND, settings.windows.idle * SECOND
            return DetectHalf(merged=MergedWindows(Templates(), width=width, idle=idle), **stages)
        return Pipeline(windows=windows(whole=True), **stages)

    return ingest_half if settings.role == "ingest" else build


def configured_mutes(settings: Settings) -> tuple[Mute, ...]:
    """Return the maintenance windows and mutes that stand in the settings."""
    return tuple(one.named() for one in (*settings.maintenance, *settings.mutes))


def policy(incidents: IncidentSettings) -> Policy:
    """Return the correlation policy that the settings say."""
    return Policy(
        join_within=incidents.join_within * SECOND,
        pair_within=incidents.pair_within * SECOND,
        strong=incidents.strong,
        resolve_after=incidents.resolve_after * SECOND,
        reopen_within=incidents.reopen_within * SECOND,
        first_analysis_after=incidents.first_analysis_after * SECOND,
        analysis_every=incidents.analysis_every * SECOND,
    )


def rules(retraining: RetrainingSettings) -> Rules:
    """Return the rules of retraining that the settings say."""
    return Rules(
        automatic=retraining.automatic,
        span=round(retraining.span_hours * HOUR),
        distance=retraining.distance,
        share=retraining.share,
        drifted_spans=retraining.drifted_spans,
        flagged=retraining.flagged,
        flagged_spans=retraining.flagged_spans,
        shadow=round(retraining.shadow_hours * HOUR),
        pause=round(retraining.pause_hours * HOUR),
    )


def runbook_index(settings: Settings) -> tuple[RunbookIndex | None, str | None]:
    """Return the runbook index brought up to date, or None and why not."""
    knowledge = settings.knowledge
    location = knowledge.qdrant or str(settings.home_folder / "qdrant")
    embeddings = MiniLmEmbeddings.from_home(models_home(settings)) if knowledge.embeddings else None
    folders = [*([shipped_runbooks()] if knowledge.shipped else []), *knowledge.runbooks]
    try:
        index = open_index(
            location,
            embeddings,
            embedding_model=EMBEDDING_MODEL if embeddings else "",
            copy_when_locked=True,
        )
        libraries = [load_folder(folder) for folder in folders]
        synced = index.sync([runbook for library in libraries for runbook in library.runbooks])
    except IndexUnavailable as error:
        log.warning("runbooks.unavailable", cause=str(error))
        return None, f"runbooks: {error}"
    for problem in (problem for library in libraries for problem in library.problems if problem.fatal):
        log.warning("runbooks.problem", where=f"{problem.path}:{problem.line}", cause=problem.message)
    log.info("runbooks.indexed", added=synced.added, removed=synced.removed, unchanged=synced.unchanged)
    return index, None


@contextmanager
def checkpointer(settings: Settings) -> Iterator[BaseCheckpointSaver[Any]]:
    """Open where investigations are checkpointed: beside the SQLite database, or in PostgreSQL."""
    url = settings.database_url
    if url.startswith("sqlite"):
        path = settings.home_folder / "investigations.db"
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        try:
            saver = SqliteSaver(connection)
            saver.setup()
            yield saver
        finally:
            connection.close()
        return
    plain = "postgresql" + url[url.index("://") :]
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    # A pool that checks: a database that was away does not end checkpointing for good.
    with ConnectionPool[Connection[dict[str, Any]]](
        plain, min_size=1, max_size=4, kwargs=options, check=ConnectionPool.check_connection
    ) as pool:
        postgres = PostgresSaver(pool)
        postgres.setup()
        yield postgres


def investigation(
    settings: Settings,
    *,
    reader: TelemetryReader,
    context: Context,
    publish: Callable[[Analysis], None],
    language: Language,
    index: RunbookIndex | None,
    no_index: str | None = None,
    versions: tuple[str, ...],
    checkpointer: BaseCheckpointSaver[Any] | None,
) -> Investigation:
    """Return the investigation graph with all its nodes."""
    # Whatever the environment says, prompts are not sent to a tracing service: no data leaves the house.
    os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"
    budget = TokenBudget(settings.model.tokens_per_day, time.time_ns)
    hypothesise = None
    if language.model is not None:
        hypothesise = Hypothesise(
            model=language.model,
            prompt=find_prompt(PROMPT, load_prompts()),
            budget=Budget(
                prompt_tokens=settings.model.prompt_tokens,
                answer_tokens=settings.model.answer_tokens,
                deadline=settings.model.deadline_seconds,
            ),
            count=language.count,
            allowed=budget.ask,
        )

    def write(stage: Stage) -> Write:
        return Write(stage=stage, context=context, publish=publish, clock=time.time, detectors=versions)

    nodes = Nodes(
        gather=Gather(reader, settings.edges),
        retrieve=Retrieve(IndexSteps(index)) if index is not None else Retrieve(None, no_index or NO_INDEX),
        state_facts=write(Stage.STATISTICS),
        hypothesise=hypothesise,
        write=write(Stage.EXPLAINED),
    )
    return Investigation(nodes, clock=time.time, checkpointer=checkpointer)
