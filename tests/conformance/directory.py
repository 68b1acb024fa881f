"""What every `Directory` promises. An adapter's tests inherit `DirectorySuite` and give it an empty directory."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from services.runtime.directory.port import Directory, Person, SealedPerson
from services.runtime.keyring.port import Vault
from services.runtime.unavailable import Unavailable
from tests.conformance.away import TakenAway, is_told_at_every_call

ANNA, BO = Person("north", "P-17"), Person("north", "P-18")


async def all_of(persons: AsyncIterator[SealedPerson]) -> list[SealedPerson]:
    return [each async for each in persons]


class DirectorySuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def directory(self) -> Directory:
        """An empty directory."""
        raise NotImplementedError

    @pytest.fixture
    def keys(self) -> Vault:
        """The keyring whose keys its entries are sealed under."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Directory]]:
        """Another connection to the same directory."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the directory for a while."""
        raise NotImplementedError

    # Persons

    async def test_nobody_is_in_an_empty_directory(self, directory: Directory) -> None:
        # given an empty directory
        # when it is asked who is there, and nobody is entered
        # then there is nobody
        assert dict(await directory.persons()) == {}
        await directory.enter({})
        assert dict(await directory.persons()) == {}

    async def test_persons_are_given_as_they_were_entered(self, directory: Directory) -> None:
        # given persons with any names
        given = {"a": ANNA, "b": BO, "c": Person("sønder/1", "  æ\n'\";--"), "d": Person("north", "")}

        # when they are entered
        await directory.enter(given)

        # then they are there
        assert dict(await directory.persons()) == given

    async def test_spellings_that_look_alike_are_one_number(self, directory: Directory) -> None:
        # given somebody with a letter that Unicode can write in one character and in two
        composed, decomposed = "P-\u00c51", "P-A\u030a1"
        await directory.enter({"a": Person("north", composed)})

        # when they are looked for by either, or by both at once
        # then they are found
        assert await directory.case_ids("north", [composed, decomposed]) == {composed: "a", decomposed: "a"}
        assert await directory.case_ids("north", [decomposed]) == {decomposed: "a"}

    async def test_entering_somebody_again_changes_nothing(self, directory: Directory) -> None:
        # given somebody who was entered
        await directory.enter({"a": ANNA})

        # when the same person comes again, with another one
        await directory.enter({"a": ANNA, "b": BO})

        # then both are there
        assert dict(await directory.persons()) == {"a": ANNA, "b": BO}

    async def test_what_is_entered_last_holds(self, directory: Directory) -> None:
        # given two cases
        await directory.enter({"a": ANNA, "b": BO})

        # when one gets another number, and then the number of the other
        await directory.enter({"a": Person("north", "P-99")})
        assert dict(await directory.persons()) == {"a": Person("north", "P-99"), "b": BO}
        await directory.enter({"a": BO})

        # then a case has one person, and a person one case
        assert dict(await directory.persons()) == {"a": BO}
        assert dict(await directory.case_ids("north", ["P-18"])) == {"P-18": "a"}

    async def test_many_are_entered_and_found_at_once(self, directory: Directory) -> None:
        # given more persons than one question can name
        given = {f"{number:032x}": Person("north", f"P-{number}") for number in range(1_500)}

        # when they are entered
        await directory.enter(given)

        # then all are there, and found by their numbers
        assert dict(await directory.persons()) == given
        found = await directory.case_ids("north", [person.number for person in given.values()])
        assert dict(found) == {person.number: case_id for case_id, person in given.items()}

    # Case ids

    async def test_a_number_that_is_not_known_has_the_case_id_that_the_keyring_makes(
        self, directory: Directory, keys: Vault
    ) -> None:
        # given an empty directory
        # when the case ids of some numbers are asked for
        found = await directory.case_ids("north", ["P-17", "P-18"])

        # then they are those of the keyring, and asking has entered nobody
        assert dict(found) == {number: keys.case_id("north", number) for number in ("P-17", "P-18")}
        assert dict(await directory.persons()) == {}
        assert dict(await directory.case_ids("north", [])) == {}

    async def test_a_case_that_came_from_elsewhere_keeps_its_id(self, directory: Directory) -> None:
        # given a case under an id that was made elsewhere
        await directory.enter({"from-elsewhere": ANNA})

        # when its number is looked up
        # then it has that id
        assert dict(await directory.case_ids("north", ["P-17"])) == {"P-17": "from-elsewhere"}

    async def test_clinics_may_use_the_same_numbers(self, directory: Directory) -> None:
        # given the same number in two clinics
        await directory.enter({"a": Person("north", "17"), "b": Person("south", "17")})

        # when it is looked up in each
        # then it is another case
        assert dict(await directory.case_ids("north", ["17"])) == {"17": "a"}
        assert dict(await directory.case_ids("south", ["17"])) == {"17": "b"}

    # Erased cases

    async def test_a_case_that_was_erased_is_nobody(self, directory: Directory, keys: Vault) -> None:
        # given two cases
        await directory.enter({"a": ANNA, "b": BO})

        # when the key of one is destroyed
        await keys.destroy("a")

        # then it is nobody, and stays so when it is entered again
        assert dict(await directory.persons()) == {"b": BO}
        await directory.enter({"a": ANNA})
        assert dict(await directory.persons()) == {"b": BO}

    async def test_who_is_forgotten_is_nobody_and_leaves_nothing(self, directory: Directory) -> None:
        # given two persons
        await directory.enter({"a": ANNA, "b": BO})

        # when one is forgotten, and somebody whom nobody knew
        for case_id in ("a", "z"):
            await directory.forget(case_id)

        # then only the other is there
        assert dict(await directory.persons()) == {"b": BO}
        assert [person.case_id for person in await all_of(directory.sealed())] == ["b"]

    # Persons as they are kept

    async def test_all_persons_are_given_as_they_are_kept(
        self, directory: Directory, keys: Vault, connected: Callable[[], Awaitable[Directory]]
    ) -> None:
        # given many persons, of whom one was erased
        given = {f"{number:032x}": Person("north", f"P-{number:08}") for number in range(1_201)}
        await directory.enter(given)
        await keys.destroy(f"{7:032x}")

        # when all are given as they are kept
        found = await all_of((await connected()).sealed())

        # then they come by case, each once, the erased one too, and nobody can see who they are
        assert [person.case_id for person in found] == sorted(given)
        assert {person.name for person in found} == {keys.case_id("north", each.number) for each in given.values()}
        assert not any(given[person.case_id].number.encode() in person.sealed for person in found)

    async def test_a_person_who_is_put_back_is_who_was_kept_and_takes_the_place_of_nobody(
        self, directory: Directory
    ) -> None:
        # given somebody as they were kept, who is another case by now
        await directory.enter({"a": ANNA})
        kept = await all_of(directory.sealed())
        await directory.enter({"b": ANNA})

        # when they are put back, then that case stays who it is
        await directory.put_back(kept)
        assert dict(await directory.persons()) == {"b": ANNA}

        # and when nobody is in their place any more, then they are who they were
        await directory.enter({"b": BO})
        await directory.put_back(kept)
        assert dict(await directory.persons()) == {"a": ANNA, "b": BO}
        assert dict(await directory.case_ids("north", ["P-17"])) == {"P-17": "a"}

        # and a case that is somebody else by now stays that
        await directory.enter({"a": Person("north", "P-99")})
        await directory.put_back(kept)
        await directory.put_back([])
        assert dict(await directory.persons()) == {"a": Person("north", "P-99"), "b": BO}

    # What lasts

    async def test_what_was_entered_is_durable(
        self, directory: Directory, connected: Callable[[], Awaitable[Directory]]
    ) -> None:
        # given somebody who was entered
        await directory.enter({"a": ANNA})

        # when somebody else looks
        other = await connected()

        # then the person is there
        assert dict(await other.persons()) == {"a": ANNA}
        assert dict(await other.case_ids("north", ["P-17"])) == {"P-17": "a"}

    async def test_a_directory_that_is_away_says_so_at_every_call(self, directory: Directory, away: TakenAway) -> None:
        # given a directory with a person
        await directory.enter({"a": ANNA})

        # when it is away for a while, and everything is tried
        # then each call says so, and can be made again when it is back
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: directory.enter({"b": BO}),
            lambda: directory.case_ids("north", ["P-17"]),
            directory.persons,
            lambda: all_of(directory.sealed()),
            lambda: directory.put_back([SealedPerson("c", "somebody", b"sealed")]),
            lambda: directory.forget("z"),
        ]
        assert await is_told_at_every_call(away, Unavailable, calls)
        assert dict(await directory.persons()) == {"a": ANNA, "b": BO}
