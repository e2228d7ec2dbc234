"""Stages of a book: each without what is inside it, and together the whole."""

import time

import pytest

from ieee_lib.book.stages import stage_table
from ieee_lib.jobs.stages import DRAW, FIT, PREPARE, WORK, log_to, read_stages, stage


def test_a_stage_is_timed_without_those_inside_it(tmp_path, monkeypatch):
    monkeypatch.setenv("IEEE_LIB_STAGES", "")  # restored afterwards
    path = log_to(tmp_path / "new")
    for _ in range(2):
        with stage(FIT):
            time.sleep(0.02)
            with stage(WORK):
                time.sleep(0.1)
    seconds = read_stages(path)
    assert set(seconds) == {FIT, WORK}
    assert 0.04 <= seconds[FIT] < 0.15 and seconds[WORK] >= 0.2
    log_to(tmp_path / "new")
    assert read_stages(path) == {}


def test_the_table_adds_up_to_the_wall_time():
    stack = {"compile_seconds": 4.0, "evaluation_seconds": 6.0}
    records = [
        {"kind": "train", "seconds": 60.0, "stack": stack},
        {"kind": "train", "seconds": 40.0, "stack": stack},
        {"kind": "ensemble", "seconds": 10.0},
    ]
    seconds = {WORK: 70.0, PREPARE: 5.0, FIT: 3.0, DRAW: 2.0}
    frame = stage_table(seconds, records, 100.0, 2).frame.set_index("stage").seconds
    assert frame["training steps"] == 40 and frame["validation while training"] == 6
    assert frame["compile"] == 4 and frame["scoring ensembles, sampling, answering"] == 5
    assert frame["start of workers, waiting for the last"] == 70 - 55
    assert frame["notebooks: kernels, imports, the rest"] == 100 - 80
    assert frame["all"] == pytest.approx(frame.drop("all").sum())
