"""What came after the session that a report speaks of: a report stays as it is, and the patient goes on."""

from services.pages.subject import Now, Subject
from services.pages.words import Words, sentence, within


def afterwards(subject: Subject) -> str:
    """Say whether what the report tells is over, and how the latest session was; nothing where none came later."""
    now, content = subject.now, subject.content
    if now is None or (content.judged and now.session <= content.judged[-1].session):
        return ""
    words, said = subject.words, []
    if now.over_since is not None:
        ended = "silent" if content.kind == "silent" else "on_track" if now.on_track_since else "not"
        said.append(words(f"after.over.{ended}", session=words.session(now.over_since)))
    if now.session != now.over_since:
        said.append(words("after.latest", latest=within(latest(now, words))))
    return " ".join(said)


def over(now: Now, words: Words) -> str:
    """Say in a few words since when it is over, and no more than is true: a patient can be not on track again."""
    if now.over_since is None:
        return ""
    return words("index.on_track" if now.on_track_since else "index.over", session=words.session(now.over_since))


def latest(now: Now, words: Words) -> str:
    """Name the latest judged session and its status."""
    said = words("after.status", session=words.session(now.session), status=words(f"status.{now.status}"))
    return sentence(said)
