"""A bundle that is not as it was written is refused."""

import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import NOTICES
from tests.auditor.handed import Handed, parts, torn_off, with_another_record
from tests.auditor.tampering import Tampering
from tests.support.command import ontrack


def with_another_manifest(name: str, content: bytes) -> bytes:
    return content.replace(b'"records": ', b'"records": 1') if name == "raw/manifest.json" else content


def beyond_all_offsets(name: str, content: bytes) -> bytes:
    return content.replace(b'"end": ', b'"end": 99999999999999999999') if name == "raw/manifest.json" else content


def without_a_member(name: str, content: bytes) -> bytes | None:
    return None if name.startswith("raw/rom.tracks.v1") else content


def with_another_word(name: str, content: bytes) -> bytes:
    return content.replace(b"urn:ontrack", b"urn:offtrack") if name == "canonical/rom.tracks.v1.ndjson" else content


def of_another_form(name: str, content: bytes) -> bytes:
    return content.replace(b"ontrack-bundle/1", b"ontrack-bundle/9") if name.endswith("manifest.json") else content


def of_another_log(name: str, content: bytes) -> bytes:
    return re.sub(rb'"log": "[^"]*"', b'"log": "another"', content) if name.endswith("manifest.json") else content


def of_more_cases(name: str, content: bytes) -> bytes:
    return re.sub(rb'"cases": \d+', b'"cases": 99', content) if name == "canonical/manifest.json" else content


def without_manifests(name: str, content: bytes) -> bytes | None:
    return None if name.endswith("manifest.json") else content


BROKEN: Final = (
    with_another_manifest,
    beyond_all_offsets,
    without_a_member,
    with_another_record,
    with_another_word,
    of_another_form,
    of_another_log,
    of_more_cases,
    without_manifests,
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_bundle_that_is_not_as_it_was_written_is_refused(
    handed: Handed, tmp_path: Path, broken: Callable[[str, bytes], bytes | None]
) -> None:
    handed.rewritten(broken)
    for ran in (
        handed.verify(keys=False),
        ontrack("audit", "diff", handed.file, handed.file),
        ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "home"),
    ):
        assert ran.exit_code == 1
        assert str(handed.file) in ran.told
        assert "Traceback" not in ran.told
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["README", "canonical/manifest.json", "raw/rom.cases.v1/99.ndjson"])
def test_a_bundle_with_more_in_it_than_its_manifests_speak_of_is_refused(handed: Handed, name: str) -> None:
    """Of two files by one name, one program reads the first and another the last."""
    with zipfile.ZipFile(handed.file, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(name, handed_manifest(handed) if name.endswith(".json") else b"")
    ran = handed.verify(keys=False)
    assert (ran.exit_code, "it holds other files than its manifests speak of" in ran.told) == (1, True)


@pytest.mark.parametrize(("content", "code"), [(b"", 0), (b"words for somebody", 1)], ids=["empty", "with bytes"])
def test_a_folder_in_a_bundle_is_empty_or_the_bundle_is_refused(handed: Handed, content: bytes, code: int) -> None:
    with zipfile.ZipFile(handed.file, "a") as archive:
        archive.writestr("canonical/notes/", content)
    ran = handed.verify(keys=False)
    assert (ran.exit_code, "it holds other files than its manifests speak of" in ran.told) == (code, bool(content))


def test_a_bundle_with_a_file_that_has_no_name_is_refused(handed: Handed) -> None:
    # given a file in a bundle whose name is said to be a comment on it
    content = bytearray(handed.file.read_bytes())
    header = content.index(b"PK\x01\x02")
    content[header + 32 : header + 34] = content[header + 28 : header + 30]
    content[header + 28 : header + 30] = bytes(2)
    handed.file.write_bytes(content)

    # then the bundle is refused with one sentence
    ran = handed.verify(keys=False)
    assert (ran.exit_code, str(handed.file) in ran.told, "Traceback" in ran.told) == (1, True, False), ran.told


def handed_manifest(handed: Handed) -> bytes:
    with zipfile.ZipFile(handed.file) as archive:
        return archive.read("canonical/manifest.json")


def test_parts_that_do_not_say_the_same_are_found(
    handed: Handed, tmp_path: Path, tampering: Tampering, p1: str
) -> None:
    # given a bundle whose two parts are of two histories, each as it was written
    torn_off(tampering, p1)
    folder = tmp_path / "other"
    folder.mkdir()
    other = parts(Handed(folder, tampering.home).file, "canonical/")
    handed.rewritten(other.get)

    # when it is verified
    found = handed.findings()

    # then the topic is named on which they differ
    assert [(each["finding"], each["topic"]) for each in found] == [("parts-differ", NOTICES.name)]

    # and no home is made of it
    ran = ontrack("import", handed.file, "--keys", handed.keys, "--data", tmp_path / "new")
    assert (ran.exit_code, "the history does not verify, nothing was taken: 1 finding;" in ran.told) == (1, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cut", [0, 10, 2_000, -5_000])
def test_what_is_no_bundle_is_refused(handed: Handed, cut: int) -> None:
    handed.file.write_bytes(handed.file.read_bytes()[:cut])
    ran = handed.verify()
    assert (ran.exit_code, "a bundle was expected" in ran.told) == (1, True)


@pytest.mark.parametrize("pressed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=["lzma", "bzip2"])
def test_a_bundle_that_is_pressed_in_another_way_is_refused(handed: Handed, pressed: int) -> None:
    # given a bundle that somebody has written anew, and of which two bytes were changed since
    handed.rewritten(lambda _, content: content, pressed)
    content = bytearray(handed.file.read_bytes())
    content[1_000:1_002] = bytes(255 - each for each in content[1_000:1_002])
    handed.file.write_bytes(content)

    # then it is refused before anything of it is read
    ran = handed.verify(keys=False)
    assert (ran.exit_code, "its files were expected stored or deflated" in ran.told) == (1, True), ran.told


@pytest.mark.parametrize(
    ("found", "flags", "name"), [(b"PK\x01\x02", 9, 46), (b"PK\x03\x04", 7, 30)], ids=["list", "file"]
)
def test_a_bundle_with_a_name_that_is_no_text_is_refused(handed: Handed, found: bytes, flags: int, name: int) -> None:
    # given a file in a bundle whose name is said to be UTF-8, and is not
    content = bytearray(handed.file.read_bytes())
    header = content.index(found)
    content[header + flags] |= 0x08
    content[header + name] = 0xFF
    handed.file.write_bytes(content)

    # then the bundle is refused with one sentence
    ran = handed.verify(keys=False)
    assert (ran.exit_code, "a bundle was expected, whole and not changed" in ran.told) == (1, True), ran.told
