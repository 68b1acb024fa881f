"""Merkle trees: the roots of the published examples, and proofs that show what is so and nothing else."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auditor.domain.merkle import (
    EMPTY,
    Tree,
    inclusion,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

LEAVES: Final = [
    leaf_hash(bytes.fromhex(text))
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS: Final = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The roots of the trees of the first leaves, none to all eight, as implementations of Certificate Transparency have
them in their tests."""

leaves = st.integers(min_value=1, max_value=70).map(lambda size: [leaf_hash(bytes([place])) for place in range(size)])


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_published_examples(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]


def test_the_proofs_are_those_of_the_example_in_the_rfc() -> None:
    """RFC 6962, section 2.1.3: a tree of seven leaves, a to j and the trees g, h, i, k and l of them."""
    d = LEAVES[:7]
    a, b, c, j = d[0], d[1], d[2], d[6]
    g, h, i = node_hash(a, b), node_hash(c, d[3]), node_hash(d[4], d[5])
    k, l_ = node_hash(g, h), node_hash(i, j)
    assert inclusion(d, 0) == [b, h, l_]
    assert inclusion(d, 3) == [c, g, l_]
    assert inclusion(d, 4) == [d[5], j, k]
    assert inclusion(d, 6) == [i, k]


@given(leaves, st.data())
def test_a_tree_goes_on_from_its_frontier_as_if_it_had_never_been_put_away(
    hashes: list[bytes], data: st.DataObject
) -> None:
    before = data.draw(st.integers(min_value=0, max_value=len(hashes)))
    first = Tree()
    for leaf in hashes[:before]:
        first.add(leaf)
    again = Tree(first.size, first.frontier)
    for leaf in hashes[before:]:
        again.add(leaf)
    assert (again.size, again.root) == (len(hashes), root_of(hashes))


@given(leaves, st.data())
def test_a_proof_shows_where_a_leaf_stands_and_no_other(hashes: list[bytes], data: st.DataObject) -> None:
    place, size, root = data.draw(st.integers(0, len(hashes) - 1)), len(hashes), root_of(hashes)
    proof = inclusion(hashes, place)
    assert is_included(hashes[place], place, size, proof, root)
    assert not is_included(leaf_hash(b"another"), place, size, proof, root)
    for other in {*range(-1, size + 1)} - {place}:
        assert not is_included(hashes[place], other, size, proof, root)
    assert not is_included(hashes[place], place, size, [*proof, EMPTY], root)
    if proof:
        assert not is_included(hashes[place], place, size, proof[:-1], root)


def test_a_frontier_has_as_many_hashes_as_the_size_has_full_trees() -> None:
    with pytest.raises(ValueError, match="a tree of 3 leaves has 2 full ones in it"):
        Tree(3, [EMPTY])
    with pytest.raises(IndexError):
        inclusion(LEAVES, 8)
