"""What this server does of FHIR, as it says it itself (CapabilityStatement)."""

from importlib.metadata import version
from typing import Final

from services.ingest.fhir.outcome import Resource
from services.ingest.fhir.terms import MEDIA_TYPE, VERSION

CHANGED: Final = "2026-10-01"
"""When what is said here changed last."""


def capability_statement() -> Resource:
    """Give the statement."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": CHANGED,
        "kind": "instance",
        "software": {"name": "OnTrack", "version": version("ontrack")},
        "implementation": {"description": "Routine outcome monitoring: questionnaires, and the responses to them."},
        "fhirVersion": VERSION,
        "format": [MEDIA_TYPE, "application/json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "A bearer token of a client; a client has one clinic and one role."},
                "resource": [
                    {
                        "type": "Questionnaire",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [{"name": "url", "type": "uri"}],
                    },
                    {
                        "type": "QuestionnaireResponse",
                        "interaction": [{"code": "create"}, {"code": "read"}, {"code": "search-type"}],
                        "searchParam": [
                            {"name": "subject", "type": "reference"},
                            {"name": "patient", "type": "reference"},
                        ],
                    },
                ],
            }
        ],
    }
