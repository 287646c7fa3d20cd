"""Mutes over HTTP: asked for, listed, lifted; what cannot be taken mutes nothing and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.mutes import Mute, MuteKind, mute
from agent.store.sql import SqlStore
from ingest.record import SECOND
from tests.support import samples, served

URL = "/api/v1/mutes"
NOW = served.T0 + 300 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Return an empty store."""
    opened = served.open_store(tmp_path)
    yield opened
    opened.close()


def asked(**fields: Any) -> dict[str, Any]:
    """Return a request for maintenance of `cart`; None leaves a field out."""
    body = {
        "kind": "maintenance",
        "until": "2h",
        "reason": "new disks",
        "author": "ana",
        "services": ["cart"],
    }
    return {name: value for name, value in {**body, **fields}.items() if value is not None}


def configured() -> Mute:
    """Return a mute that stands in the settings."""
    return mute(
        kind=MuteKind.MUTE,
        starts=served.T0,
        ends=NOW + 60 * SECOND,
        reason="a bot",
        author="the configuration",
        now=served.T0,
        subject="tpl_1",
    )


def test_a_mute_is_stored_listed_and_lifted(store: SqlStore) -> None:
    """What is asked for is what is kept; lifting needs a name and ends it now."""
    client = served.client(store)
    made = client.post(URL, json=asked())
    assert made.status_code == 201
    told = made.json()
    assert (told["active"], told["services"], told["configured"]) == (True, ["cart"], False)
    assert client.get(URL).json()["mutes"] == [told]
    (kept,) = store.mutes(NOW)
    assert (kept.id, kept.ends) == (told["id"], NOW + 7200 * SECOND)

    assert client.delete(f"{URL}/{kept.id}").status_code == 422
    gone = client.delete(f"{URL}/{kept.id}", params={"author": "bo"})
    assert (gone.status_code, gone.json()["lifted_by"], gone.json()["active"]) == (200, "bo", False)
    assert client.get(URL).json()["mutes"] == []
    assert len(client.get(URL, params={"ended": True}).json()["mutes"]) == 1
    again = client.delete(f"{URL}/{kept.id}", params={"author": "bo"})
    assert again.status_code == 409
    assert "nothing to lift" in again.json()["detail"]
    assert client.delete(f"{URL}/mu_none", params={"author": "bo"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"reason": None}, "reason"),
        ({"until": None}, "until"),
        ({"author": ""}, "say who asks"),
        ({"until": "for ever"}, "give 45m, 2h, 3d"),
        ({"until": "91d"}, "more than 90 days"),
        ({"services": None}, "name an environment or services"),
        ({"service": "cart"}, "unknown field `service`"),
        ({"kind": "silence"}, "silence"),
        ({"kind": "mute"}, "name what to mute"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_muted(
    store: SqlStore, fields: dict[str, Any], says: str
) -> None:
    """A problem document says that nothing was muted, and what to give."""
    answer = served.client(store).post(URL, json=asked(**fields))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert detail.startswith("Nothing was muted: ")
    assert says in detail
    assert store.mutes(0) == ()


def test_bodies_of_pages_elsewhere_and_large_ones_are_refused(store: SqlStore) -> None:
    """A form cannot mute, nor can a megabyte, nor bytes that are no text."""
    client = served.client(store)
    binary = client.post(URL, content=b'{"reason": "\xff"}', headers={"Content-Type": "application/json"})
    assert (binary.status_code, "no UTF-8" in binary.json()["detail"]) == (400, True)
    plain = client.post(URL, content=b"{}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    large = client.post(URL, json=asked(reason="x" * 100_000))
    assert (large.status_code, "64 KiB" in large.json()["detail"]) == (413, True)


def test_mutes_of_the_settings_are_shown_and_changed_there(store: SqlStore) -> None:
    """They are in the list, marked, and cannot be lifted over HTTP."""
    one = configured()
    client = served.client(store, configured=(one,))
    (shown,) = client.get(URL).json()["mutes"]
    assert (shown["id"], shown["configured"]) == (one.id, True)
    refused = client.delete(f"{URL}/{one.id}", params={"author": "bo"})
    assert refused.status_code == 409
    assert "settings" in refused.json()["detail"]


def test_pages_say_what_is_quiet(store: SqlStore) -> None:
    """The list names the mutes in force, an incident that it is covered; all of it escaped."""
    served.fill(store)
    client = served.client(store, configured=(configured(),))
    client.post(URL, json=asked(reason="<b>disks</b>"))
    epoch = store.take_over("stream").epoch
    muted = replace(samples.incident(), muted_by=("maintenance mu_1",), revision=99)
    store.checkpoint(samples.checkpoint(epoch, incidents=(muted,)))
    listed = client.get("/incidents").text
    assert "Maintenance until" in listed
    assert "services cart" in listed
    assert "&lt;b&gt;disks" in listed
    assert "subject tpl_1" in listed
    assert "in maintenance" in listed
    page = client.get(f"/incidents/{muted.id}").text
    assert "Nobody is paged" in page
    assert "in maintenance" in page
