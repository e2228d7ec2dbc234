"""The stress scenarios, each short; with `-m stress` all at full length, and their table."""

import subprocess

import pytest

from ieee_lib import paths
from ieee_lib.plots.saving import write_table
from tests.stress import concurrent_writers, corruption, disk, large_corpus, run


@pytest.mark.slow
def test_a_run_that_four_processes_want_is_trained_once(tmp_path):
    (outcome,) = concurrent_writers.run(tmp_path)
    assert outcome.holds and outcome.expected == "12 trainings", outcome


@pytest.mark.slow
def test_a_flipped_bit_is_named_and_made_good_in_every_kind_of_file(tmp_path):
    outcomes = corruption.run(tmp_path, seed=1)
    assert len(outcomes) == len(corruption.KINDS)
    assert all(outcome.holds for outcome in outcomes), outcomes


@pytest.mark.slow
def test_a_full_disk_is_named_and_loses_nothing(tmp_path):
    mount = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system of its own")
    outcomes = disk.run(tmp_path)
    assert all(outcome.holds for outcome in outcomes), outcomes
    assert [" 0 records" in outcome.found for outcome in outcomes][:2] == [True, True]


@pytest.mark.slow
def test_text_in_the_papers_layout_is_prepared_in_bounded_memory(tmp_path):
    outcomes = large_corpus.run(tmp_path, n_byte=20_000_000)
    assert len(outcomes) == 5
    assert all(outcome.holds for outcome in outcomes), outcomes


def test_what_there_is_no_time_for_holds_nothing():
    table = run(seconds=0)
    assert set(table.frame.found) == {"not run"} and not table.frame.holds.any()


@pytest.mark.stress
def test_all_scenarios_at_full_length():
    """Twelve minutes; the table goes to figures/bench/tab_stress.*"""
    table = run(seconds=1800)
    write_table(table, paths.figures("bench"), "tab_stress")
    assert table.frame.holds.all(), table.to_markdown()
