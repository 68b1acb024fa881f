"""What came after the session that a report speaks of: a report stays as it is, and the patient goes on."""

from contracts.events.notices import ReportKind
from services.pages.subject import Now, Subject
from services.pages.words import Words, sentence, within


def afterwards(subject: Subject) -> str:
    """Say whether what the report tells is over, and how the latest session was; nothing where none came later."""
    now, content = subject.now, subject.content
    if now is None or (content.judged and now.session <= content.judged[-1].session):
        return ""
    said = [] if now.over_since is None else [over(now, content.kind, subject.words)]
    if now.session != now.over_since:
        said.append(subject.words("after.latest", latest=within(latest(now, subject.words))))
    return " ".join(said)


def over(now: Now, kind: ReportKind, words: Words) -> str:
    """Say since when it is over, and no more than is true: a patient can be not on track again."""
    since = words.session(now.over_since or 0)
    if kind == "silent":
        return words("after.over.silent", session=since)
    return words("after.over.on_track" if now.on_track_since else "after.over", session=since)


def latest(now: Now, words: Words) -> str:
    """Name the latest judged session and its status."""
    said = words("after.status", session=words.session(now.session), status=words(f"status.{now.status}"))
    return sentence(said)
