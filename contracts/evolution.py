"""How an immutable value becomes another: most of it as it was, some of it changed."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace as evolved
else:
    ValueT = TypeVar("ValueT")

    def evolved(value: ValueT, /, **changes: Any) -> ValueT:  # noqa: ANN401 - type checkers see dataclasses.replace
        """Give a frozen dataclass (without slots) with some fields changed, as `dataclasses.replace` does.

        Five times as fast: it copies what is known to be valid instead of initialising it anew. A state evolves some
        eight times for one answer, so this is a tenth of the time of an import.
        """
        other = object.__new__(type(value))
        other.__dict__.update(value.__dict__)
        other.__dict__.update(changes)
        return other


__all__ = ["evolved"]
