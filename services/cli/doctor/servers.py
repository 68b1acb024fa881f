"""How the servers of a region are judged by what they tell: versions, disks, and copies."""

import re
from collections.abc import Sequence
from typing import Final

from services.cli.doctor.checked import Checked, disk, ill, unknown, well
from services.cli.output import counted
from services.runtime.documents import About
from services.runtime.log.disks import BrokerDisk
from services.runtime.log.topics import Copies

OLDEST: Final = {(8, 0): 17, (8, 2): 3}
"""MongoDB's releases without CVE-2025-14847, and from which patch on; what is newer than all of them has none of it."""

_FEW: Final = 3
_MAJORITY: Final = 2


def database(about: About) -> Checked:
    """Judge what server the database is."""
    if about.is_ferretdb:
        return well("database", "FerretDB, which stands in for MongoDB in tests")
    name = f"MongoDB {about.version}"
    if _is_old(about.version):
        return ill("database", f"{name} can have a known hole (CVE-2025-14847)", "upgrade to 8.0.17, 8.2.3 or newer")
    return well("database", f"{name}, {'alone' if not about.members else f'a replica set of {len(about.members)}'}")


def _is_old(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return False
    major, minor, patch = map(int, numbers.groups())
    wanted = OLDEST.get((major, minor))
    return (major, minor) < max(OLDEST) if wanted is None else patch < wanted


def broker_disk(what: str, told: BrokerDisk) -> Checked:
    """Judge how much of a broker's disk is left, and that its Kafka is new enough to tell."""
    if told.is_too_old:
        return ill(what, "its Kafka is older than 3.3, and does not say how full it is", "upgrade this broker")
    if told.room is None:
        return unknown(what, "it is not told to this user, who may not describe the cluster: watch it on its machine")
    return disk(what, *told.room, "make room there: a broker whose disk is full ends, and takes no answers")


def copies(found: Sequence[Copies]) -> Checked:
    """Judge whether an acknowledged record outlives the loss of a broker, and of power."""
    alone = [each.topic for each in found if each.copies == 1 and not each.flushed]
    trusting = [each.topic for each in found if each.copies > 1 and each.min_insync < _MAJORITY]
    behind = [each.topic for each in found if each.behind]
    lacking = sorted({broker for each in found for broker in each.behind})
    if alone:
        return ill(
            "copies",
            f"one broker keeps {_named(alone)} and does not flush each message: a power cut loses answers",
            "set flush.messages=1 on these topics, or use three brokers",
        )
    if trusting:
        return ill(
            "copies",
            f"what only one broker has is acknowledged, on {_named(trusting)}",
            "set min.insync.replicas=2 on these topics",
        )
    if behind:
        return ill(
            "copies",
            f"not everything of {_named(behind)} is on {' and '.join(f'broker {each}' for each in lacking)}",
            "see whether it runs, and its disk; after a start it takes a while until it has caught up",
        )
    least = min((each.copies for each in found), default=0)
    return well("copies", f"{counted(least, 'copy') if least == 1 else f'{least} copies'} of everything, in step")


def _named(topics: Sequence[str]) -> str:
    """Name some topics; of many, two."""
    names = sorted(topics)
    return ", ".join(names) if len(names) <= _FEW else f"{', '.join(names[:2])} and {len(names) - 2} more topics"
