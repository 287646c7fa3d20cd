"""Whatever breaks beside the statistics, the analysis arrives once and says what was missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.analysis import Analysis, Stage
from agent.app import parts
from agent.app.language import Language, open_language
from agent.app.service import publisher
from agent.deliver.announce import Announcer
from agent.deliver.decide import ChannelPolicy
from agent.deliver.outbox import RetryPolicy, Sender
from agent.deliver.webhook import WebhookChannel
from agent.investigate import Worker
from agent.settings import ModelSettings, Settings
from agent.store.port import IncidentQuery
from agent.store.sql import SqlStore
from ingest.record import SECOND
from models.llamacpp import LlamaCppChat
from models.registry import EMBEDDING_MODEL, SMALL_CHAT_MODEL, find_model
from tests.support.incidents import copied, replayed
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.weights import weights_home

SECRET = b"a shared secret"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a replayed recording whose investigation is due."""
    return replayed(tmp_path_factory.mktemp("replayed"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder with the small model and the embeddings linked into it."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    pulled = weights_home(SMALL_CHAT_MODEL, EMBEDDING_MODEL)
    for name in (SMALL_CHAT_MODEL, EMBEDDING_MODEL):
        (models / name).symlink_to(pulled / name)
    return models.parent


@pytest.fixture
def store(database: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """Return a store with one due investigation."""
    opened = copied(database, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """Return a webhook receiver on loopback."""
    with receiver() as running:
        yield running


def settings_with(home: Path, **model: Any) -> Settings:
    """Return settings that use the small model, changed as told."""
    known = {"name": SMALL_CHAT_MODEL, "deadline_seconds": 60.0, "prompt_tokens": 700}
    return Settings(home=home, model=ModelSettings(**{**known, **model}))


def investigated(
    store: SqlStore, settings: Settings, hook: Receiver, language: Language | None = None
) -> Analysis:
    """Run the due investigation, deliver what it says, and return its last analysis."""
    language = language or open_language(settings.model, parts.models_home(settings))
    index, _ = parts.runbook_index(settings)
    announcer = Announcer(store, [ChannelPolicy(channel="webhook:test", every=True)])
    investigation = parts.investigation(
        settings,
        reader=store,
        context=store,
        publish=publisher(store, announcer),
        language=language,
        index=index,
        versions=("test@1",),
        checkpointer=None,
    )
    worker = Worker(name="test", store=store, investigation=investigation)
    channel = WebhookChannel(name="test", url=hook.url, secret=SECRET, timeout_s=1.0)
    retry = RetryPolicy(first_wait=SECOND // 100, longest_wait=SECOND // 10)
    sender = Sender(store=store, channels=[channel], retry=retry)
    try:
        assert worker.step()
        _deliver(sender, store)
    finally:
        language.close()
        sender.close()
        if index is not None:
            index.close()
    incident = store.incidents(IncidentQuery(limit=10)).incidents[0]
    return store.analyses(incident.id)[-1]


def _deliver(sender: Sender, store: SqlStore) -> None:
    """Send until nothing waits any more."""
    for _ in range(200):
        sender.send_due(time.time_ns())
        if store.stats()["outbox_waiting"] == 0:
            return
        time.sleep(0.02)
    raise AssertionError("the outbox was not emptied")


def assert_said_once(hook: Receiver, analysis: Analysis) -> None:
    """Check that a receiver that looks at the delivery id saw each analysis once, the last being this."""
    ids = [request.headers["Idempotency-Key"] for request in hook.received]
    bodies = {request.headers["Idempotency-Key"]: request.body for request in hook.received}
    assert all(len({r.body for r in hook.received if r.headers["Idempotency-Key"] == i}) == 1 for i in ids)
    assert len(bodies) >= 1
    assert any(analysis.headline.encode()[:20] in body for body in bodies.values())


def test_a_missing_model_file_costs_the_words_only(store: SqlStore, home: Path, hook: Receiver) -> None:
    """Without the GGUF the statistics stand, and the provenance says what to do."""
    settings = settings_with(home, path=home / "nowhere.gguf")
    analysis = investigated(store, settings, hook)
    assert analysis.hypotheses[0].service == "payments"
    assert any("nowhere.gguf" in why for why in analysis.provenance.degraded)
    assert_said_once(hook, analysis)


def test_a_corrupt_model_file_is_refused_by_its_sum(store: SqlStore, home: Path, hook: Receiver) -> None:
    """A file with one flipped byte is not loaded; the analysis says that its sum is wrong."""
    entry = find_model(SMALL_CHAT_MODEL)
    good = home / "models" / entry.name / entry.files[0].name
    bad = home / good.name
    raw = bytearray(good.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    bad.write_bytes(raw)
    analysis = investigated(store, settings_with(home, path=bad), hook)
    assert any("language model: file_corrupt" in why for why in analysis.provenance.degraded)
    assert analysis.hypotheses[0].service == "payments"
    assert_said_once(hook, analysis)


def signalled(language: Language, number: int, times: int) -> threading.Thread:
    """Send a signal to the model's child as soon as it works on an answer, so many times."""
    assert isinstance(language.model, LlamaCppChat)
    supervisor = language.model._supervisor

    def strike() -> None:
        struck: set[int] = set()
        deadline = time.monotonic() + 90
        while len(struck) < times and time.monotonic() < deadline:
            pid = supervisor.pid
            if pid is not None and pid not in struck and supervisor.loaded is not None:
                time.sleep(0.3)
                os.kill(pid, number)
                struck.add(pid)
            time.sleep(0.02)

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    return thread


def test_a_child_killed_mid_answer_is_started_again(store: SqlStore, home: Path, hook: Receiver) -> None:
    """SIGKILL while the model answers costs one restart; the analysis arrives."""
    settings = settings_with(home)
    language = open_language(settings.model, parts.models_home(settings))
    striking = signalled(language, signal.SIGKILL, 1)
    analysis = investigated(store, settings, hook, language)
    striking.join()
    assert analysis.stage is Stage.EXPLAINED
    assert analysis.hypotheses[0].service == "payments"
    assert_said_once(hook, analysis)


def test_a_child_killed_again_and_again_is_given_up(store: SqlStore, home: Path, hook: Receiver) -> None:
    """A child that keeps dying degrades the analysis, which says that it crashed."""
    settings = settings_with(home)
    language = open_language(settings.model, parts.models_home(settings))
    signalled(language, signal.SIGKILL, 5)
    analysis = investigated(store, settings, hook, language)
    assert any(why.startswith("language model: crashed") for why in analysis.provenance.degraded)
    assert_said_once(hook, analysis)


def test_a_hanging_child_is_stopped_at_its_deadline(store: SqlStore, home: Path, hook: Receiver) -> None:
    """SIGSTOP while the model answers ends in a time-out that the analysis names."""
    settings = settings_with(home, deadline_seconds=8.0)
    language = open_language(settings.model, parts.models_home(settings))
    signalled(language, signal.SIGSTOP, 1)
    analysis = investigated(store, settings, hook, language)
    assert any(why.startswith("language model: timed_out") for why in analysis.provenance.degraded)
    assert_said_once(hook, analysis)


def test_a_locked_index_folder_is_answered_from_memory(store: SqlStore, home: Path, hook: Receiver) -> None:
    """While another process has the Qdrant folder, runbooks come from a copy in memory, and that is said."""
    holding = (
        "import sys; from agent.knowledge.index import open_index;"
        "index = open_index(sys.argv[1], None); print(flush=True); input()"
    )
    command = [sys.executable, "-c", holding, str(home / "qdrant")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        analysis = investigated(store, settings_with(home, kind="none"), hook)
        other.communicate(b"\n")
    assert analysis.remediation
    assert any("runbook" in why.lower() or "index" in why.lower() for why in analysis.provenance.degraded)
    assert_said_once(hook, analysis)


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(hang=True)])
def test_a_webhook_that_fails_is_tried_again_with_the_same_id(
    store: SqlStore, home: Path, hook: Receiver, answer: Answer
) -> None:
    """A receiver that fails twice gets the same delivery again; one that looks at the id sees one."""
    hook.answers = [answer, answer, Answer()]
    analysis = investigated(store, settings_with(home, kind="none"), hook)
    attempts = Counter(request.headers["Idempotency-Key"] for request in hook.received)
    assert sorted(attempts.values()) == [3]
    assert_said_once(hook, analysis)
