"""What the tests of the simulation share: the instruments that ship, and one large cohort."""

from collections.abc import Mapping

import pytest

from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from services.simulation.cohort import INSTRUMENTS, SimulatedCase, draw

SEED = 2023


@pytest.fixture(scope="session")
def instruments() -> Mapping[str, Instrument]:
    models = [entry.model for entry in library() if isinstance(entry.model, Instrument)]
    found = {model.id: model for model in models}
    assert set(INSTRUMENTS) <= set(found)
    return found


@pytest.fixture(scope="session")
def cohort(instruments: Mapping[str, Instrument]) -> list[SimulatedCase]:
    return list(draw(instruments, seed=SEED, groups=100))
