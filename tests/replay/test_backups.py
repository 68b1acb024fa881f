"""Whatever happened in a clinic, a backup of it makes the same clinic again, to the byte."""

import asyncio
import shutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import Data, Event
from contracts.topics import ACCESS, CASES, partition_of
from services.embedded import MASTER_KEY, EmbeddedHome
from services.runtime.directory.port import Person
from services.runtime.keyring.master import MASTER_LENGTH
from services.runtime.log.port import Record
from services.runtime.roster.port import Clinic, Group, Therapist
from tests.replay.histories import histories
from tests.support.clinic import FIRST_DAY, definitions
from tests.support.command import succeeded
from tests.support.contents import begun_under
from tests.support.kept import both_in, but_for
from tests.support.workbench import cases_of

laws = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Told:
    """Something that reaches the log: a fact of a case, perhaps spoilt on the way, perhaps twice."""

    case: int
    fact: Event[Data]
    spoilt: bool
    twice: bool


@dataclass(frozen=True)
class Happened:
    """What happened in a clinic. erased: the cases whose keys were destroyed; strange: records that are of no case."""

    cases: Sequence[str]
    told: Sequence[Told]
    erased: frozenset[int]
    strange: Sequence[tuple[str, bytes]]


@st.composite
def clinics(draw: st.DrawFn) -> Happened:
    """Draw what happened to some cases, in any order among them."""
    cases = draw(st.lists(histories(), min_size=1, max_size=3))
    left = [list(case.facts) for case in cases]
    told = []
    while any(left):
        case = draw(st.sampled_from([place for place, facts in enumerate(left) if facts]))
        rarely = st.sampled_from([False] * 9 + [True])
        told.append(Told(case, left[case].pop(0), draw(rarely), draw(rarely)))
    erased = draw(st.frozensets(st.sampled_from(range(len(cases))), max_size=1))
    strange = draw(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=9)), max_size=3))
    ids = draw(st.permutations([*cases_of(0, 3), *cases_of(1, 2)]))
    return Happened(ids[: len(cases)], told, erased, strange)


async def lived(directory: Path, happened: Happened) -> None:
    """Let it happen, with the same cases each time."""
    begun_under(directory, b64encode(bytes(MASTER_LENGTH)))
    async with await EmbeddedHome.found(directory, clock=lambda: FIRST_DAY) as home:
        await home.publish(definitions())
        ids = dict(enumerate(happened.cases))
        await home.people.enter({case_id: Person("c1", str(number)) for number, case_id in ids.items()})
        for entry in (
            Clinic(clinic="c1", id="c1", zone="Europe/Copenhagen"),
            Group(clinic="c1", id="g1", sessions={"1": FIRST_DAY}, therapists=("anna",)),
            Therapist(clinic="c1", id="anna", address="anna@c1.example"),
        ):
            await home.roster.put(entry)
        await home.log.append(ACCESS, 3, [Record("anna", b"looked")])
        keys = await home.keyring.keys(ids.values())
        for told in happened.told:
            case_id = ids[told.case]
            key = keys[case_id]
            assert isinstance(key, CaseKey)
            value = encode(prepared(told.fact._replace(subject=case_id), key, recorded=FIRST_DAY))
            record = Record(case_id, value[:-30] if told.spoilt else value)
            await home.log.append(CASES, partition_of(case_id), [record] * (1 + told.twice))
        for name, value in happened.strange:
            await home.log.append(CASES, sha256(value).digest()[0] % CASES.partitions, [Record(name, value)])
        await home.catch_up()
        for case in happened.erased & ids.keys():
            await home.keyring.destroy(ids[case])


@laws
@given(clinics())
def test_a_backup_makes_the_same_clinic_again(happened: Happened) -> None:
    with TemporaryDirectory() as place:
        # given a clinic in which anything happened
        home, again, file = Path(place, "home"), Path(place, "again"), Path(place, "clinic.backup")
        asyncio.run(lived(home, happened))

        # when a backup of it is restored elsewhere
        succeeded("backup", file, "--data", home)
        again.mkdir()
        shutil.copy(home / MASTER_KEY, again / MASTER_KEY)
        succeeded("restore", file, "--data", again)

        # then what was kept is there as it stood, and the same follows from it: of erased cases nobody can tell what
        kept, following = both_in(home)
        kept_again, following_again = both_in(again)
        assert kept_again == kept
        erased = [case_id for case_id, key in kept.keys.items() if key is None]
        assert following_again == but_for(erased, following)
