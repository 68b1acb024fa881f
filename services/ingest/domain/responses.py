"""The responses of a case as they stand now: what was answered, with the corrections and withdrawals since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events.event import Data, Event
from contracts.events.facts import ResponseCorrected, ResponseSubmitted, ResponseWithdrawn
from services.ingest.domain.register import occasion_of

Change = ResponseCorrected | ResponseWithdrawn


@dataclass(frozen=True, slots=True)
class Standing:
    """A response as it stands.

    id: of the fact that recorded it; said: what was answered first
    answers, comment: those that hold; of a withdrawn one, the last that did
    changed: when it was answered, corrected or withdrawn last; recorded: when OnTrack learned of that
    """

    id: str
    said: ResponseSubmitted
    answers: Mapping[str, int]
    comment: str | None
    changed: datetime
    recorded: datetime
    is_corrected: bool = False
    is_withdrawn: bool = False

    def after(self, change: Event[Change]) -> "Standing":
        """Give the response as it stands after a change; a withdrawn one changes no more."""
        if self.is_withdrawn:
            return self
        changed = replace(self, changed=change.time, recorded=change.recordedtime)
        match change.data:
            case ResponseWithdrawn():
                return replace(changed, is_withdrawn=True)
            case ResponseCorrected(answers=answers, comment=comment):
                return replace(changed, answers=answers, comment=comment, is_corrected=True)


def standing(facts: Iterable[Event[Data]]) -> list[Standing]:
    """Give the responses of a case, in the order in which they were recorded; `facts` are all of the case.

    As scoring takes them: an occasion has one answer, the first; a change that came before its response waits for it.
    """
    found: dict[str, Standing] = {}
    answered: dict[str, str] = {}
    waiting: dict[str, list[Event[Change]]] = defaultdict(list)
    seen: set[str] = set()
    for fact in facts:
        if fact.id in seen:
            continue
        seen.add(fact.id)
        match fact.data:
            case ResponseSubmitted() as said if occasion_of(said) not in answered:
                answered[occasion_of(said)] = fact.id
                found[fact.id] = Standing(
                    fact.id, said, said.answers, said.comment, said.answered_at, fact.recordedtime
                )
                changes = waiting.pop(fact.id, [])
            case ResponseCorrected(response=response_id) | ResponseWithdrawn(response=response_id):
                if response_id not in found:
                    waiting[response_id].append(fact)  # type: ignore[arg-type] # its data is a change
                    continue
                changes = [fact]  # type: ignore[list-item] # its data is a change
            case _:
                continue
        for change in changes:
            response = found[change.data.response] = found[change.data.response].after(change)
            if response.is_withdrawn:
                answered = {occasion: by for occasion, by in answered.items() if by != response.id}
    return list(found.values())
