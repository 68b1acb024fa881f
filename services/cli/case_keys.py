"""The keys of cases in a file of their own, apart from the events that they open."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO

import orjson

from contracts.codec import CaseKey
from contracts.topics import CASES
from services.cli.copies import noted_if_made
from services.cli.home import FINDING, Failure
from services.cli.interruption import heed
from services.cli.output import counted, say
from services.cli.private import whole_file
from services.home import Home
from services.runtime.directory.port import Person
from services.runtime.erasures import erasures, erasures_in
from services.runtime.export import cases_on, is_sealed
from services.runtime.keyring.port import Destroyed, Vault
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks

Keys = Mapping[str, CaseKey | Destroyed]


async def write_keys(home: Home, file: Path, case_id: str | None) -> None:
    """Write the keys of cases, unwrapped, and who they are: whoever has this file can read what is sealed.

    The key of an erased case is null: so a home that imports the log knows that it was erased. That of one whose
    erasing was begun is too.
    """
    # First: whoever erases a case while the keys are read has to know that they are about to be written, and where.
    async with noted_if_made(home.copies, "keys", file, home.clock(), case_id):
        with whole_file(file) as stream:
            found = await _written(home, stream, case_id)
    erased = sum(1 for key in found.values() if key is Destroyed.DESTROYED)
    say(f"The keys of {counted(len(found) - erased, 'case')} are in {file}. Keep it apart from the export.")
    if erased:
        say(f"Of {counted(erased, 'erased case')} it says that the key was destroyed.")


async def _written(home: Home, stream: IO[bytes], case_id: str | None) -> Keys:
    """Write the keys of all cases, or of one; give them."""
    keys = await home.keyring.keys(await cases_on(home.log) if case_id is None else [case_id])
    # Asked after the keys: a case is said to be erased before its key goes.
    said = await erasures(home.log, home.keyring)
    found = {case: Destroyed.DESTROYED if case in said else key for case, key in keys.items()}
    persons = await home.people.persons()
    for case, key in sorted(found.items()):
        secret = b64encode(key.secret).decode() if isinstance(key, CaseKey) else None
        person = {} if secret is None or case not in persons else asdict(persons[case])
        stream.write(orjson.dumps({"case": case, "key": secret, **person}) + b"\n")
    return found


def require_no_other(file: Path) -> None:
    """Refuse to write keys over a file that is none of keys: it could be the only copy of one. Raises Failure."""
    if file.is_file():
        try:
            keys_in(file)
        except Failure:
            raise Failure(
                f"{file} is there already, and is no file of keys: name a file that is not there yet"
            ) from None


def keys_in(file: Path | None) -> Keys:
    """Read the keys of cases; null stands for one that was destroyed."""
    found: dict[str, CaseKey | Destroyed] = {}
    for number, line in lines_of(file) if file is not None else ():
        try:
            entry = orjson.loads(line)
            case_id, secret = entry["case"], entry["key"]
            found[case_id] = Destroyed.DESTROYED if secret is None else CaseKey(b64decode(secret, validate=True))
        except (ValueError, TypeError, KeyError):
            raise Failure(f"{file}: line {number}: a case and its key were expected", FINDING) from None
    return found


def persons_in(file: Path | None) -> dict[str, Person]:
    """Read who the cases are, from the directory of an export or from the file of its keys."""
    found = {}
    for number, line in lines_of(file) if file is not None and file.exists() else ():
        try:
            entry = orjson.loads(line)
            case_id = str(entry["case"])
            if "number" in entry:
                found[case_id] = Person(str(entry["clinic"]), str(entry["number"]))
        except (ValueError, TypeError, KeyError):
            raise Failure(f"{file}: line {number}: a case, its clinic and its number were expected", FINDING) from None
    return found


def but_erased(keys: Keys, facts: Iterable[Record | StoredRecord]) -> Keys:
    """Give keys; those of cases that were erased, as facts say, are destroyed, though somebody has kept them."""
    return {**keys, **dict.fromkeys(erasures_in(facts, keys), Destroyed.DESTROYED)}


async def misnamed(log: Log, keys: Keys) -> frozenset[str]:
    """Give the cases whose keys are not theirs: no fact of such a case was sealed under it, and some under another."""
    left = {case_id: key.keyid.encode() for case_id, key in keys.items() if isinstance(key, CaseKey)}
    others: set[str] = set()
    for number in range(CASES.partitions):
        async for chunk in chunks(log, CASES, number):
            for record in chunk:
                if record.key in left and left[record.key] in record.value:
                    del left[record.key]
                elif record.key in left and is_sealed(record, CASES):
                    others.add(record.key)
    return frozenset(others & left.keys())


async def take_keys(keyring: Vault, keys: Keys) -> None:
    """Take the keys of the cases; those that were destroyed are destroyed here too."""
    await keyring.adopt({case_id: key for case_id, key in keys.items() if isinstance(key, CaseKey)})
    for case_id, key in keys.items():
        if isinstance(key, Destroyed):
            await keyring.destroy(case_id)


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a file that are not empty, with their numbers."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            heed()
            if line.strip():
                yield number, line.strip()
