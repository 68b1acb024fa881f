"""How an instrument stands in FHIR: as its definition says, or else under its own id and those of its items."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.definitions.fhir import Coding, InFhir, LinkedItem
from contracts.definitions.instrument import Instrument
from services.ingest.fhir.terms import INSTRUMENT, QUESTIONNAIRE


class Form:
    """An instrument with its link ids and codes. ref: the full reference of its definition."""

    def __init__(self, ref: str, instrument: Instrument) -> None:
        """Read what the definition declares."""
        self.ref = ref
        self.instrument = instrument
        self.declared = instrument.fhir or _own(instrument)

    @property
    def url(self) -> str:
        """Name the questionnaire, whatever its version."""
        return f"{QUESTIONNAIRE}{self.instrument.id}"

    @property
    def canonical(self) -> str:
        """Name the questionnaire in its version."""
        return f"{self.url}|{self.instrument.version}"

    @property
    def resource_id(self) -> str:
        """Name the questionnaire as a resource of this server."""
        return f"{self.instrument.id}.{self.instrument.version}"

    @cached_property
    def items(self) -> Mapping[str, str]:
        """Give the item that each link id names."""
        return {link: name for name, item in self.declared.items.items() for link in item.links}

    def coding(self, item_id: str, value: int) -> dict[str, str] | None:
        """Give the code of an answer; None if it stands as a number."""
        answers = self.declared.items[item_id].answers
        if not answers or self.declared.answer_system is None:
            return None
        lowest, _ = self.instrument.ranges[item_id]
        return {"system": self.declared.answer_system, "code": answers[value - lowest]}

    def value_of(self, item_id: str, coding: Mapping[str, Any]) -> int | None:
        """Give the value that a code stands for; None if it is none of the codes of this item."""
        answers = self.declared.items[item_id].answers
        code = coding.get("code")
        if coding.get("system") != self.declared.answer_system or code not in answers:
            return None
        return self.instrument.ranges[item_id][0] + answers.index(code)

    def expected(self, item_id: str) -> str:
        """Say what is expected of an answer."""
        item, (lowest, highest) = self.instrument.item(item_id), self.instrument.ranges[item_id]
        number = f"a whole number from {lowest} to {highest} as valueInteger or valueDecimal"
        if self.declared.items[item_id].answers:
            return f"a valueCoding with a code that {self.url} has for it in {self.declared.answer_system}, or {number}"
        return f"a valueBoolean, or {number}" if item.answers == "yes_no" else number

    def takes(self, item_id: str, value: int | Decimal) -> bool:
        """Tell whether a number is a value of an item."""
        lowest, highest = self.instrument.ranges[item_id]
        return lowest <= value <= highest and value == int(value)


def forms(definitions: Catalogue) -> list[Form]:
    """Give every instrument that is known, each in all of its versions."""
    return [Form(ref, instrument) for ref, instrument in definitions.of_kind(Instrument)]


def forms_meant(definitions: Catalogue, canonical: str) -> list[Form]:
    """Find what a canonical URL, `|version` or not, can mean or has meant: instruments, each by id and version.

    A public questionnaire has versions of its own, which say nothing of ours.
    """
    url, _, version = canonical.partition("|")
    return [
        form
        for form in forms(definitions)
        if (form.url == url and version in ("", str(form.instrument.version))) or url in form.declared.questionnaires
    ]


def forms_named(definitions: Catalogue, canonical: str) -> list[Form]:
    """Find the instruments that a canonical URL names: of each the newest version that it can mean."""
    return list({id_of(form.ref): form for form in forms_meant(definitions, canonical)}.values())


def _own(instrument: Instrument) -> InFhir:
    system = f"{INSTRUMENT}:{instrument.id}"
    items = {
        item.id: LinkedItem(links=(item.id,), code=Coding(system=system, code=item.id)) for item in instrument.items
    }
    return InFhir(sources=("OnTrack's own",), code=Coding(system=INSTRUMENT, code=instrument.id), items=items)
