"""The scenarios of the stress command, each short: what they claim must hold here too."""

import subprocess

import pytest

from ieee_lib.cli import main
from tests.stress import crowd, damage, disk, stand_in


def test_a_run_that_four_processes_want_is_trained_once(tmp_path):
    (outcome,) = crowd.run(tmp_path)
    assert outcome.holds and outcome.expected == "12 trainings", outcome


def test_a_flipped_bit_is_named_and_made_good_in_every_kind_of_file(tmp_path):
    outcomes = damage.run(tmp_path, seed=1)
    assert len(outcomes) == len(damage.KINDS)
    assert all(outcome.holds for outcome in outcomes), outcomes


def test_a_full_disk_is_named_and_loses_nothing(tmp_path):
    mount = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system of its own")
    outcomes = disk.run(tmp_path)
    assert all(outcome.holds for outcome in outcomes), outcomes
    assert [" 0 records" in outcome.found for outcome in outcomes][:2] == [True, True]


def test_text_in_the_papers_layout_is_prepared_in_bounded_memory(tmp_path):
    outcomes = stand_in.run(tmp_path, n_byte=20_000_000)
    assert len(outcomes) == 5
    assert all(outcome.holds for outcome in outcomes), outcomes


def test_the_command_writes_a_table(home):
    assert main(["stress", "--seconds", "0"]) == 1
    assert "not run" in (home / "figures" / "bench" / "tab_stress.md").read_text()
