"""Cores that a container may use: affinity and the quotas of both versions of cgroups."""

import os

import pytest

from ieee_lib.jobs import machine
from ieee_lib.jobs.machine import core_count


def system(root, cgroup, files):
    """A machine's /proc/self/cgroup and cgroup files below a folder."""
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "7:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n3:cpuset:/docker/ab\n"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("cgroup", "files", "cores"),
    [
        ("0::/\n", {}, 64),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "350000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
        ("0::/kube/pod/c\n", {"kube/pod/c/cpu.max": "800000 100000", "kube/cpu.max": "4 1"}, 4),
        ("0::/host/path\n", {"cpu.max": "200000 100000\n"}, 2),
        ("1:cpu:/\n0::/a\n", {"unified/a/cpu.max": "5 1\n"}, 5),
        (V1, {f"cpu/{QUOTA}": "-1\n", f"cpu/{PERIOD}": "100000\n"}, 64),
        (V1, {f"cpu/{QUOTA}": "200000\n", f"cpu/{PERIOD}": "100000\n"}, 2),
        (
            V1,
            {f"cpu,cpuacct/docker/ab/{QUOTA}": "30\n", f"cpu,cpuacct/docker/ab/{PERIOD}": "10"},
            3,
        ),
        (V1, {f"cpu/{QUOTA}": "200000\n"}, 64),
        (V1, {f"memory/{QUOTA}": "1\n", f"memory/{PERIOD}": "1\n"}, 64),
        ("0::/\n", {"cpu.max": "damaged\n"}, 64),
    ],
)
def test_a_container_has_the_cores_of_its_quota(tmp_path, monkeypatch, cgroup, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64), raising=False)
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    assert core_count(system(tmp_path, cgroup, files)) == cores


def test_affinity_counts_where_it_is_less_and_where_there_are_no_cgroups(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    files = {"sys/fs/cgroup/cpu.max": "200000 100000\n"}
    assert core_count(tmp_path / "no Linux") == 1
    assert core_count(system(tmp_path, "0::/\n", files)) == 1


def test_workers_are_counted_by_the_quota(monkeypatch):
    from ieee_lib.config.execution import Execution

    monkeypatch.setattr(machine, "core_count", lambda: 2)
    assert machine.worker_count(Execution(executor="local", threads=1, accelerator="cpu")) == 2
