"""Words for the sparse half of the search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.knowledge.tokens import document_weights, query_weights, term_id, tokens


def test_identifiers_are_kept_whole_and_taken_apart() -> None:
    """Camel case, snake case and dots meet prose and stay searchable as names."""
    assert tokens("KubePodCrashLooping") == ["kubepodcrashlooping", "kub", "pod", "crash", "loop"]
    assert tokens("max_connections")[0] == "max_connections"
    assert {"http", "server", "duration"} & set(tokens("http.server.duration"))
    assert "etcdhttprequestsslow" in tokens("etcdHTTPRequestsSlow")


@pytest.mark.parametrize(
    "forms",
    [
        ("fill", "fills", "filled", "filling"),
        ("restart", "restarts", "restarted", "restarting"),
        ("query", "queries"),
        ("timeout", "timeouts"),
        ("synchronise", "synchronised", "synchronising"),
        ("connect", "connects", "connected", "connecting"),
        ("throttle", "throttled", "throttling"),
    ],
)
def test_endings_do_not_part_words(forms: tuple[str, ...]) -> None:
    """Forms of a word have one stem."""
    assert len({tuple(tokens(form)) for form in forms}) == 1


def test_unlike_words_stay_apart() -> None:
    """Stemming is light: it does not merge what means another thing."""
    words = ["disk", "dish", "lock", "log", "cpu", "class", "process", "status", "bus", "2xx", "500", "503"]
    assert len({tuple(tokens(word)) for word in words}) == len(words)


def test_noise_is_left_out() -> None:
    """Stop words, template placeholders and single characters carry nothing."""
    assert tokens("The {{ $labels.instance }} of a b is") == []


@given(st.text(max_size=500))
def test_any_text_gives_ids_in_range(text: str) -> None:
    """Whatever a log holds: ids fit 32 bits, weights are positive, and the result repeats."""
    weights = document_weights(((text, 2.0), ("fixed words", 1.0)))
    assert all(0 <= key < 2**32 and value > 0 for key, value in weights.items())
    assert weights == document_weights(((text, 2.0), ("fixed words", 1.0)))
    assert set(query_weights(text)) <= set(weights)


def test_names_weigh_more_and_repetition_saturates() -> None:
    """A word in a weighted field counts more; the tenth mention adds less than the second."""
    heavy = document_weights((("alpha", 2.0), ("beta", 1.0)))
    assert heavy[term_id("alpha")] > heavy[term_id("beta")]
    one, two, ten, eleven = (
        document_weights((("gamma " * n, 1.0),))[term_id("gamma")] for n in (1, 2, 10, 11)
    )
    assert one < two < ten < eleven
    assert two - one > eleven - ten


def test_long_texts_are_cut() -> None:
    """A query of a megabyte costs as much as one of 20,000 characters."""
    assert len(tokens("word " * 200_000)) == 4_000
    assert max(map(len, tokens("a1" * 5_000))) == 64
