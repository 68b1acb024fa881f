"""`ontrack audit seal`, `prove` and `check-proof`: what stood on a log, signed, and shown to stand there still."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.codec import id_of
from contracts.events.fields import instant
from contracts.topics import Topic
from services.auditor.checkpoint import SEALED, Checkpoint, Proof, Sealed, last_signed, notes, proof, signed
from services.auditor.note import NoteInvalid, Signer, Verifier
from services.auditor.sealing import CheckpointUnusable, KeyUnusable, file_name, require_kept, signer_in
from services.cli.home import FINDING, Failure, run
from services.cli.output import say
from services.cli.place import Place, data_option, opened
from services.cli.private import new_file, private_directory, private_file, require_absent
from services.cli.source import Source, audited, source_options
from services.home import Home
from services.runtime.log.port import StoredRecord
from services.runtime.reading import chunks

_PROOF: Final = TypeAdapter(Proof)
_OF_A_PROOF: Final = ("event.json", "proof.json")

key_option = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The file with the private key, as ontrack audit key makes it.",
)
public_option = click.option("--public-key", "public", metavar="KEY", help="The public key: the text, or its file.")


@click.command("key", short_help="Make a key to sign checkpoints with.")
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
def key(name: str, output: Path) -> None:
    """Make a key to sign checkpoints with, in the name of NAME, and print the public one.

    The file is for whoever signs alone. Give the public key to whoever is to verify, by another way than the log.

    Example: ontrack audit key north.example --output seal.key
    """
    if output.exists():
        raise Failure(f"{output} is there already: a key that has signed is not written over")
    try:
        signer = Signer.make(name)
    except NoteInvalid as wrong:
        raise Failure(f"NAME: {wrong}") from None
    with private_file(output) as stream:
        stream.write(f"{signer.written()}\n".encode())
    click.echo(str(signer.verifier))


@click.command("seal", short_help="Sign a checkpoint of the log.")
@data_option
@key_option
@click.option("--output", type=click.Path(path_type=Path), help="A directory to which the checkpoint is written too.")
def seal(place: Place, key_file: Path, output: Path | None) -> None:
    """Sign a checkpoint of the log: what stands there now can be shown to stand there still, whatever is done later.

    It goes on the log, and to a file in --output. That file is for somebody else to keep: who can change the log can
    change what stands on it of checkpoints too.

    Over a log that lacks what this key has sealed before, by the checkpoints on it or its newest in --output, nothing
    is signed; the exit code is 1 then. The log is held to newer ones there of another key too. Where one of these is
    damaged, it is named, and nothing is signed either.

    Example: ontrack audit seal --data DIR --key seal.key --output /mnt/elsewhere
    """
    sealed = run(_seal(place, _signer(key_file), output))
    if output is not None:
        private_directory(output)
        file = output / file_name(sealed.checkpoint)
        with new_file(file) as stream:
            stream.write(sealed.note.encode())
        say(f"The checkpoint is in {file}. Let somebody else keep it.")
    else:
        click.echo(sealed.note, nl=False)
    say(f"{sealed.checkpoint.records:,} records were sealed.")


async def _seal(place: Place, signer: Signer, kept: Path | None) -> Sealed:
    async with await opened(place, write=True, takes_up=False) as home:
        try:
            if kept is not None:
                await require_kept(home.log, home.log_id, signer.verifier, kept)
            before = await last_signed(home.log, signer.verifier)
            return await signed(home.log, home.log_id, signer, datetime.now(UTC), before)
        except CheckpointUnusable as unusable:
            raise Failure(str(unusable)) from None
        except NoteInvalid as wrong:
            raise Failure(str(wrong), FINDING) from None


@click.command("prove", short_help="Prove that an event stood on the log.")
@click.argument("event_id", metavar="EVENT-ID")
@source_options
@click.option("--topic", "name", type=click.Choice([topic.name for topic in SEALED]), help="Where it stands.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to write."
)
def prove(event_id: str, source: Source, name: str | None, output: Path) -> None:
    """Prove that an event stood on the log when the first checkpoint that covers it was signed.

    DIR gets two files: the event as it stands on the log, and the proof. With these and the public key anybody can
    check it, by ontrack audit check-proof, without the log. A proof that is there already is not written over.

    Example: ontrack audit prove 4c1c7f0e-… --data DIR --output ./proof
    """
    event_file, proof_file = (output / each for each in _OF_A_PROOF)
    for file in (event_file, proof_file):
        require_absent(file)
    topics = [topic for topic in SEALED if name in (None, topic.name)]
    record, found = run(_prove(source, event_id, topics))
    private_directory(output)
    with new_file(event_file) as stream:
        stream.write(record.value)
    with new_file(proof_file) as stream:
        stream.write(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2) + b"\n")
    where = f"{found.topic}, partition {found.partition}, offset {found.offset}"
    say(f"{event_file} and {proof_file}: it stood on {where}.")


async def _prove(source: Source, event_id: str, topics: list[Topic]) -> tuple[StoredRecord, Proof]:
    async with await audited(source) as home:
        topic, partition, record = await _found(home, event_id, topics)
        try:
            async for each in notes(home.log):
                checkpoint = Checkpoint.said_in(each.note)
                sizes = {line[:2]: line.size for line in checkpoint.lines}
                if record.offset < sizes.get((topic.name, partition), 0):
                    return record, await proof(home.log, each.note, checkpoint, topic, partition, record.offset)
        except NoteInvalid as wrong:
            raise Failure(str(wrong), FINDING) from None
    raise Failure("no checkpoint was signed since the event was recorded; ontrack audit seal signs one", FINDING)


async def _found(home: Home, event_id: str, topics: list[Topic]) -> tuple[Topic, int, StoredRecord]:
    """Find an event: the first of its bytes, where it was said first. Raises Failure."""
    for topic in topics:
        for partition in range(topic.partitions):
            async for chunk in chunks(home.log, topic, partition):
                for record in chunk:
                    if event_id.encode() in record.value and id_of(record.value) == event_id:
                        return topic, partition, record
    raise Failure(f"no event on the log has the id {event_id}", FINDING)


@click.command("check-proof", short_help="Check such a proof.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@public_option
def check_proof(directory: Path, public: str | None) -> None:
    """Check a proof, with nothing but itself, the event and the public key.

    DIR holds event.json and proof.json, as ontrack audit prove writes them. The exit code is 1 if nothing is shown.

    Example: ontrack audit check-proof ./proof --public-key north.example+…
    """
    verifier = verifier_of(public)
    try:
        record, text = ((directory / name).read_bytes() for name in _OF_A_PROOF)
    except OSError as error:
        raise Failure(f"{error.filename}: {os.strerror(error.errno or 0)}") from None
    try:
        found = _PROOF.validate_json(text)
        checkpoint = found.shows(record, verifier)
    except ValidationError:
        raise Failure(f"{directory / _OF_A_PROOF[1]}: a proof was expected", FINDING) from None
    except NoteInvalid as wrong:
        raise Failure(str(wrong), FINDING) from None
    where = f"{found.topic}, partition {found.partition}, offset {found.offset}"
    say(f"It is shown: the event {id_of(record)} stood on {where}, of the log {checkpoint.log}.")
    say(f"{verifier.name} signed that at {instant(checkpoint.at)}.")


def _signer(file: Path) -> Signer:
    try:
        return signer_in(file)
    except KeyUnusable as unusable:
        raise Failure(str(unusable)) from None


def verifier_of(public: str | None) -> Verifier:
    """Read a public key, or the file that holds one. Raises Failure."""
    if public is None:
        raise Failure("--public-key: the public key of whoever has signed was expected")
    try:
        return Verifier.read(public if "+" in public else Path(public).read_text())
    except OSError as error:
        raise Failure(f"{public}: {os.strerror(error.errno or 0)}") from None
    except (NoteInvalid, UnicodeDecodeError) as wrong:
        raise Failure(f"--public-key: {wrong if isinstance(wrong, NoteInvalid) else 'a key was expected'}") from None


def checkpoint_in(file: Path, verifier: Verifier) -> Checkpoint:
    """Read a checkpoint that somebody has kept. Raises Failure."""
    try:
        return Checkpoint.read(verifier.opened(file.read_text()))
    except (NoteInvalid, UnicodeDecodeError) as wrong:
        raise Failure(f"{file}: {wrong if isinstance(wrong, NoteInvalid) else 'a checkpoint was expected'}") from None
