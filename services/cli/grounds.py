"""The grounds on which a case is erased. They stand in the open for ever, so they are few, and name nobody."""

from types import MappingProxyType
from typing import Final

GROUNDS: Final = MappingProxyType(
    {
        "asked-for": "the patient asked for it",
        "no-longer-needed": "it had been kept for as long as it may be",
        "recorded-by-mistake": "it should never have been recorded",
        "ordered": "a court or an authority ordered it",
    }
)
"""Ground -> what it says: GDPR, Article 17(1) b and c, a, d, and e."""


def ground_in_words(ground: str) -> str:
    """Tell a ground; one of another program as it stands."""
    return GROUNDS.get(ground, ground)
