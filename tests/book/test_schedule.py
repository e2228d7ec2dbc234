"""The simulated schedule: the executors' rule by hand, bounds that every schedule keeps."""

import itertools
import subprocess
import sys
from dataclasses import replace

import pytest

from ieee_lib import Scale
from ieee_lib.book.estimates import Speed
from ieee_lib.book.plan import open_plan, plan_frame
from ieee_lib.book.schedule import place, schedule_lines, simulate, slots
from ieee_lib.book.sections import choose
from ieee_lib.cli import main
from ieee_lib.config.execution import Execution
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def book():
    """The sections of the paper's book, with nothing trained."""
    return open_plan(replace(Scale.load("paper"), name="never")), choose("")


def test_the_first_free_slot_takes_the_next_job():
    placed = place([5, 4, 3, 3, 3], 2)
    assert placed == [(0, 5), (0, 4), (4, 7), (5, 8), (7, 10)]
    assert place([2, 1], 3, start=10) == [(10, 12), (10, 11)]
    assert place([], 3) == []


def test_a_run_takes_as_long_as_others_of_its_size_did(book):
    study = book[0]
    small, middle, large = (
        study.spec(m, wd=0.1, lr=1e-3, epochs=1) for m in ("150M", "300M", "1.4B")
    )
    sizes = [spec.model.count().total for spec in (small, large)]
    speed = Speed(dict(zip(sizes, (1e9, 1e12), strict=True)), 5e9, "GPU")
    rates = [spec.flops / speed.seconds(spec) for spec in (small, middle, large)]
    assert rates[0] == pytest.approx(1e9) and rates[2] == pytest.approx(1e12)
    assert 1.5e9 < rates[1] < 5e11, "between the two"
    beyond = Speed({sizes[0]: 1e9}, 5e9, "GPU")
    assert beyond.seconds(small) == pytest.approx(small.flops / 1e9)
    assert beyond.seconds(large) == pytest.approx(large.flops / 5e9), "no slower than assumed"
    assert Speed({}, 5e9, "GPU").seconds(large) == pytest.approx(large.flops / 5e9)
    assert f"{speed}" == "1e+09 to 1e+12 FLOP/s a GPU, measured here"


def test_sections_follow_one_another_and_start_with_what_takes_longest(book):
    schedule = simulate(*book, n_slot=8, n_gpu=8)
    starts = [job.start for job in schedule.jobs]
    assert starts == sorted(starts)
    names = list(dict.fromkeys(job.section for job in schedule.jobs))
    assert names == sorted(names) and len(names) >= 6
    end = 0.0
    for name in names:
        jobs = [job for job in schedule.jobs if job.section == name]
        assert jobs[0].start == end, "a section starts when the one before has ended"
        lengths = [job.end - job.start for job in jobs]
        # by cost, which counts logits beside FLOPs: 6 % at most at this vocabulary
        assert all(b <= 1.07 * a for a, b in itertools.pairwise(lengths))
        end = max(job.end for job in jobs)
    assert schedule.wall == end


def test_no_schedule_beats_its_bounds_and_more_gpus_are_never_slower(book):
    hours = plan_frame(*book).device_hours_left.iloc[-1]
    before = float("inf")
    for n in (1, 2, 3, 8, 32, 64, 256, 4096):
        schedule = simulate(*book, n_slot=n, n_gpu=n)
        longest = schedule.longest.end - schedule.longest.start
        assert schedule.gpu_seconds == pytest.approx(3600 * hours)
        assert schedule.wall >= max(3600 * hours / n, longest) * (1 - 1e-12)
        assert schedule.wall <= before
        assert schedule.busy == pytest.approx(3600 * hours / n / schedule.wall)
        before = schedule.wall
    assert simulate(*book, n_slot=1, n_gpu=1).wall == pytest.approx(3600 * hours)


def test_a_job_on_several_gpus_takes_them_for_a_shorter_time(book):
    study, sections = book
    execution = replace(study.scale.execution, devices=4)
    wide = open_plan(replace(study.scale, execution=execution))
    one, four = (simulate(s, sections, n_slot=2, n_gpu=8) for s in (study, wide))
    assert four.wall == pytest.approx(one.wall / 4)
    assert four.gpu_seconds == pytest.approx(one.gpu_seconds)


@pytest.mark.parametrize(
    ("fields", "n_gpu", "n_slot"),
    [
        ({"executor": "ray"}, 8, 8),
        ({"executor": "local", "gpu_share": 0.5}, 8, 16),
        ({"executor": "ray", "gpu_share": 0.3}, 2, 6),
        ({"executor": "ray", "devices": 4}, 10, 2),
        ({"executor": "inline"}, 8, 1),
    ],
)
def test_so_many_jobs_at_once(fields, n_gpu, n_slot):
    assert slots(Execution(**fields), n_gpu) == (n_slot, n_gpu)


def test_the_plan_of_the_paper_for_64_gpus(project, capsys):
    command = ["plan", "--scale", "paper", "--executor", "ray", "--gpus", "64"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert "executor ray on 64 GPU(s): 64 job(s) at once" in lines[0]
    assert "1.4B, D = 209,715,200, 8 epochs" in printed
    assert "GPU-hours in" in lines[-2] and "GPUs busy" in lines[-2]
    assert len(lines) < 120, "equal jobs share a line"
    study, sections = open_plan(Scale.load("paper")), choose("")
    n_run = plan_frame(study, sections).runs.iloc[-1]
    assert sum(int(line.split(" x ")[0].split()[-1]) for line in lines[2:-2]) == n_run
    assert main(command) == 0
    assert capsys.readouterr().out == printed
    assert not (project / "data" / "runs").exists()


def test_a_schedule_needs_neither_torch_nor_ray(project):
    code = (
        "import sys; from ieee_lib.cli import main; "
        "main(['plan', '--scale', 'paper', '--executor', 'ray', '--gpus', '8']); "
        "sys.exit(bool({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_trained_book_leaves_nothing_to_place(project):
    study = open_plan(Scale.load("smoke"))
    assert "Nothing is left" in schedule_lines(study, choose("00"), executor="local", n_gpu=2)
