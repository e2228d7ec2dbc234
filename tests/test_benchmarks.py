"""Contenders of the speed benchmark train the same shape; ratios are against the plain loop."""

import dataclasses

from ieee_lib import Scale
from ieee_lib.benchmarks import speed
from tests.conftest import TINY


def test_every_contender_takes_its_steps(monkeypatch):
    monkeypatch.setattr(speed, "WIDTHS", (1, 2))
    found = {c.name: c for c in speed.contenders() if "compiled" not in c.name}
    assert {speed.PLAIN, "stack of 2, eager", "Lightning Trainer, one run"} < set(found)
    for contender in found.values():
        assert contender.build(TINY, 2, "cpu")(2) > 0


def test_the_table_compares_with_the_plain_loop(monkeypatch):
    kept = [c for c in speed.contenders() if c.name in (speed.PLAIN, "stack of 4, eager")]
    monkeypatch.setattr(speed, "contenders", lambda: kept)
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    scale = dataclasses.replace(Scale.load("smoke"), models={"tiny": TINY})
    frame = speed.run(scale)["tab_speed"].frame
    assert list(frame.members) == [1, 4] and frame.gain[0] == 1.0
    assert (frame["of limit"] > 0).all() and (frame["tokens/s"] > 0).all()
