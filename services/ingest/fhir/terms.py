"""What OnTrack is called in FHIR, and the codes of FHIR R4 (4.0.1) that are used or understood."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

VERSION: Final = "4.0.1"
MEDIA_TYPE: Final = "application/fhir+json"

QUESTIONNAIRE: Final = "urn:ontrack:questionnaire:"
"""Begins the canonical URL of the questionnaire of an instrument; its id follows."""

INSTRUMENT: Final = "urn:ontrack:instrument"
"""The code system of instruments; that of the items of one is this with `:` and its id."""

NUMBER: Final = "urn:ontrack:number"
"""The system of the clinic's own numbers of patients, as they stand in the directory."""

RESPONSE: Final = "urn:ontrack:response"
"""The system of responses: the id of the fact that recorded one."""

SESSION: Final = "urn:ontrack:session"
"""The extension that says for which session of the case's course was answered."""

ANSWERED_AT: Final = "urn:ontrack:answered-at"
"""The extension that says when an amended response was answered first."""

PROBLEM: Final = "urn:ontrack:problem"
"""The system of the codes of problems."""

ORDINAL: Final = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
PREFIX: Final = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionPrefix"
LOWEST: Final = "http://hl7.org/fhir/StructureDefinition/minValue"
HIGHEST: Final = "http://hl7.org/fhir/StructureDefinition/maxValue"
TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"

IssueCode = Literal[
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
]
Severity = Literal["fatal", "error", "warning", "information"]

_PUBLICATION: Final = frozenset({"draft", "active", "retired", "unknown"})

VALUE_SETS: Final[Mapping[tuple[str, str], frozenset[str]]] = MappingProxyType(
    {
        ("QuestionnaireResponse", "status"): frozenset(
            {"in-progress", "completed", "amended", "entered-in-error", "stopped"}
        ),
        ("Questionnaire", "status"): _PUBLICATION,
        ("item", "type"): frozenset(
            {
                "group",
                "display",
                "boolean",
                "decimal",
                "integer",
                "date",
                "dateTime",
                "time",
                "string",
                "text",
                "url",
                "choice",
                "open-choice",
                "attachment",
                "reference",
                "quantity",
            }
        ),
        ("identifier", "use"): frozenset({"usual", "official", "temp", "secondary", "old"}),
        ("text", "status"): frozenset({"generated", "extensions", "additional", "empty"}),
        ("issue", "severity"): frozenset(get_args(Severity)),
        ("issue", "code"): frozenset(get_args(IssueCode)),
        ("Bundle", "type"): frozenset(
            {
                "document",
                "message",
                "transaction",
                "transaction-response",
                "batch",
                "batch-response",
                "history",
                "searchset",
                "collection",
            }
        ),
        ("search", "mode"): frozenset({"match", "include", "outcome"}),
        ("CapabilityStatement", "status"): _PUBLICATION,
        ("CapabilityStatement", "kind"): frozenset({"instance", "capability", "requirements"}),
        ("CapabilityStatement", "fhirVersion"): frozenset({VERSION}),
        ("rest", "mode"): frozenset({"client", "server"}),
        ("interaction", "code"): frozenset(
            {
                "read",
                "vread",
                "update",
                "patch",
                "delete",
                "history-instance",
                "history-type",
                "create",
                "search-type",
                "transaction",
                "batch",
                "search-system",
                "history-system",
            }
        ),
        ("searchParam", "type"): frozenset(
            {"number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}
        ),
    }
)
"""The codes that an element can have, where R4 allows no others: by the element that it is in, and its name."""
