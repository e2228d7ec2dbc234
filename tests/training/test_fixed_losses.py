"""Losses of short runs against those on file, to the bit on the machine that they come from."""

import json

import numpy as np
import pytest

from ieee_lib.training.fit import can_compile
from tests.training import fixed_losses

RECORDED = json.loads(fixed_losses.FILE.read_text())
ELSEWHERE = 2e-3
"""nats/token: other kernels add in other orders; Muon multiplies in bf16."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return fixed_losses.cases(tmp_path_factory.mktemp("fixed"))


def test_every_case_is_on_file(cases):
    assert list(RECORDED["losses"]) == list(cases)


@pytest.mark.parametrize("name", RECORDED["losses"])
def test_losses_are_those_on_file(cases, name):
    """A change of numbers is written down: `python -m tests.training.fixed_losses`, and LOG.md."""
    if name == fixed_losses.COMPILED_CASE and not can_compile(False):
        pytest.skip("needs a C++ compiler and Python's headers")
    losses = fixed_losses.losses(*cases[name])
    if RECORDED["machine"] == fixed_losses.machine():
        assert losses == RECORDED["losses"][name]
    else:
        assert np.abs(np.subtract(losses, RECORDED["losses"][name])).max() < ELSEWHERE
