"""States as a store holds them: sealed under the key of their case, bound to stage and case."""

from collections.abc import Collection
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from pydantic import TypeAdapter, ValidationError

from contracts.codec import CaseKey
from services.runtime.keyring.port import Keyring
from services.runtime.stage import Stage
from services.runtime.store.port import Store, StoredState

StateT = TypeVar("StateT")


class StateUnreadable(Exception):
    """A stored state is not what this stage wrote for this case. Says nothing of what it holds."""


def open_state(
    states: TypeAdapter[StateT], stage: Stage[StateT], case_id: str, key: CaseKey, stored: StoredState
) -> StateT:
    """Open a sealed state. Raises StateUnreadable if it was changed, or is of another case, stage or shape.

    One of another shape can look like one of this: a field can mean something else now.
    """
    says = f"the stored state of case {case_id} in {stage.name}"
    if stored.schema != stage.schema:
        raise StateUnreadable(f"{says} has shape {stored.schema}, this version knows {stage.schema}")
    try:
        return states.validate_json(key.unseal(stored.body, stage.name.encode(), case_id.encode()))
    except (InvalidTag, ValidationError):
        raise StateUnreadable(f"{says} cannot be read") from None


async def open_states(
    store: Store, keyring: Keyring, states: TypeAdapter[StateT], stage: Stage[StateT], case_ids: Collection[str]
) -> dict[str, StateT]:
    """Give what a stage knows of some cases, in their order; one of which it knows, or can read, nothing is absent.

    Raises StateUnreadable, StatesLost, Unavailable.
    """
    stored = await store.load(stage.name, case_ids)
    keys = await keyring.keys(stored)
    return {
        case_id: open_state(states, stage, case_id, key, stored[case_id])
        for case_id in case_ids
        if isinstance(key := keys.get(case_id), CaseKey)
    }
