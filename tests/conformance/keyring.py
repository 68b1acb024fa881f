"""What every `Keyring` promises, as a `Vault`. An adapter's tests inherit `KeyringSuite` and give it an empty one."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from cryptography.exceptions import InvalidTag

from contracts.codec import CaseKey
from contracts.topics import partition_of
from services.runtime.keyring.port import Destroyed, KeyringUnavailable, Vault
from tests.conformance.away import TakenAway, is_told_at_every_call


def a_key(number: int) -> CaseKey:
    return CaseKey(bytes([number]) * CaseKey.LENGTH)


def secrets(keys: Mapping[str, CaseKey | Destroyed]) -> dict[str, bytes | Destroyed]:
    """The keys as values that can be compared."""
    return {case_id: key.secret if isinstance(key, CaseKey) else key for case_id, key in keys.items()}


async def all_of(wrapped: AsyncIterator[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    return [each async for each in wrapped]


class KeyringSuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def keyring(self) -> Vault:
        """An empty keyring."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Vault]]:
        """Another connection to the same keyring, with the same master key."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the keyring for a while."""
        raise NotImplementedError

    @pytest.fixture
    def elsewhere(self) -> Vault:
        """The keyring of somebody else, with another master key."""
        raise NotImplementedError

    # Keys

    async def test_a_case_that_never_had_a_key_is_absent(self, keyring: Vault) -> None:
        # given one case with a key
        created = await keyring.create(["a"])

        # when its key is asked for with those of others
        found = await keyring.keys(["a", "b"])

        # then it alone is there, and asking has made none
        assert secrets(found) == secrets(created)
        assert dict(await keyring.keys(["b"])) == {}
        assert dict(await keyring.keys([])) == {}

    async def test_every_case_has_a_key_of_its_own(self, keyring: Vault) -> None:
        # given some cases
        # when keys are made for them
        created = await keyring.create(["a", "b", "c"])

        # then none is like another, and each opens only what it has sealed
        assert len({key.secret for key in created.values() if isinstance(key, CaseKey)}) == 3
        one, other = created["a"], created["b"]
        assert isinstance(one, CaseKey)
        assert isinstance(other, CaseKey)
        sealed = one.seal(b"words", b"context")
        assert one.unseal(sealed, b"context") == b"words"
        with pytest.raises(InvalidTag):
            other.unseal(sealed, b"context")

    async def test_a_case_keeps_its_key(self, keyring: Vault) -> None:
        # given a case with a key
        created = await keyring.create(["a"])

        # when keys are made for it and another one
        again = await keyring.create({"a", "b"})

        # then it has the key that it had
        assert secrets(again)["a"] == secrets(created)["a"]
        assert secrets(await keyring.keys(["a", "b"])) == secrets(again)

    async def test_making_no_keys_changes_nothing(self, keyring: Vault) -> None:
        # given an empty keyring
        # when keys are made for nobody
        # then there are none
        assert dict(await keyring.create([])) == {}

    async def test_many_keys_are_made_and_found_at_once(self, keyring: Vault) -> None:
        # given many cases
        names = [f"{number:032x}" for number in range(1_500)]

        # when keys are made for the first half, and then for all
        half = await keyring.create(names[:750])
        created = await keyring.create(names)

        # then none is missing, and the first ones are as they were
        assert secrets(await keyring.keys(names)) == secrets(created)
        assert set(created) == set(names)
        assert secrets(half).items() <= secrets(created).items()

    # Keys from elsewhere

    async def test_a_key_that_is_adopted_is_the_key_of_its_case(self, keyring: Vault) -> None:
        # given keys that come with an exported log
        keys = {"a": a_key(1), "b": a_key(2)}

        # when they are adopted
        await keyring.adopt(keys)

        # then they are the keys of those cases, also when keys are made
        assert secrets(await keyring.keys(["a", "b"])) == secrets(keys)
        assert secrets(await keyring.create(["a", "b"])) == secrets(keys)

    async def test_adopting_the_same_key_again_changes_nothing(self, keyring: Vault) -> None:
        # given a key that was adopted
        await keyring.adopt({"a": a_key(1)})

        # when it comes again, with another one
        await keyring.adopt({"a": a_key(1), "b": a_key(2)})

        # then both are there
        assert secrets(await keyring.keys(["a", "b"])) == secrets({"a": a_key(1), "b": a_key(2)})

    async def test_a_case_that_has_another_key_does_not_adopt_one(self, keyring: Vault) -> None:
        # given a case with a key
        created = await keyring.create(["a"])

        # when another one comes for it
        with pytest.raises(ValueError, match="a"):
            await keyring.adopt({"a": a_key(1)})

        # then it keeps its own
        assert secrets(await keyring.keys(["a"])) == secrets(created)

    async def test_a_refusal_to_adopt_tells_no_key(self, keyring: Vault) -> None:
        # given a case with a key
        await keyring.adopt({"a": a_key(1)})

        # when another one comes for it
        with pytest.raises(ValueError, match="a") as refused:
            await keyring.adopt({"a": a_key(2)})

        # then the refusal holds neither
        for key in (a_key(1), a_key(2)):
            assert key.secret.hex() not in str(refused.value)
            assert repr(key.secret) not in str(refused.value)

    # Keys that are destroyed

    async def test_a_destroyed_key_stays_destroyed(self, keyring: Vault) -> None:
        # given two cases with keys
        created = await keyring.create(["a", "b"])

        # when one key is destroyed
        await keyring.destroy("a")

        # then it is gone, a new one is not made for its case, and the other case has its own
        expected = {"a": Destroyed.DESTROYED, "b": secrets(created)["b"]}
        assert secrets(await keyring.keys(["a", "b"])) == expected
        assert secrets(await keyring.create(["a", "b"])) == expected
        assert secrets(await keyring.keys(["a", "b"])) == expected

    async def test_a_destroyed_key_does_not_come_back_with_an_exported_log(self, keyring: Vault) -> None:
        # given a case whose key was destroyed
        await keyring.adopt({"a": a_key(1)})
        await keyring.destroy("a")

        # when its key comes again, or another one
        for key in (a_key(1), a_key(2)):
            with pytest.raises(ValueError, match="a"):
                await keyring.adopt({"a": key})

        # then it stays destroyed
        assert dict(await keyring.keys(["a"])) == {"a": Destroyed.DESTROYED}

    async def test_destroying_twice_is_destroying_once(self, keyring: Vault) -> None:
        # given a case whose key was destroyed
        await keyring.create(["a"])
        await keyring.destroy("a")

        # when it is destroyed again
        await keyring.destroy("a")

        # then it is destroyed
        assert dict(await keyring.keys(["a"])) == {"a": Destroyed.DESTROYED}

    async def test_a_case_without_a_key_never_gets_one_after_it_was_destroyed(self, keyring: Vault) -> None:
        # given a case that never had a key
        # when its key is destroyed
        await keyring.destroy("a")

        # then it gets none
        assert dict(await keyring.create(["a"])) == {"a": Destroyed.DESTROYED}

    # Keys as they are kept

    async def test_all_keys_are_given_as_they_are_kept(
        self, keyring: Vault, connected: Callable[[], Awaitable[Vault]]
    ) -> None:
        # given many cases with keys, of which one was destroyed
        names = [f"{number:032x}" for number in range(1_201)]
        created = await keyring.create(names)
        await keyring.destroy(names[7])

        # when all keys are given as they are kept
        wrapped = [each async for each in (await connected()).wrapped()]

        # then they come by case, each once, and no key can be seen
        assert [case_id for case_id, _ in wrapped] == names
        assert [case_id for case_id, key in wrapped if key is None] == [names[7]]
        for case_id, key in wrapped:
            made = created[case_id]
            assert isinstance(made, CaseKey)
            assert key is None or made.secret[:16] not in key

    async def test_keys_that_are_put_back_are_those_that_were_kept(self, keyring: Vault) -> None:
        # given keys as they are kept, one of them destroyed
        await keyring.adopt({"a": a_key(1), "b": a_key(2)})
        await keyring.destroy("b")
        kept = {case_id: key async for case_id, key in keyring.wrapped()}

        # when they are put back for cases that have none here
        await keyring.put_back({f"{case_id} again": key for case_id, key in kept.items()})

        # then those have the same keys, and the destroyed one is destroyed for ever
        expected = {"a again": a_key(1).secret, "b again": Destroyed.DESTROYED}
        assert secrets(await keyring.keys(expected)) == expected
        assert secrets(await keyring.create(["b again"])) == {"b again": Destroyed.DESTROYED}

    async def test_a_key_that_is_put_back_takes_the_place_of_none(self, keyring: Vault) -> None:
        # given a key as it was kept, and its case whose key was destroyed since, and a case with another key
        await keyring.adopt({"a": a_key(1), "b": a_key(2)})
        kept = {case_id: key async for case_id, key in keyring.wrapped()}
        await keyring.destroy("a")

        # when both are put back, the second with the key of the first
        await keyring.put_back({"a": kept["a"], "b": kept["a"]})
        await keyring.put_back({})

        # then the one stays destroyed, and the other keeps its own
        assert secrets(await keyring.keys(["a", "b"])) == {"a": Destroyed.DESTROYED, "b": a_key(2).secret}

    # Case ids

    def test_a_number_has_the_same_case_id_each_time(self, keyring: Vault) -> None:
        # given the external number of a clinic
        # when its case id is asked for, twice
        # then it is the same
        assert keyring.case_id("north", "P-17") == keyring.case_id("north", "P-17")

    def test_case_ids_differ_by_clinic_and_by_number(self, keyring: Vault) -> None:
        # given numbers of clinics that read alike
        pairs = [("north", "17"), ("north", "18"), ("south", "17"), ("north1", "7"), ("nort", "h17"), ("north", "017")]

        # when their case ids are asked for
        # then all differ
        assert len({keyring.case_id(clinic, number) for clinic, number in pairs}) == len(pairs)

    def test_case_ids_can_be_keys_of_records(self, keyring: Vault) -> None:
        # given many numbers
        ids = {keyring.case_id("north", f"P-{number}") for number in range(1_000)}

        # when they are put in partitions
        # then they are as many, of a plain form, and no partition stays empty
        assert len(ids) == 1_000
        assert all(case_id.isascii() and case_id.isalnum() for case_id in ids)
        assert {partition_of(case_id) for case_id in ids} == set(range(12))

    def test_nobody_guesses_a_case_id_from_the_number(self, keyring: Vault, elsewhere: Vault) -> None:
        # given the clinic and number of a case, and a stranger who knows both and this code
        clinic, number = "north", "0101801234"

        # when the stranger computes what can be computed without the master key
        guesses = [
            elsewhere.case_id(clinic, number),
            *(
                hashlib.new(name, f"{clinic}{between}{number}".encode()).hexdigest()
                for name in ("md5", "sha1", "sha256", "sha512", "blake2b")
                for between in ("", "/", ":", "\x1f")
            ),
        ]

        # then none of it is the case id, which does not show the number either
        case_id = keyring.case_id(clinic, number)
        assert not any(guess.startswith(case_id[:8]) for guess in guesses)
        assert number not in case_id

    # What lasts

    async def test_keys_last(self, keyring: Vault, connected: Callable[[], Awaitable[Vault]]) -> None:
        # given a key that was made, one that was adopted, one that was destroyed
        created = await keyring.create(["made", "destroyed"])
        await keyring.adopt({"adopted": a_key(1)})
        await keyring.destroy("destroyed")

        # when somebody else looks
        other = await connected()

        # then they are there, and the case ids are the same
        assert secrets(await other.keys(["made", "adopted", "destroyed"])) == {
            "made": secrets(created)["made"],
            "adopted": a_key(1).secret,
            "destroyed": Destroyed.DESTROYED,
        }
        assert secrets(await other.create(["destroyed"])) == {"destroyed": Destroyed.DESTROYED}
        assert other.case_id("north", "P-17") == keyring.case_id("north", "P-17")

    async def test_a_key_that_somebody_else_destroyed_is_destroyed(
        self, keyring: Vault, connected: Callable[[], Awaitable[Vault]]
    ) -> None:
        # given a key that two have used
        await keyring.create(["a"])
        other = await connected()
        assert isinstance((await other.keys(["a"]))["a"], CaseKey)

        # when one of them destroys it
        await keyring.destroy("a")

        # then the other has it no longer
        assert dict(await other.keys(["a"])) == {"a": Destroyed.DESTROYED}

    async def test_a_key_that_somebody_else_made_is_kept(
        self, keyring: Vault, connected: Callable[[], Awaitable[Vault]]
    ) -> None:
        # given a case that has no key, as two know
        other = await connected()
        assert dict(await keyring.keys(["a"])) == dict(await other.keys(["a"])) == {}

        # when both make one
        first, second = await other.create(["a"]), await keyring.create(["a"])

        # then it has one
        assert secrets(first) == secrets(second)

    async def test_a_keyring_that_is_away_says_so_at_every_call(self, keyring: Vault, away: TakenAway) -> None:
        # given a key that was used
        created = await keyring.create(["a"])

        # when the keyring is away for a while, and everything is tried
        # then each call says so, and can be made again when it is back
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: keyring.keys(["a"]),
            lambda: keyring.create(["a", "b"]),
            lambda: keyring.adopt({"c": a_key(1)}),
            lambda: keyring.destroy("d"),
            lambda: all_of(keyring.wrapped()),
            lambda: keyring.put_back({"e": None}),
        ]
        assert await is_told_at_every_call(away, KeyringUnavailable, calls)
        assert secrets(await keyring.keys(["a", "c", "d"])) == {
            "a": secrets(created)["a"],
            "c": a_key(1).secret,
            "d": Destroyed.DESTROYED,
        }
