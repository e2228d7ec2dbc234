"""`bench gpu`, rehearsed on the CPU: parts that end, that do not, and a second call."""

import json
import time

import pytest

from ieee_lib.benchmarks import gpu
from ieee_lib.cli import main
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError


def part(benchmark="precision", scale="smoke", share=0.5, has_seconds=False):
    return gpu.Part("a part", benchmark, scale, share, has_seconds, lambda tables: f"{len(tables)}")


def test_a_part_that_does_not_end_is_stopped_with_its_workers(home):
    began = time.monotonic()
    tables, row = gpu._measure(part("speed", share=1.0), "cpu", began + 4.0)
    assert tables == {} and row["result"] == "" and row["ended"].startswith("stopped after")
    assert time.monotonic() - began < 30.0


def test_a_part_that_fails_says_so(home, capfd):
    tables, row = gpu._measure(part("no such"), "cpu", time.monotonic() + 120.0)
    assert tables == {} and row["ended"] == "exit code 2"
    assert "no such" in capfd.readouterr().err


def test_what_was_measured_is_not_measured_again(home):
    folder = home / "data" / "bench_gpu" / "mfu-smoke-cpu"
    folder.mkdir(parents=True)
    (folder / "tables.json").write_text(json.dumps({"tab_mfu": [{"model": "a", "MFU": 0.4}]}))
    tables, row = gpu._measure(part("mfu"), "cpu", time.monotonic() + 1.0)
    assert tables["tab_mfu"] == [{"model": "a", "MFU": 0.4}]
    assert row == {"seconds": 0.0, "ended": "measured before", "result": "1"}


def test_results_in_a_few_words():
    agreement = {"tab_agreement": [{"holds": True}, {"holds": False}]}
    assert gpu._agreement(agreement) == "1 of 2 within their bounds"
    speed = [{"model": "1M", "against stack of 1": 3.14}, {"model": "2M", "against stack of 1": 2}]
    assert gpu._speed({"tab_speed_gains": speed}) == "1M 3.1x, 2M 2.0x"
    rows = [("150M", 0.3), ("150M", 0.41), ("300M", 0.45)]
    mfu = {"tab_mfu": [{"model": model, "MFU": value} for model, value in rows]}
    assert gpu._utilisation(mfu) == "150M 0.41, 300M 0.45"


def test_minutes_must_be_positive(home):
    with pytest.raises(InputError, match="minutes = -1"):
        gpu.run(Scale.load("smoke"), device="cpu", minutes=-1)
    assert main(("bench", "speed", "--minutes", "3")) == 2


@pytest.mark.slow
def test_the_whole_on_a_cpu_and_again(home, monkeypatch, capfd):
    monkeypatch.setattr(
        gpu, "_parts", lambda scale, device: [part("mfu", scale, 0.6, has_seconds=True)]
    )
    for ended in ("in time", "measured before"):
        assert (
            main(("bench", "gpu", "--scale", "smoke", "--device", "cpu", "--minutes", "1.2")) == 0
        )
        rows = json.loads((home / "figures/bench/tab_gpu.json").read_text())["rows"]
        assert [row["part"] for row in rows] == ["a part", "a piece of the plan"]
        assert rows[0]["ended"] == ended and rows[1]["ended"] == "in time"
    records = list((home / "records").glob("*.json"))
    assert len(records) > 10 and rows[1]["result"] == f"{len(records)} records in records/"
    assert (home / "figures/bench/tab_gpu_mfu.md").is_file()
