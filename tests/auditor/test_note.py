"""Signed notes: the published example is made and read to the byte, and what was changed is not believed."""

from typing import Final

import pytest

from services.auditor.note import NoteInvalid, Signer, Verifier

PUBLIC: Final = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PRIVATE: Final = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT: Final = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE: Final = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE: Final = f"{TEXT}\n— PeterNeumann {SIGNATURE}\n"
"""The example that implementations of the format share."""


def test_the_published_example_is_made_and_read_to_the_byte() -> None:
    signer = Signer.read(PRIVATE)
    assert signer.written() == PRIVATE
    assert str(signer.verifier) == PUBLIC
    assert signer.signed(TEXT) == NOTE
    assert Verifier.read(PUBLIC).opened(NOTE) == TEXT


def test_a_note_that_others_have_signed_too_is_believed_by_each_for_itself() -> None:
    ours, theirs = Signer.make("clinic"), Signer.make("witness")
    note = ours.signed(TEXT) + theirs.signed(TEXT).rpartition("\n\n")[2]
    assert {each.verifier.opened(note) for each in (ours, theirs)} == {TEXT}
    with pytest.raises(NoteInvalid, match="a signature of clinic with this very key was expected"):
        Signer.make("clinic").verifier.opened(note)


@pytest.mark.parametrize(
    ("note", "says"),
    [
        (NOTE.replace("answer", "Answer"), "does not go with the text"),
        (NOTE.replace("BwJnAM", "BwKnAM"), "does not go with the text"),
        (NOTE.replace("BwJnAM", "BwJnAN"), "base64 was expected"),
        (NOTE.replace("x08go", "y08go"), "a signature of PeterNeumann with this very key was expected"),
        (NOTE.replace("\n\n", "\n"), "a signed note was expected"),
        (NOTE.rstrip("\n"), "a signed note was expected"),
        (NOTE.replace("— ", "- "), "a signature was expected on each line"),
        (NOTE.replace("JnAM=", "JnAM"), "base64 was expected"),
        (f"{NOTE}— witness JnAM===\n", "base64 was expected"),
        (f"{NOTE}- witness JnAM\n", "a signature was expected on each line"),
        (f"{TEXT}\n", "a signed note was expected"),
        (TEXT, "a signed note was expected"),
    ],
)
def test_what_was_changed_is_not_believed(note: str, says: str) -> None:
    with pytest.raises(NoteInvalid, match=says):
        Verifier.read(PUBLIC).opened(note)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("PeterNeumann", r"as NAME\+HASH\+KEY"),
        (PUBLIC.replace("c74f20a3", "c74f20a4"), "whose hash goes with it"),
        (PUBLIC.replace("Peter", "Paul"), "whose hash goes with it"),
        (PUBLIC[:-4], "an Ed25519 key was expected"),
        (PUBLIC.replace("+AR", "+BR"), "an Ed25519 key was expected"),
        (PUBLIC[:-1], "base64 was expected"),
    ],
)
def test_a_key_that_is_none_is_refused(key: str, says: str) -> None:
    with pytest.raises(NoteInvalid, match=says):
        Verifier.read(key)
    with pytest.raises(NoteInvalid, match="which begins with PRIVATE"):
        Signer.read(key)
    with pytest.raises(NoteInvalid, match=says):
        Signer.read(f"PRIVATE+KEY+{key}")


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_a_name_that_cannot_stand_in_a_note_is_refused(name: str) -> None:
    with pytest.raises(NoteInvalid, match="a name without spaces"):
        Signer.make(name)


def test_a_private_key_is_not_shown() -> None:
    signer = Signer.read(PRIVATE)
    assert PRIVATE.rpartition("+")[2] not in repr(signer)
    assert repr(signer.secret) not in repr(signer)
