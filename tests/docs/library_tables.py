"""The tables of the clinical rules that say what ships, as the library has them."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import CutOff, Instrument, Scale
from contracts.definitions.policy import Deterioration, NoChange, Policy
from contracts.definitions.protocol import Ask, Protocol
from tests.docs.markdown import Row

ORDER: Final = ("odsis", "life-events", "psychlops-2", "homework", "gq-12", "who-5", "phq-9", "bdi-ii", "needs-check")
_ASKED: Final = {
    "before_session": "before the session",
    "after_session": "right after the session",
    "by_clinic": "entered by the clinic",
}
_FORMULA: Final = {"sum/1": "sum", "mean/1": "mean", "item/1": "the answer", "count/1": "how many yes"}
_ILL: Final = {
    "at_least": "{} or more",
    "more_than": "more than {}",
    "at_most": "{} or less",
    "less_than": "less than {}",
}


@cache
def _library() -> Catalogue:
    return Catalogue(library())


def instruments() -> list[Instrument]:
    """Give the instruments that ship, in the order of the page."""
    known = {model.id: model for _, model in _library().of_kind(Instrument)}
    return [known[name] for name in ORDER] + [model for name, model in known.items() if name not in ORDER]


def instrument_rows() -> Iterator[Row]:
    """Say what each instrument is."""
    asked = {ask.instrument.partition("@")[0]: _when(ask) for ask in _course().asks}
    for model in instruments():
        ranges = {f"{item.lowest}–{item.highest}" for item in model.items}
        kinds = {"yes/no" if item.answers == "yes_no" else "" for item in model.items}
        yield {
            "id": f"`{model.id}`",
            "questions": str(len(model.items)),
            "each": kinds.pop() or ranges.pop(),
            "scales": "; ".join(_scale(model, scale) for scale in model.scales) or "none",
            "asked": _ASKED[model.asked],
            "in the group course": asked.get(model.id, "not asked"),
            "cut-offs": "; ".join(f"`{c.id}`: {_ill(c)}" for c in model.cut_offs) or "none",
            "flags": "; ".join(_flags(model)) or "none",
            "provisional": "yes" if model.provisional else "no",
        }


def cut_off_rows() -> Iterator[Row]:
    """Say where each cut-off comes from."""
    for model in instruments():
        for cut_off in model.cut_offs:
            yield {
                "instrument": f"`{model.id}`",
                "cut-off": f"`{cut_off.id}`",
                "ill is": _ill(cut_off),
                "meaning": cut_off.meaning.en,
                "found in": cut_off.population,
                "source": cut_off.source,
            }


def policy_rows() -> Iterator[Row]:
    """Say what each policy judges by."""
    for _, model in sorted(_library().of_kind(Policy), key=lambda pair: pair[1].id):
        worse = next(rule for rule in model.rules if isinstance(rule, Deterioration))
        same = next(rule for rule in model.rules if isinstance(rule, NoChange))
        yield {
            "policy": f"`{model.id}`",
            "primary scale": f"`{model.primary.instrument.partition('@')[0]}`, `{model.primary.scale}`",
            "healthy": f"`{model.primary.healthy}`",
            "deterioration": f"{worse.at_least} points worse than the {worse.compared_with}",
            "no change": f"less than {same.less_than} points at each of {same.sessions} sessions",
            "compared with": f"`{same.compared_with}`",
        }


def need_rows() -> Iterator[Row]:
    """Say which needs there are."""
    for need in guidance().needs:
        yield {"need": f"`{need.id}`", "sides of it": "; ".join(theme.title.en for theme in need.themes)}


def action_rows() -> Iterator[Row]:
    """Say which actions there are."""
    for action in guidance().actions:
        yield {
            "action": f"`{action.id}`",
            "comes from": action.origin,
            "answers": ", ".join(f"`{need}`" for need in action.needs) or "none",
        }


def guidance() -> Guidance:
    """Give the guidance that ships."""
    ((_, model),) = _library().of_kind(Guidance)
    return model


def _course() -> Protocol:
    return next(model for _, model in _library().of_kind(Protocol) if model.id == "group-cbt-depression-14")


def _when(ask: Ask) -> str:
    if ask.sessions == "every":
        return "every session"
    first, *_, last = ask.sessions
    return f"sessions {first} to {last}"


def _scale(model: Instrument, scale: Scale) -> str:
    lowest, highest = model.bounds(scale)
    times = f" × {scale.times}" if scale.times > 1 else ""
    return f"`{scale.id}`: {_FORMULA[scale.formula]}{times}, {lowest}–{highest}, {scale.worse} is worse"


def _ill(cut_off: CutOff) -> str:
    return _ILL[cut_off.ill].format(cut_off.value)


def _flags(model: Instrument) -> Iterator[str]:
    """Say which answers are marked, limit by limit."""
    counts: dict[tuple[str, str], int] = {}
    for flag in model.flags:
        limit, value = ("at_least", flag.at_least) if flag.at_least is not None else ("at_most", flag.at_most)
        key = flag.kind, _ILL[limit].format(Decimal(value or 0))
        counts[key] = counts.get(key, 0) + len(flag.items)
    for (kind, limit), count in counts.items():
        of = "" if count == len(model.items) else f" ({count} question)" if count == 1 else f" ({count} questions)"
        yield f"{kind}: {limit}{of}"
