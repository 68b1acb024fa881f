"""Facts of a case as sentences. A person's own words, and answers, are only told to somebody who asks for them."""

from functools import singledispatch

from contracts.events import facts
from contracts.events.event import Data
from services.cli.grounds import ground_in_words
from services.cli.naming import Naming
from services.cli.screen import minute

_ENDS = {"completed": "completed", "dropped_out": "dropped out", "referred": "referred", "other": "other reasons"}
_ENTERED = {"patient": "answered", "clinic": "entered by the clinic", "import": "imported", "ehr": "taken from the EHR"}


@singledispatch
def fact(data: Data, naming: Naming) -> str:  # noqa: ARG001 - what is not known here is told by its name
    """Tell a fact."""
    return data.type()


@fact.register
def _(data: facts.CaseEnrolled, naming: Naming) -> str:
    group = f"enrolled in group {data.group}" if data.group else "enrolled"
    return f"{group}: protocol {naming.short(data.protocol)}, policy {naming.short(data.policy)}"


@fact.register
def _(data: facts.CaseTransferred, naming: Naming) -> str:
    return f"moved to group {data.group}{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.PolicyChanged, naming: Naming) -> str:
    policy = naming.short(data.policy)
    return f"policy {policy} from session {data.from_session} on, decided by {data.by}{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.CaseClosed, naming: Naming) -> str:
    return f"the course ended: {_ENDS[data.reason]}{naming.revealed(data.note)}"


@fact.register
def _(data: facts.CaseErased, naming: Naming) -> str:  # noqa: ARG001 - all are told by one signature
    return f"erased by {data.by}: {ground_in_words(data.ground)}"


@fact.register
def _(data: facts.SessionScheduled, naming: Naming) -> str:
    return f"{naming.session(data.session)} planned for {minute(data.scheduled)}"


@fact.register
def _(data: facts.SessionMoved, naming: Naming) -> str:
    return f"{naming.session(data.session)} moved to {minute(data.scheduled)}{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.SessionCancelled, naming: Naming) -> str:
    return f"{naming.session(data.session)} cancelled{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.SessionDue, naming: Naming) -> str:
    return f"{naming.session(data.session)}: its time came"


@fact.register
def _(data: facts.SessionAttended, naming: Naming) -> str:
    return f"{naming.session(data.session)}: the patient was there"


@fact.register
def _(data: facts.SessionAbsent, naming: Naming) -> str:
    return f"{naming.session(data.session)}: the patient was not there{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.OccasionOpened, naming: Naming) -> str:
    form = naming.instrument(data.instrument)
    return f"{naming.session(data.session)}: {form} asked for, until {minute(data.closes)}"


@fact.register
def _(data: facts.OccasionClosed, naming: Naming) -> str:
    return f"{naming.session(data.session)}: {naming.instrument(data.instrument)} no longer asked for"


@fact.register
def _(data: facts.ResponseSubmitted, naming: Naming) -> str:
    how = _ENTERED[data.entered_by]
    told = f"{naming.session(data.session)}: {naming.instrument(data.instrument)} {how}"
    return told + naming.answers(data.instrument, data.answers) + naming.comment(data.comment)


@fact.register
def _(data: facts.ResponseCorrected, naming: Naming) -> str:
    where, instrument = naming.response(data.response)
    told = f"{where}: corrected by {data.by}{naming.revealed(data.reason)}"
    return told + naming.answers(instrument, data.answers) + naming.comment(data.comment)


@fact.register
def _(data: facts.ResponseWithdrawn, naming: Naming) -> str:
    where, _ = naming.response(data.response)
    return f"{where}: withdrawn by {data.by}{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.ProblemNamed, naming: Naming) -> str:
    return f"problem {data.problem} named in the patient's own words{naming.revealed(data.text)}"


@fact.register
def _(data: facts.BaselineSet, naming: Naming) -> str:
    scale = f"{data.instrument}/{data.scale}"
    return f"baseline of {scale} set to {naming.number(data.value)} by {data.by}{naming.revealed(data.reason)}"


@fact.register
def _(data: facts.ReportSeen, naming: Naming) -> str:
    return f"report {naming.report(data.report)} seen by {data.by}"


@fact.register
def _(data: facts.ReportDiscussed, naming: Naming) -> str:
    confirmed = ", as the patient confirms" if data.confirmed_by_patient else ""
    return f"report {naming.report(data.report)} talked about by {data.by} and the patient{confirmed}"


@fact.register
def _(data: facts.NeedsStated, naming: Naming) -> str:
    needs = ", ".join(naming.need(need) for need in data.needs) or "none"
    report = f"report {naming.report(data.report)}, " if data.report else ""
    return f"{report}needs as the {data.seen_by} sees them: {needs}{naming.revealed(data.text)}"


@fact.register
def _(data: facts.ActionChosen, naming: Naming) -> str:
    agreed = "the patient agreed" if data.patient_agreed else "the patient did not agree"
    told = f"report {naming.report(data.report)}, chosen by {data.by}: {naming.action(data.action)}; {agreed}"
    return told + naming.revealed(data.note)


@fact.register
def _(data: facts.ReportClosed, naming: Naming) -> str:
    return f"report {naming.report(data.report)} closed by {data.by}{naming.revealed(data.note)}"


@fact.register
def _(data: facts.NoticeSent, naming: Naming) -> str:
    tries = "" if data.attempts == 1 else f" after {data.attempts} tries"
    return f"notice {naming.report(data.notice)} sent to {data.recipient}{tries}"


@fact.register
def _(data: facts.NoticeFailed, naming: Naming) -> str:
    whom = data.recipient or "anybody"
    return f"notice {naming.report(data.notice)} could not be sent to {whom}: {data.reason}"
