"""How the things that events speak of are called on a screen, and which words and answers may stand there."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from contracts.definitions.definition import without_hash
from contracts.definitions.guidance import Guidance
from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, ResponseSubmitted
from contracts.events.fields import Session
from contracts.events.scores import ScaleValue
from services.cli.screen import harmless
from services.pages.words import Words, sentence

WORDS: Final = Words("en")
ID_SHOWN: Final = 8
_ABBREVIATED: Final = re.compile(r"(?:\(|^)([A-Z][A-Z0-9-]+)\b")


class Naming:
    """Names for one case. With `reveal`, answers and the words of persons are told too."""

    def __init__(self, events: Iterable[Event[Data]], definitions: Catalogue, *, reveal: bool) -> None:
        """Learn from the events what later ones refer to."""
        self._definitions = definitions
        self.reveal = reveal
        self._responses: dict[str, ResponseSubmitted] = {}
        self._guidance: Guidance | None = None
        for event in events:
            match event.data:
                case ResponseSubmitted() as response:
                    self._responses[event.id] = response
                case CaseEnrolled(protocol=protocol):
                    self._guidance = definitions.guidance(definitions.protocol(protocol).guidance)

    def session(self, session: Session) -> str:
        """Name a session."""
        return WORDS.session(session)

    def number(self, value: Decimal) -> str:
        """Write a number."""
        return WORDS.number(value)

    def short(self, ref: str) -> str:
        """Name a definition without its hash."""
        return without_hash(ref)

    def report(self, report: str) -> str:
        """Name a report, or a notice."""
        return report[:ID_SHOWN]

    def instrument(self, ref: str) -> str:
        """Name an instrument shortly: ODSIS by the abbreviation in its title, or else Life events by its id."""
        instrument = self._definitions.instrument(ref)
        abbreviated = _ABBREVIATED.search(instrument.title.en)
        return abbreviated[1] if abbreviated else sentence(instrument.id.replace("-", " "))

    def response(self, response: str) -> tuple[str, str]:
        """Name an earlier response by its session and instrument; give its instrument too."""
        known = self._responses.get(response)
        if known is None:
            return "a response that is not known", ""
        return f"{self.session(known.session)}: {self.instrument(known.instrument)}", known.instrument

    def need(self, need: str) -> str:
        """Name a need."""
        needs = self._guidance.needs if self._guidance is not None else ()
        return next((known.title.en for known in needs if known.id == need), need)

    def action(self, action: str) -> str:
        """Name an action."""
        actions = self._guidance.actions if self._guidance is not None else ()
        return next((known.title.en for known in actions if known.id == action), action)

    def scale(self, instrument_ref: str, value: ScaleValue) -> str:
        """Write a score with its scale and range."""
        instrument = self._definitions.instrument(instrument_ref)
        scale = instrument.scale(value.scale)
        if scale is None:
            raise DefinitionMissing(f"{instrument_ref}/{value.scale}")
        if value.value is None:
            return f"{scale.label.en} not valid: too many items missing"
        return f"{scale.label.en} {ranged(value.value, *instrument.bounds(scale))}"

    def answers(self, instrument_ref: str, answers: Mapping[str, int]) -> str:
        """Tell answers item by item, if they may be told."""
        if not self.reveal or not answers:
            return ""
        items = self._definitions.instrument(instrument_ref).items if instrument_ref else ()
        labels = {item.id: item.label.en for item in items}
        return "; " + ", ".join(f"{labels.get(item, item)} {value}" for item, value in answers.items())

    def comment(self, words: str | None) -> str:
        """Tell a comment; where it may not be told, that there is one."""
        if not words:
            return ""
        return f"; comment{self.revealed(words)}" if self.reveal else ", with a comment"

    def revealed(self, words: str | None) -> str:
        """Tell a person's words, if they may be told."""
        return f": {WORDS.quoted(harmless(words))}" if words and self.reveal else ""


def ranged(value: Decimal, lowest: Decimal, highest: Decimal) -> str:
    """Write a score beside the range of its scale: 12 of 20, or 3.25 (1–7)."""
    if lowest == 0:
        return f"{WORDS.number(value)} of {WORDS.number(highest)}"
    return f"{WORDS.number(value)} ({WORDS.number(lowest)}–{WORDS.number(highest)})"
