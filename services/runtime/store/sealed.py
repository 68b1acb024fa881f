"""States as a store holds them: sealed under the key of their case, bound to stage and case."""

from typing import TypeVar

from cryptography.exceptions import InvalidTag
from pydantic import TypeAdapter, ValidationError

from contracts.codec import CaseKey
from services.runtime.store.port import StoredState

StateT = TypeVar("StateT")


class StateUnreadable(Exception):
    """A stored state is not what this stage wrote for this case. Says nothing of what it holds."""


def open_state(states: TypeAdapter[StateT], stage: str, case_id: str, key: CaseKey, stored: StoredState) -> StateT:
    """Open a sealed state. Raises StateUnreadable if it was changed, or is of another case, stage or shape."""
    try:
        return states.validate_json(key.unseal(stored.body, stage.encode(), case_id.encode()))
    except (InvalidTag, ValidationError):
        raise StateUnreadable(f"the stored state of case {case_id} in {stage} cannot be read") from None
