"""Speed of training: our stack beside what people use, taken in turns on one machine.

Every contender has the whole machine: one process with a thread a core, as an ordinary script
has it, or, ours, the workers that the scale's executor starts. tokens/s count all members of all
workers; the peak is the machine's own rate of float32 (on a GPU bf16) matrix products.

    run(Scale.load("laptop"))["tab_speed"]
"""

import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from ieee_lib import plots
from ieee_lib.benchmarks.budget import Budget
from ieee_lib.benchmarks.contenders import PLAIN, Contender, Take, contenders, matrix_rate
from ieee_lib.config import ModelConfig
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check, check_choice
from ieee_lib.jobs.machine import core_count
from ieee_lib.plots.marks import shades
from ieee_lib.plots.saving import SavedFigure, Table
from ieee_lib.plots.style import GREY, style

OURS = {"float32": "stack of 8, compiled", "bf16": "stack of 8, compiled, bf16"}
"""What the shorter table is about, by precision."""
ONE = {"float32": "stack of 1, compiled", "bf16": "stack of 1, compiled, bf16"}
"""The same code one run after another: what stacking alone gains."""
REPEATS = 5
SECONDS = 0.5
"""Least time of one measurement."""


def run(scale: Scale, *, device: str = "", seconds: float = 0.0) -> dict[str, SavedFigure | Table]:
    """Return tokens/s of every contender for every model of a scale, and the gain of stacking.

    `device`: cpu or cuda; empty: what is there. `seconds`: no model but the first is
    begun that would end after them; 0: all are.
    Raises InputError for a device that is not there.
    """
    import torch

    device = chosen_device(device)
    n_core = core_count()
    worker_threads = scale.execution.threads or n_core
    n_worker = 1 if device == "cuda" else max(1, n_core // worker_threads)
    budget = Budget(seconds)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as cache:  # first steps then include their compile
        whole = WorkerGroup(1, n_core, cache)
        ours = WorkerGroup(n_worker, worker_threads, cache)
        try:
            peak_rate = whole.matrix_rate(device)
            for model, shape in scale.models.items():
                if budget.allows_another() or not rows:
                    rows += _compare(model, shape, scale, device, peak_rate, whole, ours)
        finally:
            whole.close()
            ours.close()
    frame = pd.DataFrame(rows)
    workers = f"stacks: {n_worker} worker(s) of {worker_threads} thread(s), others one of {n_core}"
    machine = workers if device == "cpu" else torch.cuda.get_device_name()
    turns = f"{REPEATS} turns of {SECONDS} s or more, median, spread: half the range"
    batch = f"{scale.training.batch_size} sequences of {scale.training.block_size} tokens a step"
    caption = f"{scale.name} scale · {machine} · peak {peak_rate:.3g} FLOP/s · {batch} · {turns}"
    return items(frame, caption)


def items(frame: pd.DataFrame, caption: str) -> dict[str, SavedFigure | Table]:
    """Return the tables, all of it and what the widest useful stack gains, and the figure."""
    digits = {"fraction of peak": 2, "first step (s)": 1, "gain": 2, "spread (%)": 1}
    digits |= {"peak memory (MB)": 1, "of bound": 2}
    gains = gains_frame(frame)
    rounded = dict.fromkeys(gains.columns[4:], 2)
    return {
        "tab_speed": Table(frame, caption, digits),
        "tab_speed_gains": Table(gains, f"{OURS['float32']} · {caption}", rounded),
        "fig_speed": _figure(frame, caption),
    }


def gains_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model and precision: tokens/s of `OURS` over every other contender's.

    The others are float32 (on a GPU bf16); of our own, the float32 stack and one run alone.
    """
    rows = []
    for (model, width), group in frame.groupby(["model", "width"], sort=False):
        by_name = group.set_index("contender")
        rates = by_name["tokens/s"]
        others = rates[~rates.index.str.startswith("stack of ")].to_dict()
        for precision, name in OURS.items():
            if name not in rates.index:
                continue
            ours = by_name.loc[name]
            stacks = {"stack of 1": ONE[precision], "float32": OURS["float32"]}
            beside = others | {k: rates[v] for k, v in stacks.items() if v in rates.index}
            rows.append(
                {"model": model, "width": width, "precision": precision, "tokens/s": rates[name]}
                | {f"against {other}": rates[name] / rate for other, rate in beside.items()}
                | {"fraction of peak": ours["fraction of peak"]}
                | {"memory of bound": ours["of bound"]}
            )
    columns = None if rows else ["model", "width", "precision", "tokens/s"]
    return pd.DataFrame(rows, columns=columns)


def chosen_device(name: str) -> str:
    """Return cpu or cuda; empty: what is there. Raises InputError for one that is not there."""
    import torch

    has_gpu = torch.cuda.is_available()
    name = name or ("cuda" if has_gpu else "cpu")
    check_choice("device", name, ("cpu", "cuda"))
    check(name == "cpu" or has_gpu, "device", name, "no GPU is visible")
    return name


class WorkerGroup:
    """Processes that train side by side, each its own copy of a contender."""

    def __init__(self, n_process: int, n_thread: int, cache: str) -> None:
        self.n_process = n_process
        spawn = multiprocessing.get_context("spawn")
        self.pools = [
            ProcessPoolExecutor(1, spawn, initializer=_start, initargs=(n_thread, cache))
            for _ in range(n_process)
        ]

    def build(
        self, contender: Contender, shape: ModelConfig, batch_size: int, device: str
    ) -> tuple[float, int]:
        """Build a contender and take its first step; return seconds and peak bytes of a step."""
        results = self._all(_build, contender, shape, batch_size, device)
        return max(first for first, _ in results), max(peak for _, peak in results)

    def take(self, contender: Contender, n_step: int) -> float:
        """Take steps in every process at once; return the slowest one's seconds."""
        return max(self._all(_take, contender.name, n_step))

    def forget(self) -> None:
        """Free what was built."""
        self._all(_forget)

    def matrix_rate(self, device: str) -> float:
        """Return FLOP/s of matrix products in one process."""
        return self._all(matrix_rate, device)[0]

    def _all(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        futures = [pool.submit(function, *arguments) for pool in self.pools]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the processes."""
        for pool in self.pools:
            pool.shutdown(cancel_futures=True)


_built: dict[str, Take] = {}
"""What this process of a group has built, by name."""


def _start(n_thread: int, cache: str) -> None:
    """Prepare a process of a group."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    import torch

    torch.set_num_threads(n_thread)


def _build(
    contender: Contender, shape: ModelConfig, batch_size: int, device: str
) -> tuple[float, int]:
    import torch

    began = time.perf_counter()
    before = torch.cuda.memory_allocated() if device == "cuda" else 0
    take = _built[contender.name] = contender.build(shape, batch_size, device)
    take(1)
    first = time.perf_counter() - began
    state = 12 * shape.count().total * contender.n_member  # weights and two moments
    return first, _peak_memory(take, device, state, before)


def _take(name: str, n_step: int) -> float:
    return _built[name](n_step)


def _forget() -> None:
    _built.clear()
    gc.collect()  # compiled modules refer to themselves


def _peak_memory(take: Take, device: str, state: int, before: int) -> int:
    """Return the most bytes of tensors alive in one step, what it keeps between steps included."""
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        take(1)
        return torch.cuda.max_memory_allocated() - before
    return state + most_allocated(lambda: take(1))


def most_allocated(step: Callable[[], object]) -> int:
    """Return the most bytes of CPU tensors that a step has alive beyond what was there before."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = profiled.profiler.kineto_results.events()
    changes = [e for e in events if e.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(changes, key=lambda e: e.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


def _compare(
    model: str,
    shape: ModelConfig,
    scale: Scale,
    device: str,
    peak_rate: float,
    whole: WorkerGroup,
    ours: WorkerGroup,
) -> list[dict]:
    batch_size, tokens = scale.training.batch_size, scale.training.batch_size * shape.block_size
    entered = [(c, ours if c.spread else whole) for c in contenders(device)]
    first, peak, steps = {}, {}, {}
    for contender, group in entered:
        first[contender.name], peak[contender.name] = group.build(
            contender, shape, batch_size, device
        )
        steps[contender.name] = max(1, round(SECONDS / (group.take(contender, 4) / 4)))
    rates: dict[str, list[float]] = {contender.name: [] for contender, _ in entered}
    for _ in range(REPEATS):  # in turns, so that a slow minute slows all of them
        for contender, group in entered:
            n_step = steps[contender.name]
            done = group.n_process * contender.n_member * n_step * tokens
            rates[contender.name].append(done / group.take(contender, n_step))
    whole.forget()
    ours.forget()
    state = 16 * shape.count().total  # weights, gradients and two moments of a member, float32
    activations = {
        (c.compiled, c.bf16): peak[c.name] - state
        for c, _ in entered
        if c.stacked and c.n_member == 1
    }
    rows = []
    for contender, group in entered:
        measured = rates[contender.name]
        middle, n = median(measured), contender.n_member
        row = {
            "model": model,
            "width": shape.n_embd,
            "contender": contender.name,
            "K": n,
            "workers": group.n_process,
            "tokens/s": middle,
            "spread (%)": 50 * (max(measured) - min(measured)) / middle,
            "gain": median(a / b for a, b in zip(measured, rates[PLAIN], strict=True)),
            "fraction of peak": middle * shape.flops_per_token() / peak_rate,
            "peak memory (MB)": peak[contender.name] / 1e6,
            "of bound": float("nan"),
            "first step (s)": first[contender.name],
        }
        way = (contender.compiled, contender.bf16)
        if contender.stacked and way in activations:
            # the bound: 1.2 times the members' state, and one batch's activations a member
            bound = 1.2 * n * state + n * activations[way]
            row["of bound"] = peak[contender.name] / bound
        rows.append(row)
    return rows


def _figure(frame: pd.DataFrame, caption: str) -> SavedFigure:
    """Draw the gain of compiled stacks over the plain loop against width, a line a K.

    Filled: products in bf16, where they were measured; hollow: float32.
    """
    with style():
        figure, ax = plt.subplots()
        stacks = frame[frame.contender.str.contains("compiled")]
        in_bf16 = stacks.contender.str.endswith("bf16")
        colors = shades("ensemble", stacks.K.nunique())
        for (n_member, rows), color in zip(stacks.groupby("K"), colors, strict=True):
            for half, drawn in rows.groupby(in_bf16):
                label = f"stack of {n_member}" if half or not in_bf16.any() else ""
                _line(ax, drawn.width, drawn.gain, color, label, hollow=not half)
        if in_bf16.any():
            _line(ax, [], [], GREY, "the same in float32", hollow=True)
        others = frame[~frame.contender.str.startswith("stack") & (frame.contender != PLAIN)]
        lines = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
        for (name, rows), line in zip(others.groupby("contender"), lines, strict=False):
            ax.plot(rows.width, rows.gain, linestyle=line, color=GREY, label=name)
        ax.axhline(1, color=GREY, linewidth=0.8)
        plots.log_ticks(ax, sorted(frame.width.unique()))
        ax.set(xlabel="model width (channels)", ylabel="tokens/s against the plain loop")
        plots.legend_above(ax)
    return SavedFigure(figure, "fig_speed", caption, {"gains": stacks}, frozenset())


def _line(ax: Axes, x: Any, y: Any, color: Any, label: str, *, hollow: bool) -> None:
    """Draw one line of the figure; float32 is hollow."""
    (line,) = ax.plot(x, y, marker="D", color=color, label=label or "_")
    if hollow:
        line.set_linestyle(":")
        line.set_markerfacecolor("none")
