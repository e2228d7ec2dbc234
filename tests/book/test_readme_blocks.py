"""Blocks that the code writes into pages: the headline claims and the list of notebooks."""

import json

import pytest

from ieee_lib.book import readme
from ieee_lib.book.sections import SECTIONS, YOUR_TEXT
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.errors import InputError


def row(key, verdict, *, measure=1.7, ci_low=None, ci_high=2.0):
    return {
        "statement": STATEMENTS[key].statement,
        "verdict": verdict,
        "measure": measure,
        "ci_low": ci_low,
        "ci_high": ci_high,
    }


@pytest.fixture
def recorded(project):
    """Claims of two scales and costs, as `figures` would have written them."""
    claims = {
        "mine": [row("joint_saves_data", "holds"), row("overfits", "does not hold")],
        "yours": [row("joint_saves_data", "not testable at this scale", measure=-0.5, ci_low=-1.0)],
    }
    for scale, rows in claims.items():
        folder = project / "figures" / "recorded" / scale
        folder.mkdir(parents=True)
        (folder / "claims.json").write_text(json.dumps({"rows": rows}))
    costs = {"rows": [{"notebook": "02", "seconds": 600.0}, {"notebook": "04", "seconds": 0}]}
    (folder.parent / "mine" / "tab_costs.json").write_text(json.dumps(costs))
    return project


def test_the_summary_has_the_papers_number_every_scales_and_the_verdicts(recorded):
    lines = readme.summary("README.md", "mine", "yours").splitlines()
    (joint,) = (line for line in lines if "joint limit, times" in line)
    assert "| 5.17 | 1.70 [−∞,\u00a02.00] | −0.50 [−1.00,\u00a02.00] |" in joint
    assert joint.endswith("| holds; not testable |")
    (overfits,) = (line for line in lines if "epochs overfit" in line)
    assert overfits.endswith("| – | does not hold; not run |")
    assert "mine 1 hold, 1 do not, 0 are not testable; yours 0 hold, 0 do not, 1" in lines[-1]


def test_the_notebooks_are_those_there_are_with_the_minutes_of_two_workers(recorded):
    lines = readme.notebooks("README.md", "mine").splitlines()[2:]
    assert len(lines) == len(list((recorded / "notebooks").glob("*.ipynb"))) >= len(SECTIONS)
    assert "(figures/recorded/mine/02_regularized_scaling.md)" in lines[2]
    assert lines[2].endswith("| 5.0 |") and lines[4].endswith("| – |")
    (yours,) = (line for line in lines if line.startswith(f"| {YOUR_TEXT.notebook} |"))
    assert "recorded" not in yours


def test_every_page_is_written_and_an_unknown_block_is_refused(recorded):
    stale = "<!-- summary: mine -->\nold\n<!-- end -->\n"
    for name in ("README.md", "data/README.md"):
        (recorded / name).parent.mkdir(exist_ok=True)
        (recorded / name).write_text(stale)
    assert readme.update(check_only=True) == 1
    assert readme.update() == 0 and readme.update(check_only=True) == 0
    assert "5.17" in (recorded / "data" / "README.md").read_text()
    (recorded / "README.md").write_text(stale.replace("summary", "shell"))
    with pytest.raises(InputError, match="is no block; allowed: include, summary, notebooks"):
        readme.update()
