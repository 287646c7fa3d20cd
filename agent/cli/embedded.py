"""The embedded replay behind `faultline replay` and the demo: play, investigate, tell, show."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from agent.app import parts
from agent.app.language import UnknownModelError, open_language, weights_of
from agent.app.replay import Played, Player, investigate_all, played
from agent.app.service import publisher
from agent.deliver.announce import Announcer
from agent.deliver.terminal import render
from agent.investigate import Worker
from agent.settings import Settings, SettingsError, load_settings
from agent.store.sql import SqlStore
from ingest.deadletter import FileDeadLetters
from ingest.recordings import Recording, RecordingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """One replay with nothing but this process: SQLite, Qdrant's local mode, llama.cpp in a child."""

    recording: Path
    speed: float | None
    config: Path | None
    no_model: bool
    page: Path | None
    serve: bool

    def run(self, console: Console) -> None:
        """Play, investigate, print every analysis; then serve or write the page if asked to."""
        try:
            settings = self._settings()
            recording = Recording(self.recording)
            weights_of(settings.model, parts.models_home(settings))
        except (SettingsError, RecordingError, UnknownModelError) as error:
            raise click.ClickException(str(error)) from error
        folder = Path(tempfile.mkdtemp(prefix="faultline-replay-"))
        try:
            store = SqlStore(f"sqlite:///{folder / 'replay.db'}")
            try:
                found = self._found(settings, recording, store, folder)
                self._tell(found, console)
                self._show(settings, store, found, console)
            finally:
                store.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _settings(self) -> Settings:
        settings = load_settings(self.config)
        if self.no_model:
            quiet = settings.model.model_copy(update={"kind": "none"})
            return settings.model_copy(update={"model": quiet})
        return settings

    def _found(self, settings: Settings, recording: Recording, store: SqlStore, folder: Path) -> Played:
        language = open_language(settings.model, parts.models_home(settings))
        language.warm()
        index, missing = parts.runbook_index(settings)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        try:
            with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task(f"replaying {recording.id}")
                pipeline = parts.pipeline(settings, parts.redaction_key(settings))()
                player = Player(
                    recording=recording,
                    pipeline=pipeline,
                    store=store,
                    dead_letters=FileDeadLetters(folder / "dead-letters.jsonl"),
                    speed=self.speed,
                    on_progress=lambda _, n: progress.update(
                        task, description=f"replaying {recording.id}: {n} records"
                    ),
                )
                player.play()
                progress.update(task, description="investigating")
                investigation = parts.investigation(
                    settings,
                    reader=store,
                    context=store,
                    publish=publisher(store, Announcer(store, ())),
                    language=language,
                    index=index,
                    no_index=missing,
                    versions=pipeline.versions(),
                    checkpointer=None,
                )
                investigate_all(Worker(name="replay", store=store, investigation=investigation))
            return played(store, player)
        finally:
            language.close()
            if index is not None:
                index.close()

    def _tell(self, found: Played, console: Console) -> None:
        console.print(
            f"{found.records} records replayed, {found.refused} refused, {len(found.incidents)} incidents"
        )
        analyses = {analysis.incident_id: analysis for analysis in found.analyses}
        for incident in found.incidents:
            analysis = analyses.get(incident.id)
            if analysis is not None:
                render(incident, analysis, console)
        if not found.incidents:
            console.print("Nothing in this recording opened an incident.")

    def _show(self, settings: Settings, store: SqlStore, found: Played, console: Console) -> None:
        shown = next((i for i in found.incidents if i.id in {a.incident_id for a in found.analyses}), None)
        if shown is None or not (self.serve or self.page):
            return
        from agent.serve import page_file, serve_pages

        if self.serve and sys.stdout.isatty() and self.page is None:
            serve_pages(settings.http.host, settings.http.port, store, shown.id, console)
            return
        path = self.page or Path(f"faultline-{shown.id}.html")
        path.write_text(page_file(store, shown.id, now=time.time_ns()), encoding="utf-8")
        console.print(f"incident page: {path.resolve().as_uri()}")
