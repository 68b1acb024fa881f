"""What is checked of every home: that everything is read, and that what was recorded goes where it should."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import orjson

from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.topics import CASES
from services.cli.checks.checked import SKEW, Checked, ill, well
from services.cli.dead_letters import letters_of
from services.cli.notice_events import Notices
from services.cli.notices import KINDS, in_words
from services.cli.output import counted
from services.home import Home
from services.mailer.domain.standing import Standing, standings
from services.runtime.roster.port import Clinic

LATELY: Final = timedelta(days=7)
"""What failed longer ago is known by now."""

LOOK_AGAIN: Final = 3.0
"""Seconds between two looks at what waits."""

SOON: Final = timedelta(minutes=10)
"""A mail that waits for longer than this does not go out."""


async def of_home(home: Home, now: datetime) -> AsyncIterator[Checked]:
    """Check a home that can be opened."""
    yield await _progress(home)
    yield await _halted(home)
    yield await _dead_letters(home)
    yield await _definitions(home)
    yield await _clock(home, now)
    async for each in _mail(home, now):
        yield each


async def _progress(home: Home) -> Checked:
    """Check that what was recorded is processed: all of it, or more and more."""
    before = await home.left_by_stage(home.stages)
    if before:
        await asyncio.sleep(LOOK_AGAIN)
    after = await home.left_by_stage(home.stages) if before else before
    stuck = {stage: number for stage, number in after.items() if number >= before.get(stage, number)}
    if stuck:
        waits = ", ".join(f"{number:,} for {stage.replace('_', '-')}" for stage, number in stuck.items())
        return ill(
            "progress",
            f"events wait, and do not become fewer: {waits}",
            "see whether it runs (ontrack up; in a region ontrack serve), and what it says at /ready",
        )
    return well("progress", f"{counted(after.total(), 'event')} wait, and they become fewer" if after else "none waits")


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
    """Check that what clinics enrol their cases with is on the log."""
    missing = [
        f"{clinic.clinic} names {ref.partition('#')[0]}"
        for clinic in await home.roster.all(Clinic)
        for ref in (clinic.protocol, clinic.policy)
        if ref is not None and ref not in home.definitions
    ]
    if missing:
        return ill(
            "definitions",
            f"not on the log: {'; '.join(missing)}",
            "enter the clinic with definitions that are there; ontrack definitions list names them",
        )
    number = sum(1 for kind in (Protocol, Policy) for _ in home.definitions.of_kind(kind))
    return well("definitions", f"{number} protocols and policies are on the log, and clinics name no others")


async def _clock(home: Home, now: datetime) -> Checked:
    """Compare this machine's clock with the times at which facts were recorded."""
    latest = [await _recorded(home, partition) for partition in range(CASES.partitions)]
    newest = max((each for each in latest if each is not None), default=None)
    if newest is not None and newest - now > SKEW:
        ahead = (newest - now).total_seconds()
        return ill("clock", f"the newest fact was recorded {ahead:,.0f} s from now", "set the clocks by NTP")
    return well("clock", "no fact was recorded in its future")


async def _recorded(home: Home, partition: int) -> datetime | None:
    """Tell when the last fact of a partition was recorded."""
    end = await home.log.end(CASES, partition)
    records = await home.log.read(CASES, partition, end - 1, 1) if end else ()
    for record in records:
        try:
            return datetime.fromisoformat(orjson.loads(record.value)["recordedtime"])
        except (ValueError, TypeError, KeyError):
            return None
    return None


async def _mail(home: Home, now: datetime) -> AsyncIterator[Checked]:
    waiting = await home.outbox.waiting()
    found = list(standings(await Notices(home).new(*KINDS), waiting))
    late = [each for each in found if each.outcome == "waits" and now - each.notice.recordedtime > SOON]
    failed = [each for each in found if each.outcome == "failed" and each.at is not None and now - each.at <= LATELY]
    if late:
        why = _reasons(Counter(map(_why_late, late)))
        yield ill(
            "mail that waits",
            f"{counted(len(late), 'mail')} wait for more than {SOON.seconds // 60} minutes ({why})",
            "ontrack notices --outcome waits lists them; see whether the mailer runs and what it says at /ready, and "
            "whether every group has therapists with addresses",
        )
    else:
        yield well("mail that waits", "none waits for long")
    if failed:
        yield ill(
            "mail that failed",
            f"{counted(len(failed), 'mail')} failed in the last {LATELY.days} days "
            f"({_reasons(Counter(in_words(each.reason) for each in failed))})",
            "ontrack notices --outcome failed lists them; tell the therapists, and correct their addresses",
        )
    else:
        yield well("mail that failed", f"none in the last {LATELY.days} days")


def _why_late(each: Standing) -> str:
    return in_words(each.reason) or "nobody has tried"


def _reasons(found: Mapping[str, int]) -> str:
    return "; ".join(f"{number}: {reason}" for reason, number in Counter(found).most_common(3))
