"""Why what was made anew is not put in the place of what the stages know: that may be all that shows what was done."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from contracts.topics import PARTITIONS
from services.auditor.domain.findings import What
from services.auditor.replay import History
from services.auditor.states import cuts
from services.auditor.verify import partitions_of
from services.cli.audit.findings import kinds_of
from services.cli.output import Row, counted
from services.home import Home
from services.runtime.erasures import erasures

_NOT_FOR_THAT: Final = (
    "ontrack audit verify says where. --swap is not for that: keep this place as it is, and restore the last backup "
    "from before into another one (ontrack restore)."
)


class Beside(NamedTuple):
    """What was made anew of a stage, beside what it knows.

    ahead, underivable: what it knows by what is not on the log: of how many cases more, and of which ones at all
    """

    row: Row
    ahead: int
    underivable: Collection[str]


def contradicted(found: Counter[What]) -> str:
    """Tell that what stands on the log is not what follows, or that records are missing there."""
    return (
        f"The log lacks records, or has conclusions that do not follow from its facts ({kinds_of(found)}), so it is "
        f"the log that was damaged, and what the stages know may be right: {_NOT_FOR_THAT}"
    )


def lacking(number: int) -> str:
    """Tell that the log lacks what follows."""
    return (
        f"The log lacks {counted(number, 'event')} that follow from its facts: ontrack audit verify says which. Where "
        "they were not taken away, but were never put there, --swap does that."
    )


def untold(found: Counter[What]) -> str:
    """Tell that the stages know what cannot be made anew."""
    says = (
        f"The stages know what the log does not tell ({kinds_of(found)}), so records or keys were taken away, or what "
        f"they know was altered: {_NOT_FOR_THAT}"
    )
    if "log-cut" in found:
        return says
    return f"{says} Where a checkpoint shows that the log is whole, ontrack rebuild makes anew what one stage knows."


async def cut_off(history: History, partitions: Iterable[int] = range(PARTITIONS)) -> Counter[What]:
    """Count where stages have read further than the log reaches."""
    found = [] if history.store is None else await cuts(history, history.store, partitions)
    return Counter(each.what for each in found)


async def unexplained(home: Home, beside: Collection[Beside]) -> Counter[What]:
    """Count what stages know by what is not on the log; but for cases of which it says that they were erased."""
    erased = await erased_of(home, {case_id for each in beside for case_id in each.underivable})
    underivable = sum(case_id not in erased for each in beside for case_id in each.underivable)
    return +Counter[What]({"state-ahead": sum(each.ahead for each in beside), "state-underivable": underivable})


async def erased_of(home: Home, cases: Collection[str]) -> Collection[str]:
    """Give of which cases the log says that they were erased, in the partitions of some."""
    return (await erasures(home.log, home.keyring, partitions_of(cases))).keys() if cases else ()
