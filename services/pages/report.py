"""One report as a page: everything that a therapist reads, in one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language, without_hash
from contracts.events.notices import ReportChange, ReportContent
from services.pages import answers, curves, figures, numbers, proposals, safety, sentences, smallprint
from services.pages.afterwards import afterwards
from services.pages.picture import picture
from services.pages.rendering import footer_string, rendered
from services.pages.subject import Now, Subject
from services.pages.words import Words

State = Literal["open", "retracted"]


def report_page(  # noqa: PLR0913 - each is something else that a page cannot know by itself
    content: ReportContent,
    definitions: Catalogue,
    *,
    patient: str,
    language: Language,
    issued_at: datetime,
    revision: int,
    state: State,
    changes: Sequence[ReportChange],
    now: Now | None,
) -> str:
    """Write a report as a page. Raises DefinitionMissing if it needs a definition that is not in the catalogue.

    patient: how the clinic names the patient
    issued_at: when this revision was issued; its time zone is the one that every moment on the page is told in
    changes: what this revision changed, if it is not the first
    now: how the case stands now, which a report that tells of the past says at its top
    """
    subject = Subject(content, definitions, Words(language), issued_at.tzinfo, now)
    head = _head(subject, patient, issued_at, revision, changes)
    return rendered(
        "report.html",
        subject.words,
        footer=footer_string(f"OnTrack · {head.title} · {subject.words('head.revision')} {revision}"),
        head=head,
        kind=content.kind,
        state=state,
        afterwards="" if state == "retracted" else afterwards(subject),
        is_well=now is not None and now.status == "on_track",
        retraction="retracted.merged" if "merged" in changes else "retracted.why",
        decision=_decision(subject),
        numbers=numbers.numbers(subject),
        picture=picture(subject),
        curves=curves.small_curves(subject),
        answers=_answers(subject),
        guidance=_guidance(subject),
        figures=figures.figures(subject),
        small=smallprint.definitions_of(subject),
        composition=content.composition,
    )


def why_in_one_line(content: ReportContent, definitions: Catalogue, language: Language) -> str:
    """Say why a report was made, as its headline does. Raises DefinitionMissing."""
    return sentences.meaning(Subject(content, definitions, Words(language)))


def why_discreetly(content: ReportContent, definitions: Catalogue, language: Language) -> str:
    """Say why a report was made, and not what the patient answered. Raises DefinitionMissing."""
    return sentences.discreet_meaning(Subject(content, definitions, Words(language)))


@dataclass(frozen=True, slots=True)
class Head:
    """What identifies the report: name and value of each field, in their order."""

    title: str
    fields: tuple[tuple[str, str, str], ...]
    changes: str


def _head(subject: Subject, patient: str, issued_at: datetime, revision: int, changes: Sequence[ReportChange]) -> Head:
    words, content = subject.words, subject.content
    kind = words(f"report.{content.kind}")
    replaced = words("head.revision.later", former=revision - 1) if revision > 1 else words("head.revision.first")
    return Head(
        title=words("title", kind=kind, patient=patient, session=words.session(content.session)),
        fields=(
            (words("head.patient"), patient, ""),
            (words("head.group"), content.group or words("head.no_group"), content.clinic),
            (words("head.session"), *_session(subject)),
            (words("head.date"), words.day(issued_at), f"{issued_at:%H}{words('time_mark')}{issued_at:%M}"),
            (words("head.revision"), words.number(revision), replaced),
        ),
        changes=_changes(subject, changes),
    )


def _changes(subject: Subject, changes: Sequence[ReportChange]) -> str:
    """Say what this revision changed; where only the surroundings did, where to look and what is as it was."""
    if not changes:
        return ""
    words = subject.words
    said = words("head.changes", changes=words.listed([words(f"change.{change}") for change in changes]))
    if tuple(changes) != ("context_changed",):
        return said
    same = words("change.same.safety" if subject.content.kind == "safety" else "change.same")
    return f"{said} {words('change.look')} {same}"


def _session(subject: Subject) -> tuple[str, str]:
    """Name the session of the report, and its topic."""
    words, session = subject.words, subject.content.session
    planned, count = subject.planned(session), subject.planned_count()
    topic = planned.topic.in_language(words.language) if planned is not None else ""
    if isinstance(session, int) and count is not None:
        return words("head.session.of", number=session, count=count), topic
    return words.session(session).removeprefix(f"{words('head.session').lower()} "), topic


def _decision(subject: Subject) -> Mapping[str, object]:
    content, words, policy = subject.content, subject.words, subject.policy
    decision = content.decision
    readings = dict.fromkeys(evidence.reading for evidence in decision.rules) if decision is not None else {}
    judged_by = words("judged_by", title=policy.title.in_language(words.language)) if policy is not None else ""
    return {
        "status": decision.status if decision is not None else content.kind,
        "meaning": sentences.meaning(subject),
        "safety": safety.safety_line(subject),
        "reasons": sentences.reasons(subject),
        "baseline": sentences.no_baseline(subject),
        "notes": sentences.notes(subject),
        "next": proposals.next_step(subject),
        "judged_by": judged_by,
        "policy": without_hash(decision.policy) if decision is not None else "",
        "policy_provisional": policy is not None and policy.provisional,
        "reading": words("reading", readings=words.listed([words(f"reading.{r}") for r in readings]))
        if readings
        else "",
    }


def _answers(subject: Subject) -> Mapping[str, object]:
    return {
        "sheets": answers.sheets(subject),
        "comments": answers.comments(subject),
        "problems": answers.problems(subject),
        "events": answers.events(subject),
        "stated": answers.stated_needs(subject),
    }


def _guidance(subject: Subject) -> Mapping[str, object]:
    guidance = subject.guidance
    return {
        "title": guidance.title.in_language(subject.words.language),
        "preface": guidance.preface.in_language(subject.words.language),
        "provisional": guidance.provisional,
        "suggested": bool(subject.content.needs),
        "needs": proposals.needs(subject),
        "actions": proposals.actions(subject),
        "hours": proposals.hours_in_all(subject),
    }
