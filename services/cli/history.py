"""What the log says of one case: its facts and what was concluded from them, in order, each once."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from contracts.codec import CaseKey, decode
from contracts.events.event import Data, Event
from contracts.topics import CASES, NOTICES, TRACKS, Topic
from services.cli.home import FINDING, Failure
from services.cli.output import progress
from services.home import Home
from services.runtime.reading import chunks


async def history(home: Home, case_id: str) -> list[Event[Data]]:
    """Give the events of a case; what was told of it stands right after what it followed from. Raises Failure."""
    key = (await home.keyring.keys([case_id])).get(case_id)
    if key is None:
        raise Failure(f"{case_id}: the key of this case is not here; name the file that has it: --keys FILE")
    if not isinstance(key, CaseKey):
        raise Failure(f"{case_id}: this case was erased; nothing that was known of it can be read any more")
    partition = home.partition(case_id)
    total = await home.log.end(TRACKS, partition) + await home.log.end(NOTICES, partition)
    with progress("Reading the log", total) as advance:
        course = await _events(home, TRACKS, case_id, key, advance)
        return _interleaved(course, await _events(home, NOTICES, case_id, key, advance))


def is_fact(event: Event[Data]) -> bool:
    """Tell a fact, which happened in the world, from what was concluded."""
    return isinstance(event.data, CASES.events)


async def _events(
    home: Home, topic: Topic, case_id: str, key: CaseKey, advance: Callable[[int], None]
) -> list[Event[Data]]:
    found: dict[int, Event[Data]] = {}
    async for chunk in chunks(home.log, topic, home.partition(case_id)):
        for record in chunk:
            if record.key == case_id:
                event = decode(record.value, topic, key)
                if not isinstance(event, Event) or event.sequence is None:
                    where = f"{topic.name}, partition {home.partition(case_id)}, offset {record.offset}"
                    raise Failure(f"{where}: an event of this case was expected, and it cannot be read", FINDING)
                found.setdefault(event.sequence, event)
        advance(len(chunk))
    return [found[sequence] for sequence in sorted(found)]


def _interleaved(course: Sequence[Event[Data]], told: Sequence[Event[Data]]) -> list[Event[Data]]:
    """Put what was told after what it followed from; what followed from nothing that is here stands last."""
    following: dict[str | None, list[Event[Data]]] = defaultdict(list)
    known = {event.id for event in course}
    for event in told:
        if event.id in known:
            continue
        following[event.causationid if event.causationid in known else None].append(event)
    return [each for event in course for each in (event, *following[event.id])] + following[None]
