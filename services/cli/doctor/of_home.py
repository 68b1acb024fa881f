"""What is checked of every home: that everything is read, and that what was recorded goes where it should."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.codec import CaseKey
from contracts.definitions.definition import without_hash
from contracts.definitions.files import named_by
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.topics import CASES
from services.cli.dead_letters import letters_of
from services.cli.doctor.checked import LOOK_AGAIN, SKEW, Check, Checked, are, ill, recorded, well
from services.cli.doctor.of_roster import roster_is_whole
from services.cli.doctor.of_seals import seals_are_signed
from services.cli.doctor.of_states import log_is_whole, states_are_readable
from services.cli.mail_settings import SMTP_HOST
from services.cli.notice_events import GAVE_UP, in_words, whereabouts
from services.cli.output import counted
from services.cli.sealing import Sealing
from services.home import Home
from services.mailer.domain.mailbag import is_too_late
from services.mailer.domain.whereabouts import IN_HAND, Whereabouts
from services.runtime.erasures import erasures
from services.runtime.faults import RECORDS_BACK
from services.runtime.keyring.port import Destroyed
from services.runtime.roster.port import Clinic
from services.runtime.store.sealed import StateUnreadable

LATELY: Final = timedelta(days=7)
"""What failed longer ago is known by now."""

_AT_ONCE: Final = 1_000
SOON: Final = timedelta(minutes=10)
"""A mail that waits for longer than this does not go out."""


def of_home(home: Home, *, sends_mail: bool, sealing: Sealing) -> Sequence[Check]:
    """Give the checks of a home that can be opened. sends_mail: whether it is meant to send any."""
    return [
        Check("log", lambda: log_is_whole(home)),
        Check("progress", lambda: _progress(home)),
        Check("states", lambda: states_are_readable(home)),
        Check("cases", lambda: _halted(home)),
        Check("keys", lambda: _keys(home)),
        Check("dead letters", lambda: _dead_letters(home)),
        Check("roster", lambda: roster_is_whole(home)),
        Check("definitions", lambda: _definitions(home)),
        Check("clock", lambda: _clock(home)),
        Check("mail", lambda: _mail(home, sends_mail=sends_mail)),
        Check("seals", lambda: seals_are_signed(home, sealing)),
    ]


async def _progress(home: Home) -> Checked:
    """Check that what was recorded is processed: that no stage stands still where something waits."""
    before = await home.waiting(home.stages)
    if before:
        await asyncio.sleep(LOOK_AGAIN)
    after = await home.waiting(home.stages) if before else before
    stuck = Counter[str]()
    for place, waits in after.items():
        if place in before and before[place].position == waits.position:
            stuck[place.stage] += waits.events
    if stuck:
        told = ", ".join(f"{number:,} for {stage.replace('_', '-')}" for stage, number in stuck.items())
        return ill(
            "progress",
            f"events wait, and nothing happens with them: {told}",
            "see whether it runs (ontrack up; in a region ontrack serve), and what it says at /ready",
        )
    number = sum(waits.events for waits in after.values())
    return well("progress", f"{are(number, 'event')} waiting, and worked on" if number else "nothing waits")


async def _keys(home: Home) -> Checked:
    """Check that every case has its key and is somebody, and that of those whose key was destroyed nothing is known."""
    lost, left, cases = 0, set[str](), [case_id async for case_id in home.store.cases(home.register.name)]
    for start in range(0, len(cases), _AT_ONCE):
        some = cases[start : start + _AT_ONCE]
        keys = await home.keyring.keys(some)
        lost += len(set(some) - keys.keys())
        left |= {case_id for case_id, key in keys.items() if isinstance(key, Destroyed)}
    destroyed = {case_id async for case_id, wrapped in home.keyring.wrapped() if wrapped is None}
    # Asked after the keys: a case is said to be erased before its key goes.
    erased = await erasures(home.log, home.keyring)
    taken, nobody = left - erased.keys(), await _nobody(home)
    unfinished = sorted({*await home.unfinished(erased), *left} - taken)
    unsaid = sorted(destroyed - erased.keys() - taken)
    if lost or taken or nobody or unfinished or unsaid:
        what = [f"{are(lost, 'case')} without a key that can be used: nothing of them can be read"] if lost else []
        if taken:
            what.append(
                f"{are(len(taken), 'case')} there with a destroyed key, though not erased: nothing of them can be read"
            )
        if nobody:
            what.append(f"of {counted(nobody, 'case')} it cannot be read any more who they are")
        do = ["restore the last backup that has the keys, into an empty place: ontrack restore"] if what else []
        if unfinished:
            what.append(f"erasing {counted(len(unfinished), 'case')} was begun and is not finished")
            do.append(f"give ontrack erase again, unless it still runs: {', '.join(unfinished)}")
        if unsaid:
            what.append(
                f"the key of {counted(len(unsaid), 'case')} is destroyed, and the log does not say that it was erased"
            )
            do.append(f"if they were, ontrack erase says so there: {', '.join(unsaid)}")
        return ill("keys", "; ".join(what), "; ".join(do))
    return well("keys", f"{are(len(cases), 'case')} there, each with its key")


async def _nobody(home: Home) -> int:
    """Count the cases of which it was kept who they are, and cannot be read."""
    kept = {person.case_id async for person in home.people.sealed()} - (await home.people.persons()).keys()
    return sum(1 for key in (await home.keyring.keys(kept)).values() if isinstance(key, CaseKey))


async def _halted(home: Home) -> Checked:
    reasons = Counter(each.reason for each in await home.halted())
    if not reasons:
        return well("cases", "none is halted")
    why = "; ".join(f"{number}: {reason}" for reason, number in reasons.most_common(3))
    return ill(
        "cases",
        f"{counted(reasons.total(), 'case')} cannot go on ({why})",
        "ontrack halted list names them; they go on when the cause is gone, or by ontrack halted resume",
    )


async def _dead_letters(home: Home) -> Checked:
    found = Counter(letter.status for letter in await letters_of(home))
    left = found.total() - found["redriven"]
    if not left:
        return well("dead letters", "every fact could be read")
    return ill(
        "dead letters",
        f"{counted(left, 'fact')} could not be read",
        "ontrack dlq list says where and why; ontrack dlq redrive takes those in that can be read by now",
    )


async def _definitions(home: Home) -> Checked:
    """Check that what clinics enrol their cases with is on the log, and what cases and definitions stand on."""
    known = home.definitions
    missing = [
        f"{clinic.clinic} names {without_hash(ref)}"
        for clinic in await home.roster.all(Clinic)
        for ref in (clinic.protocol, clinic.policy)
        if ref is not None and ref not in known
    ]
    if missing:
        return ill(
            "definitions",
            f"not on the log: {'; '.join(missing)}",
            "enter the clinic with definitions that are there; ontrack definitions list names them",
        )
    named = {without_hash(ref): number for ref, number in (await _named_by_cases(home)).items() if ref not in known}
    gone = [f"{name} (by {counted(number, 'case')})" for name, number in sorted(named.items())]
    gone += [
        f"{without_hash(ref)} (by {without_hash(entry.ref)})"
        for entry in known
        for ref in named_by(entry.body)
        if ref not in known
    ]
    if gone:
        return ill("definitions", f"gone from the log, though named: {'; '.join(gone)}", RECORDS_BACK)
    number = sum(1 for kind in (Protocol, Policy) for _ in known.of_kind(kind))
    return well("definitions", f"{number} protocols and policies are on the log, and clinics and cases name no others")


async def _named_by_cases(home: Home) -> Counter[str]:
    """Count the cases that stand on each protocol and each policy."""
    try:
        return Counter(
            [
                ref
                async for _, case in home.states(home.register)
                if not case.erased
                for ref in (case.protocol, case.policy)
                if ref is not None
            ]
        )
    except StateUnreadable:
        # That is a finding of its own.
        return Counter()


async def _clock(home: Home) -> Checked:
    """Compare this machine's clock with the times at which facts were recorded."""
    ends = await home.log.ends(CASES, range(CASES.partitions))
    latest = [await recorded(home.log, partition, end - 1) for partition, end in ends.items() if end]
    newest = max((each for each in latest if each is not None), default=None)
    now = datetime.now(UTC)
    if newest is not None and newest - now > SKEW:
        ahead = (newest - now).total_seconds()
        says = f"the newest fact was recorded {ahead:,.0f} s ahead of this machine's clock"
        return ill("clock", says, "set this clock by NTP, and that of the machine on which ingest runs")
    return well("clock", "no fact was recorded in its future")


async def _mail(home: Home, *, sends_mail: bool) -> Checked:
    now = datetime.now(UTC)
    found = [each for each in await whereabouts(home) if not _is_as_meant(each, now)]
    late = [each for each in found if each.outcome == "waits" and abs(now - each.notice.recordedtime) > SOON]
    failed = [each for each in found if each.outcome == "failed" and each.at is not None and now - each.at <= LATELY]
    if late and not sends_mail and not any(_is_taken_in_hand(each) for each in found):
        return ill(
            "mail",
            f"{are(len(late), 'notice')} waiting, and no mail server is named",
            f"set {SMTP_HOST} and what docs/clinic-it.md says of mail, and start again",
        )
    says = []
    if late:
        says.append(f"{are(len(late), 'mail')} waiting for more than {SOON.seconds // 60} minutes ({_why(late)})")
    if failed:
        says.append(f"{counted(len(failed), 'mail')} failed in the last {LATELY.days} days ({_why(failed)})")
    if says:
        do = ["tell those for whom they were"] if failed else []
        do += dict.fromkeys(_what_to_do(each) for each in (*late, *failed))
        return ill("mail", "; ".join(says), f"ontrack notices lists them; {'; '.join(do)}")
    return well("mail", f"none waits for long, and none failed in the last {LATELY.days} days")


_TOO_LATE: Final = "too-late"


def _is_taken_in_hand(each: Whereabouts) -> bool:
    """Tell whether a mailer has looked at it."""
    return each.tries > 0 or (each.outcome == "waits" and each.at is not None)


def _is_as_meant(each: Whereabouts, now: datetime) -> bool:
    """Tell whether nobody is to be told any more; what a clock that was ahead has called too late may not be."""
    if each.reason == _TOO_LATE:
        return is_too_late(each.notice.time, each.notice.recordedtime, now)
    return each.reason in ("left", f"{GAVE_UP}left")


_DO: Final[Mapping[str, str]] = {
    "": "see whether the mailer runs and what it says at /ready",
    "no-group": "transfer cases that are in no group into one",
    "no-therapists": "enter groups with their therapists",
    "no-supervisors": "enter clinics with their supervisors",
    "no-address": "enter therapists with their addresses",
    "nobody": "see that cases have a group, groups therapists and clinics supervisors",
    IN_HAND: "see what the mailer says at /ready",
    "sender-refused": "see what the mailer says at /ready",
    _TOO_LATE: "set the clock of the machine that sends mail by NTP: by it they were too late, and by this one not",
}


def _what_to_do(each: Whereabouts) -> str:
    """Say what to do where a mail waits or has failed, by its reason."""
    if each.outcome == "failed" and each.reason.startswith("smtp-"):
        return "correct the addresses that the mail server says do not exist"
    why = each.reason.removeprefix(GAVE_UP)
    return _DO.get(why, "ask whoever runs the mail server why it does not take them")


def _why(found: Sequence[Whereabouts]) -> str:
    """Give the three reasons that are named most often."""
    reasons = Counter(in_words(each.reason) or "nobody has tried" for each in found)
    return "; ".join(f"{number}: {reason}" for reason, number in reasons.most_common(3))
