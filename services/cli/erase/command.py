"""`ontrack erase`: a case erased for ever, and what remains of it."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from getpass import getuser
from pathlib import Path
from typing import Final

import click

from contracts.codec import CaseKey, Unreadable, encode
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import CaseErased
from contracts.events.fields import is_name
from contracts.events.notices import ReportIssued
from contracts.topics import CASES, NOTICES, SCORES, TRACKS
from services.cli.backup.file import master_key_of
from services.cli.erase.copies import (
    Erased,
    Met,
    about,
    about_to_go,
    left_of,
    left_open,
    pages_taken_out,
    require_gone,
    without_gone,
)
from services.cli.erase.files import backups_taken_out, given, keys_taken_out, remove_unfinished_of
from services.cli.erase.outside import Origins, changed, left_behind, left_by_killed, outside, taken_over
from services.cli.grounds import GROUNDS
from services.cli.home import FINDING, Failure, run
from services.cli.naming_cases import any_case_named, told_erased
from services.cli.output import Format, counted, emit, format_option, progress, say
from services.cli.place import Place, Region, data_option, opened
from services.cli.scratch import sweep_all
from services.cli.screen import painted, wrapped
from services.home import Home
from services.ingest.cases import KeyMissing
from services.ingest.intake import Request
from services.runtime.copies.port import Copies, Copy
from services.runtime.directory.port import composed
from services.runtime.erasures import Erasure, is_erasure
from services.runtime.export import is_sealed
from services.runtime.faults import PartitionLost, StageStopped
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import Record
from services.runtime.reading import chunks, event_of
from services.runtime.store.port import StatesLost
from services.runtime.unavailable import Unavailable

_COLUMNS: Final = ("what", "is", "says")
_OF_CASES: Final = (CASES, SCORES, TRACKS, NOTICES)


@dataclass(frozen=True, slots=True)
class Search:
    """Where copies are besides those that are known.

    others: backups, files of keys; closed: where some may be and nobody can look; gone: where none are any more
    origins: which other homes have noted some of those that are known
    """

    others: Sequence[Path]
    closed: Sequence[Met]
    gone: Sequence[Path]
    origins: Origins


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be told and asked before a case is erased.

    is_new: whether nobody has begun yet; outside: the files that are changed outside the place of the home
    unsaid: files that other homes have noted, by home, of which nobody has said yet whose they are now
    """

    is_new: bool
    outside: Sequence[str]
    unsaid: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Done:
    """What was done.

    is_new: whether the case had not been erased before; events: how many stay on the log, sealed
    unsealed: what stays there and is not, as far as is known, in words
    removed: what was there of it in the home, in words
    """

    case_id: str
    erasure: Erasure | None
    is_new: bool
    events: int
    unsealed: Sequence[str]
    removed: Sequence[str]
    copies: Sequence[Met]

    @property
    def reached_all(self) -> bool:
        """Whether every copy that is known could be reached, and nothing may be readable on the log."""
        return not self.unsealed and all(met.fate != "remains" for met in self.copies)


@click.command("erase")
@click.argument("number", metavar="CASE")
@data_option
@click.option("--ground", type=click.Choice(list(GROUNDS)), required=True, help="Why. It is recorded, for ever.")
@click.option("--by", metavar="NAME", help="Who erases it, as a short name; whoever is logged in, if none is named.")
@click.option(
    "--backups",
    "others",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A backup, or a file of keys, that was moved or copied since, or a directory with some; more than once.",
)
@click.option(
    "--gone",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A copy that was deleted, or a directory: what is missing there was; HOST:PATH elsewhere. More than once.",
)
@click.option(
    "--moved-from",
    "moved",
    metavar="DIR",
    multiple=True,
    help="This data was moved or restored from there: what was made of it there is its own. More than once.",
)
@click.option(
    "--copied-from",
    "copied",
    metavar="DIR",
    multiple=True,
    help="This data is a copy, and that there goes on: what was made of it there is left alone. More than once.",
)
@click.option("--confirm", metavar="CASE", help="Name CASE once more, where nobody can be asked to type it.")
@format_option
def erase(
    number: str,
    place: Place,
    ground: str,
    by: str | None,
    others: tuple[Path, ...],
    gone: tuple[Path, ...],
    moved: tuple[str, ...],
    copied: tuple[str, ...],
    confirm: str | None,
    form: Format,
) -> None:
    """Erase a case for ever: destroy its key, remove what is known of it, and list what remains.

    CASE is its number at the clinic, or its id. From then on nothing of it can be read anywhere, here and in the
    backups that are known; all other cases are as they were. It cannot be undone, so the files that it changes outside
    of DIR are named, and CASE is to be typed once more. One that was broken off is finished by the same command. The
    exit code is 1 if a copy could not be reached, or was left alone.

    A directory that was copied, moved or restored knows the copies that were made before. Which of these it is has to
    be said then; until then nothing is changed, here or there. That it was moved or restored is said once, that it is a
    copy at each erasure.

    Grounds: asked-for (the patient asked for it), no-longer-needed (kept for as long as it may be),
    recorded-by-mistake, ordered (by a court or an authority).

    Example: ontrack erase P0001 --ground asked-for --data ./clinic
    """
    who = by or _logged_in()
    if not is_name(who):
        raise Failure(f"--by: a short name of letters a to z, digits and . _ : - was expected, not {who!r}")
    if confirm not in (None, number):
        raise Failure(f"--confirm: {number} once more was expected")
    search = Search(*given(others), gone, Origins.given(moved, copied))
    can_be_asked = confirm is None and sys.stdin.isatty()
    plan = run(_planned(number, place, search))
    for home, files in plan.unsaid.items():
        search = replace(search, origins=_asked_whose(home, files, search.origins, can_be_asked=can_be_asked))
    if plan.is_new and confirm is None:
        _ask(number, run(_planned(number, place, search)).outside, place, can_be_asked=can_be_asked)
    done = run(_erase(number, place, CaseErased(ground=ground, by=who), search))
    _tell(done, number, place, form)
    if not done.reached_all:
        raise SystemExit(FINDING)


def _logged_in() -> str:
    """Give the name of whoever is logged in. Raises Failure: in a container nobody may have one."""
    try:
        return getuser()
    except (KeyError, OSError):
        raise Failure("--by: the name of whoever erases the case was expected, since this user has none") from None


async def _planned(number: str, place: Place, search: Search) -> Plan:
    async with await opened(place) as home:
        case_id = await _case_named(home, number)
        erased = await _erased(home, case_id, place)
        noted = await home.copies.all()
        require_gone(search.gone, noted)
        known, unsaid = without_gone(noted, search.gone), search.origins.unsaid(erased, noted)
        own = [copy for copy in search.origins.reached(known) if copy.home not in unsaid]
        files = changed(erased, own, search.origins.others(search.others, known))
        return Plan(await _is_yet_to_be(home, case_id), outside(files, place), unsaid)


async def _case_named(home: Home, name: str) -> str:
    """Find the case that is meant. Raises Failure.

    Where it cannot be read any more who a case is, a number alone could be that one's in another clinic.
    """
    case_id = await any_case_named(home, name)
    persons = await home.people.persons()
    kept = {person.case_id async for person in home.people.sealed()} - persons.keys()
    keys = await home.keyring.keys(kept)
    nobody = {each for each in kept - {case_id} if not isinstance(keys.get(each), Destroyed)}
    if nobody and case_id in persons and composed(name) == composed(persons[case_id].number):
        raise Failure(
            f"{name}: of {counted(len(nobody), 'case')} it cannot be read any more who they are, so this number could "
            "be that of another clinic's. Name the one that is meant: "
            f"{name}@{persons[case_id].clinic}, or an id ({', '.join(sorted(nobody))}); nothing was erased"
        )
    return case_id


async def _erased(home: Home, case_id: str, place: Place) -> Erased:
    """Describe the case that is erased, with its reports, as long as they can be read."""
    master, reports = MasterKey.read(master_key_of(place)), await _reports(home, case_id)
    return Erased(case_id, home.log_id, home.copies.home, master, home.clock(), reports)


async def _is_yet_to_be(home: Home, case_id: str) -> bool:
    """Tell whether nobody has begun to erase a case. The log knows it before the register does."""
    return await home.erasure(case_id) is None and not await home.is_erased(case_id)


async def _erase(number: str, place: Place, data: CaseErased, search: Search) -> Done:
    async with await opened(place, write=True) as home:
        case_id = await _case_named(home, number)
        if unsaid := search.origins.unsaid(await _erased(home, case_id, place), await home.copies.all()):
            raise Failure(_whose(next(iter(unsaid))))
        await taken_over(home.copies, search.origins, home.clock())
        removed, is_new = await _to_remove(home, case_id), await _is_yet_to_be(home, case_id)
        if is_new:
            await _record(home, case_id, data)
        elif await home.erasure(case_id) is None:
            # Its key is destroyed already, as after a restore of a backup that was written anew without the case.
            await _record_openly(home, _said(home, case_id, data))
        await _catch_up(home)
        erasure, met = await home.erasure(case_id), await _taken_out(home, await _erased(home, case_id, place), search)
        met += [] if isinstance(place, Region) else left_by_killed(place)
        # Last: as long as it stands there, whoever asks is told that this is to be given again.
        await home.forget_person(case_id)
        events, unsealed = await _on_the_log(home, case_id)
        return Done(case_id, erasure, is_new, events, unsealed, removed, met)


async def _taken_out(home: Home, erased: Erased, search: Search) -> list[Met]:
    """Take a case out of a home, and of every copy that can be reached; tell of each."""
    for page in about_to_go(erased, search.origins.reached(await home.copies.all())):
        await home.copies.note(page)
    noted = await home.copies.all()
    sweep_all()
    remove_unfinished_of(search.origins.reached(noted))
    known = without_gone(noted, search.gone)
    copies, others = search.origins.reached(known), search.origins.others(search.others, known)
    met = [*search.origins.left_alone(about(erased.case_id, known)), *pages_taken_out(erased, copies)]
    # Which pages are of the case is known only now.
    for page in left_of(met):
        await home.copies.note(page)
    await home.forget(erased.case_id)
    # What is made of it was noted before it was read, and from now on nobody can read it.
    known_by_now = {*noted, *left_of(met)}
    since = [copy for copy in search.origins.reached(await home.copies.all()) if copy not in known_by_now]
    met += pages_taken_out(erased, since)
    copies = [*copies, *since]
    met += [*keys_taken_out(erased, copies, others), *left_open(erased, copies)]
    met += [*await backups_taken_out(erased, copies, others, left_of(met)), *search.closed]
    met += await left_behind(erased, copies)
    gone = [copy for copy in noted if copy not in known]
    await _know(home.copies, met, gone, [copy for copy in (*noted, *since) if copy.case == erased.case_id])
    return met


async def _know(copies: Copies, met: Sequence[Met], gone: Sequence[Copy], of_case: Sequence[Copy]) -> None:
    """Know from now on where copies were found, and those of the case alone as far as they may be left."""
    left = left_of(met)
    kept, moved = {copy.name for copy in left}, [each.was for each in met if each.was is not None]
    found = [each.copy for each in met if each.copy is not None]
    await copies.forget(
        [*gone, *moved, *(copy for copy in of_case if copy.name not in kept)],
        instead=[copy for copy in found if copy.case is None or copy in left],
    )


def _asked_whose(home: str, files: Sequence[str], origins: Origins, *, can_be_asked: bool) -> Origins:
    """Let somebody say what this home is to another one that has noted files. Raises Failure."""
    say(f"Noted by another home, {home}:")
    _name(files)
    if not can_be_asked:
        raise Failure(_whose(home))
    match click.prompt(_TYPE, default="", show_default=False, err=True):
        case "moved":
            return origins.with_moved(home)
        case "copied":
            return origins.with_copied(home)
        case _:
            raise Failure("neither was typed; nothing was erased")


_TYPE: Final = (
    "Type moved if this home was moved or restored from there, or copied if it is a copy and that one goes on"
)


def _whose(home: str) -> str:
    return (
        f"another home has noted copies that lie here, {home}. If this one was moved or restored from there, and that "
        f"one is no more, say so by --moved-from {home}: then the case is taken out of them too. If this one is a copy "
        f"and that one goes on, say so at each erasure, by --copied-from {home}: then they are left alone. Nothing "
        "was erased"
    )


def _name(files: Sequence[str]) -> None:
    for file in files:
        say(f"  {file}")


def _ask(number: str, files: Sequence[str], place: Place, *, can_be_asked: bool) -> None:
    """Let somebody say once more what is meant, who has been told what is changed. Raises Failure."""
    say(f"{number} will be erased. Nobody can undo that: neither you nor a backup.")
    if files:
        say(f"Files {f'outside {place} ' if isinstance(place, Path) else ''}that are removed or written anew:")
        _name(files)
    if not can_be_asked:
        raise Failure(f"nobody can be asked here: name the case once more by --confirm {number}")
    typed = click.prompt("Type its number once more to erase it", default="", show_default=False, err=True)
    if typed != number:
        raise Failure("this was another one; nothing was erased")


async def _record(home: Home, case_id: str, data: CaseErased) -> None:
    """Record that a case is erased: from then on nothing more is taken of it. Raises Failure."""
    fact = _said(home, case_id, data)
    try:
        [taken] = await home.intake.take([Request([fact], came=fact.time)])
    except KeyMissing:
        await _record_openly(home, fact)
        return
    if isinstance(taken, Unavailable):
        raise taken
    if taken.refused:
        _, refusal = taken.refused[0]
        raise Failure(f"{case_id}: {refusal.field}: {refusal.expected} was expected; nothing was erased")


def _said(home: Home, case_id: str, data: CaseErased) -> Event[Data]:
    return new_fact(
        data,
        case_id=case_id,
        fact_id=fact_id("ontrack", "erase", case_id),
        source="urn:ontrack:erase",
        happened=home.clock(),
    )


async def _record_openly(home: Home, fact: Event[Data]) -> None:
    """Record that a case is erased where nobody can seal it: without a key, what stands open is believed."""
    await home.intake.take_over([Record(fact.subject, encode(fact._replace(recordedtime=fact.time)))])


async def _catch_up(home: Home) -> None:
    """Let the stages read that the case was erased; what one has not come to by then, it will pass over."""
    try:
        await home.catch_up()
    except (StageStopped, PartitionLost) as stopped:
        say(f"A stage does not get on, which is no obstacle: {stopped}")
    with progress("The services go on", None) as advance:
        await home.settle(advance)


async def _reports(home: Home, case_id: str) -> Collection[str] | None:
    """Give the ids of the reports of a case, as long as it can be read; None if nobody can tell them.

    By the log: what is known of them is lost while that is made anew, or where it was damaged.
    """
    key = (await home.keyring.keys([case_id])).get(case_id)
    if not isinstance(key, CaseKey):
        return None if key is None else ()
    found = set[str]()
    async for records in chunks(home.log, NOTICES, home.partition(case_id)):
        for event in (event_of(record, NOTICES, key) for record in records if record.key == case_id):
            if isinstance(event, Unreadable):
                return None
            if isinstance(event.data, ReportIssued):
                found.add(event.data.report)
    return found


async def _to_remove(home: Home, case_id: str) -> Sequence[str]:
    """Say what there is of a case: of one whose erasing was broken off, or that was erased before, not all of it."""
    has_key = isinstance((await home.keyring.keys([case_id])).get(case_id), CaseKey)
    is_named = case_id in {person.case_id async for person in home.people.sealed()}
    try:
        has_state = any([case_id in await home.store.load(stage.name, [case_id]) for stage in home.every_stage])
    except StatesLost:
        has_state = True
    # Who it is goes last: as long as that is there, mails can wait, though no state is left.
    there = {_KEY: has_key, _KNOWN: has_state or is_named, _PERSON: is_named}
    return [what for what, is_there in there.items() if is_there]


async def _on_the_log(home: Home, case_id: str) -> tuple[int, Sequence[str]]:
    """Count the events of a case that stand on the log, sealed, and tell of what may stand there in the open."""
    sealed, number, unsealed = 0, home.partition(case_id), list[str]()
    for topic in _OF_CASES:
        async for records in chunks(home.log, topic, number):
            for record in records:
                if record.key != case_id:
                    continue
                if is_sealed(record, topic) or is_erasure(record.value):
                    sealed += 1
                else:
                    unsealed.append(f"{topic.name}, partition {number}, offset {record.offset}: {_UNSEALED}")
    return sealed, unsealed


def _tell(done: Done, number: str, place: Place, form: Format) -> None:
    told = {
        "removed": (done.removed, [met.says for met in done.copies if met.fate == "removed"]),
        "remains": (_remaining(done, place), []),
        "not reached": (done.unsealed, [met.says for met in done.copies if met.fate == "remains"]),
    }
    if form != "table":
        of_case = [{"what": "case", "is": fate, "says": says} for fate, (case, _) in told.items() for says in case]
        of_copies = [{"what": "copy", "is": fate, "says": says} for fate, (_, each) in told.items() for says in each]
        emit([*of_case, *of_copies], _COLUMNS, form)
        return
    again = "" if done.is_new else " It was erased before; what was left to be done is done now."
    name = number if number == done.case_id else f"{number}, case {done.case_id}"
    for line in wrapped(told_erased(name, done.erasure) + again):
        click.echo(painted(line, bold=True))
    for fate, (of_the_case, copies) in told.items():
        if of_the_case or copies:
            click.echo("")
            click.echo(painted(_TITLES[fate], bold=True))
        for says in of_the_case:
            for line in wrapped(says, first="  - ", rest="    "):
                click.echo(line)
        # Paths are not broken, so that they can be copied.
        for says in copies:
            click.echo(f"  - {says}")


_TITLES: Final = {"removed": "Removed", "remains": "What remains", "not reached": "Not reached: see to it by hand"}
_KEY: Final = "its key, for ever"
_KNOWN: Final = "all that the services knew of it: answers, scores, statuses, reports, and what was to be sent"
_PERSON: Final = "who it was, in the directory"
_SEALED: Final = (
    "on the log, sealed: nobody can open them. In the open are the id of the case, the kinds of its events and their "
    "times, and that it was erased: when, by whom, and on what ground"
)
_UNSEALED: Final = (
    "what stands there is no event that this version knows to be sealed, so it may be readable on the log. It came "
    "past ingest, or from a later version: find out from whom"
)
_ID: Final = (
    "its id, and that its key was destroyed, so that nothing more is taken of it. Whoever has the master key and the "
    "patient's number can tell that they belong together"
)
_DISK: Final = "what the disk keeps of deleted files, and snapshots of it, until they are written over"
_DATABASE: Final = (
    "what the database keeps of what was deleted, the key wrapped by the master key with it: its journal, freed pages "
    "and snapshots, until they are written over"
)
_MAILS: Final = "mails that were sent: that a report is waiting, and nothing of the patient"
_HANDED_ON: Final = (
    "what was handed on, where nothing here reaches: files of answers that were imported, exports, printed reports, "
    "keys that others keep, data that were restored or imported elsewhere, and copies of the data or of backups that "
    "were made by other means"
)


def _remaining(done: Done, place: Place) -> Sequence[str]:
    """Say in plain words what is left, and what OnTrack cannot reach."""
    kept = _DATABASE if isinstance(place, Region) else _DISK
    return f"{counted(done.events, 'event')} {_SEALED}", _ID, kept, _MAILS, _HANDED_ON
