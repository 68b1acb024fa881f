"""The words of the pages: texts by key, and how numbers, dates and lists are written in a language."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from contracts.definitions.definition import Language
from contracts.events.fields import Session

TEXTS: Final = Path(__file__).parent / "texts"
LONG_LIST: Final = 6


@cache
def texts(language: Language) -> Mapping[str, str]:
    """Give every text of a language by its key."""
    loaded: dict[str, str] = json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8"))
    return MappingProxyType(loaded)


class Words:
    """What is said on a page, in one language. Called with a key it gives the text, with its gaps filled."""

    def __init__(self, language: Language) -> None:
        """Speak `language`."""
        self.language: Language = language
        self._texts = texts(language)

    def __call__(self, key: str, **gaps: object) -> str:
        """Give a text; numbers in its gaps are written as the language writes them. Raises KeyError."""
        return self._texts[key].format(**{name: self._filled(gap) for name, gap in gaps.items()})

    def _filled(self, gap: object) -> str:
        if isinstance(gap, Decimal | int):
            return self.number(gap)
        if not isinstance(gap, str):
            raise TypeError("a gap is filled with words or a number")
        return gap

    def number(self, value: Decimal | int) -> str:
        """Write a number: without trailing zeros, with the decimal mark and the minus sign of print."""
        plain = f"{Decimal(value).normalize():f}"
        return plain.replace("-", "−").replace(".", self("decimal_mark"))

    def count(self, key: str, count: Decimal | int, **gaps: object) -> str:
        """Give the text for one or for several, as the number says."""
        return self(f"{key}.one" if count == 1 else f"{key}.other", count=count, **gaps)

    def spelled(self, count: int) -> str:
        """Write a small number as a word."""
        key = f"spelled.{count}"
        return self(key) if key in self._texts else self.number(count)

    def listed(self, parts: Sequence[str]) -> str:
        """Write a list: a, b and c."""
        if len(parts) <= 1:
            return "".join(parts)
        return self("list.and", before=", ".join(parts[:-1]), last=parts[-1])

    def quoted(self, text: str) -> str:
        """Put words in quotation marks."""
        return self("quote", text=text)

    def session(self, session: Session) -> str:
        """Name a session."""
        if isinstance(session, str):
            return self("session.individual", number=session.rpartition("-")[2])
        return self("session.before") if session == 0 else self("session", number=session)

    def sessions(self, sessions: Sequence[int]) -> str:
        """Name several counted sessions; long runs are shortened."""
        return self.count("sessions", len(sessions), listed=self.listed(self._numbered(sessions)))

    def _numbered(self, sessions: Sequence[int]) -> list[str]:
        if len(sessions) <= LONG_LIST:
            return [self.number(session) for session in sessions]
        runs: list[list[int]] = []
        for session in sessions:
            if runs and session == runs[-1][-1] + 1:
                runs[-1].append(session)
            else:
                runs.append([session])
        return [self.number(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]

    def day(self, moment: datetime) -> str:
        """Write a date."""
        return self("day", day=moment.day, month=self(f"month.{moment.month}"), year=str(moment.year))

    def moment(self, moment: datetime, *, to_the_second: bool = False) -> str:
        """Write a date with the time of day. to_the_second: where it is no whole minute."""
        mark = self("time_mark")
        seconds = f"{mark}{moment:%S}" if to_the_second and (moment.second or moment.microsecond) else ""
        return self("moment", day=self.day(moment), time=f"{moment:%H}{mark}{moment:%M}{seconds}")


def within(text: str) -> str:
    """Take a title into a sentence: without its capital, unless that belongs to an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]
