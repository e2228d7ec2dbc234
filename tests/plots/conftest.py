"""Shared by the tests of figures: an axes in the house style, the laptop's records, labels."""

import matplotlib.pyplot as plt
import pytest

from ieee_lib import plots
from ieee_lib.study import Study


@pytest.fixture(scope="module")
def study():
    return Study.open("laptop", source="archive")


@pytest.fixture
def ax():
    with plots.style():
        figure, ax = plt.subplots()
        yield ax
    plt.close(figure)


def labels(ax):
    return ax.get_legend_handles_labels()[1]
