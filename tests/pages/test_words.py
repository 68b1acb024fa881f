"""The texts of the pages: the same in both languages, and all of them used."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from string import Formatter

import pytest

from contracts.definitions.definition import Language
from services.pages import words as words_module
from services.pages.words import Words, sentence, texts, within

PAGES = Path(words_module.__file__).parent


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_gaps() -> None:
    english, danish = texts("en"), texts("da")

    assert list(english) == list(danish)
    assert {key: gaps(text) for key, text in english.items()} == {key: gaps(text) for key, text in danish.items()}
    assert all(text.strip() for text in (*english.values(), *danish.values()))


def test_no_text_is_left_over() -> None:
    # given every key that code and templates write out, and every beginning of one that they complete
    code = "\n".join(path.read_text("utf-8") for path in (*PAGES.rglob("*.py"), *PAGES.rglob("*.html")))
    whole = set(re.findall(r"[\"']([a-z_]+(?:\.[a-z_]+)*)[\"']", code))
    begun = tuple(set(re.findall(r"[\"']([a-z_]+(?:\.[a-z_]+)*\.)(?:\{|\")", code)))

    # when the texts are looked for among them
    def is_used(key: str) -> bool:
        return bool({key, key.removesuffix(".one"), key.removesuffix(".other")} & whole) or key.startswith(begun)

    # then each of them is used
    assert [key for key in texts("en") if not is_used(key)] == []


@pytest.mark.parametrize(
    ("value", "english", "danish"),
    [
        ("3", "3", "3"),
        ("3.50", "3.5", "3,5"),
        ("0.25", "0.25", "0,25"),
        ("100", "100", "100"),
        ("-4", "−4", "−4"),
        ("0", "0", "0"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(value: str, english: str, danish: str) -> None:
    assert Words("en").number(Decimal(value)) == english
    assert Words("da").number(Decimal(value)) == danish


@pytest.mark.parametrize(("language", "said"), [("en", "9 March 2026, 08:05"), ("da", "9. marts 2026 kl. 08.05")])
def test_moments_are_written_as_the_language_writes_them(language: Language, said: str) -> None:
    assert Words(language).moment(datetime(2026, 3, 9, 8, 5, tzinfo=UTC)) == said


@pytest.mark.parametrize(
    ("sessions", "english", "danish"),
    [
        ([4], "session 4", "session 4"),
        ([4, 5], "sessions 4 and 5", "session 4 og 5"),
        ([1, 2, 3, 4, 5, 6, 7, 9], "sessions 1–7 and 9", "session 1–7 og 9"),
    ],
)
def test_sessions_are_listed(sessions: list[int], english: str, danish: str) -> None:
    assert Words("en").sessions(sessions) == english
    assert Words("da").sessions(sessions) == danish


def test_a_sentence_begins_with_a_capital_and_a_title_within_one_does_not() -> None:
    assert sentence("session 3") == "Session 3"
    assert within("Life outside therapy") == "life outside therapy"
    assert within("CBT for two") == "CBT for two"
