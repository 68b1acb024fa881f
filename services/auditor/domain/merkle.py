"""Merkle trees as RFC 6962 (section 2.1) has them: one root says which records stand in which order.

A tree grows at its end only. Its frontier, the roots of the full trees that it is made of, is all that is needed to go
on with it: as many hashes as its size has ones in binary.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

EMPTY: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Give the hash of a leaf."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Give the hash of two trees side by side."""
    return sha256(_NODE + left + right).digest()


class Tree:
    """A tree that grows, of which only the frontier is kept."""

    def __init__(self, size: int = 0, frontier: Iterable[bytes] = ()) -> None:
        """Go on with a tree of so many leaves. frontier: the roots of its full trees, the largest first.

        Raises ValueError if these are not as many as such a tree has.
        """
        self.size = size
        self._frontier = list(frontier)
        if len(self._frontier) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} full ones in it")

    @property
    def frontier(self) -> Sequence[bytes]:
        """Give the roots of its full trees, the largest first."""
        return tuple(self._frontier)

    def add(self, leaf: bytes) -> None:
        """Add a leaf, by its hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._frontier.pop(), node)
            size >>= 1
        self._frontier.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """Give the root."""
        if not self._frontier:
            return EMPTY
        node = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            node = node_hash(left, node)
        return node


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Give the root of the tree of some leaves, by their hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root


def inclusion(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """Give what proves that a leaf stands at a place (section 2.1.1): the roots of all that stands beside it.

    Raises IndexError if no leaf stands there.
    """
    if not 0 <= place < len(leaves):
        raise IndexError(place)
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if place < split:
        return [*inclusion(leaves[:split], place), root_of(leaves[split:])]
    return [*inclusion(leaves[split:], place - split), root_of(leaves[:split])]


def is_included(leaf: bytes, place: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a proof shows that a leaf stands at a place of the tree with this size and root."""
    if not 0 <= place < size:
        return False
    node, at, last = leaf, place, size - 1
    for beside in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(beside, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def _split(size: int) -> int:
    """Give the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1
