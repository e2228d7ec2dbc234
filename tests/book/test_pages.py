"""The book's Markdown pages: what a cell shows as GitHub draws it; the committed ones are fresh."""

import re

import matplotlib.pyplot as plt
import nbformat
import pytest

from ieee_lib.book.pages import book_pages, for_github, in_words, write_pages
from ieee_lib.book.run import run_book, run_notebook
from ieee_lib.plots.saving import output
from ieee_lib.study import Study
from tests.conftest import ROOT

CELLS = (
    "# 00 · A title\n\nWith $\\alpha_D$.",
    'scale = "laptop"  # a scale\nsource = "auto"  # of runs\nn = 2',
    """import matplotlib.pyplot as plt
import pandas as pd
from ieee_lib import Study, laws
study = Study.open(scale, source=source)
frame = pd.DataFrame({"x": range(30), "same": "a b"})
wide = frame.assign(**{f"c{i}": 1.0 for i in range(9)}, few=["odd"] + 29 * ["even"])
wide = wide[["x", "few", *(f"c{i}" for i in range(9))]]""",
    "frame",
    "wide",
    "frame.x.rename_axis('row')[:2].to_frame().T",
    'study.save(wide.head(4), "tab00_wide", caption="four", digits={"x": 1})',
    'fig, ax = plt.subplots()\nstudy.save(fig, "fig00b_a_line", data={}, caption="a line")',
    "plt.subplots()[0]",
    "laws.fit_power_law(laws.published_points('k_limits').head(4), x='N')",
    "{'a': n}",
    "print('Holds: [0, 1].')\nfor word in ['and', 'more']:\n    print(word, end='!\\n')",
    "None",
)


@pytest.fixture
def ran(project, smoke_corpora):
    """A notebook of every kind of cell, run from an empty store of the smoke scale."""
    (project / "notebooks").unlink()
    (project / "notebooks").mkdir()
    cells = [nbformat.v4.new_markdown_cell(CELLS[0])]
    cells += [nbformat.v4.new_code_cell(source) for source in CELLS[1:]]
    cells[1].metadata["tags"] = ["parameters"]
    path = project / "notebooks" / "00_a_title.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    yield run_notebook(path, {"scale": "smoke", "source": "records"})
    plt.close("all")


def test_a_page_holds_text_code_and_what_each_cell_showed(ran):
    folder = ran.study.figures_folder()
    page = book_pages(ran.study, {"00": ran}, folder)["00_a_title"]
    assert page.startswith(
        "# 00 · A title\n\nWith $\\alpha_D$.\n\n*Run on the records of the smoke"
    )
    assert "[the notebook](../../notebooks/00_a_title.ipynb)" in page
    assert 'scale = "smoke"  # a scale\nsource = "records"  # of runs\nn = 2\n' in page
    assert page.count("<details>") == page.count("</details>") == len(CELLS) - 1
    parts = page.split("</details>\n\n")
    frame, wide, named, table, figure, control, law, plain, printed = parts[-9:]
    assert "| x | same |\n| --: | :-- |\n| 0 | a b |\n" in frame
    assert "| 19 |" in frame and "| 20 |" not in frame
    assert "\n\nthe first 20 of 30 rows\n" in frame
    assert wide.startswith("| x | few |\n") and "in every row: c0 = 1, c1 = 1" in wide
    assert named.startswith("|  | 0 | 1 |\n") and "| x | 0 | 1 |" in named
    assert table.startswith("| x | few |\n") and "| 3 | even |\n\nfour · in every row" in table
    line = "[![Figure 0b: a line](fig00b_a_line.png)](fig00b_a_line.svg)\n\n*Draws settings"
    assert figure.startswith(line) and (folder / "fig00b_a_line.json").is_file()
    assert control.startswith("![Figure with controls](00_a_title_1.png)")
    assert (folder / "00_a_title_1.png").read_bytes().startswith(b"\x89PNG")
    assert law.startswith("$L(N) = ")
    assert plain.startswith("```text\n{'a': 2}\n```")
    assert printed.startswith("Holds: [0, 1].\n\nand!\n\nmore!\n\n")


def test_pages_are_a_book_with_steps_and_what_is_no_more_goes(ran):
    folder = ran.study.figures_folder()
    for name in ("07_gone.md", "00_a_title_2.png", "fig07_mine.svg"):
        (folder / name).write_text("old")
    names = write_pages(ran.study, {"00": ran}, folder)
    assert names == ["README", "00_a_title", "figures", "costs"]
    assert not (folder / "07_gone.md").exists() and not (folder / "00_a_title_2.png").exists()
    assert (folder / "fig07_mine.svg").exists()
    first = {name: (folder / f"{name}.md").read_text().split("\n")[0] for name in names}
    assert first["README"] == "[00 · A title →](00_a_title.md)"
    assert first["00_a_title"] == "[Contents](README.md) · [All figures →](figures.md)"
    assert first["costs"] == "[← All figures](figures.md) · [Contents](README.md)"
    index = (folder / "README.md").read_text()
    assert "| [00 · A title](00_a_title.md) | 0b |" in index
    assert "Not recorded at this scale: 01 Overfitting baseline, 02" in index
    assert "$`\\alpha_D`$" in (folder / "00_a_title.md").read_text()


def test_equations_reach_github_whole_and_code_is_left_alone():
    code = "```python\nx = '$a$ $$b$$'\n```\n"
    text = "a $x_1\\,y$ b `$HOME` $z$.\n\n$$a_1 +\nb\\;c$$\n\n   $$d$$\n\n"
    fences = "```math\na_1 +\nb\\;c\n```\n\n   ```math\n   d\n   ```\n\n"
    assert for_github(text + code) == f"a $`x_1\\,y`$ b `$HOME` $`z`$.\n\n{fences}{code}"


def test_figures_have_names_in_words():
    assert in_words("fig02a_loss_against_epochs") == "Figure 2a: loss against epochs"
    assert in_words("fig10_published") == "Figure 10 as published"
    assert in_words("my_figure") == "my figure"
    assert in_words("fig20_beyond") == "Figure 20: recipes beyond the paper"


SCALES = sorted(path.name.split(".")[0] for path in (ROOT / "data" / "archive").glob("*.gz"))
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")


def numbers(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


@pytest.mark.parametrize(
    "scale", [pytest.param(s, marks=[] if s == "laptop" else pytest.mark.slow) for s in SCALES]
)
def test_the_committed_pages_are_those_of_the_archive(scale, home):
    """Word for word; numbers to a unit of their last place, which another CPU may round."""
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    (home / "data").mkdir()
    for name in ("archive", "published", "predictions"):
        (home / "data" / name).symlink_to(ROOT / "data" / name)
    study = Study.open(scale, source="archive")
    fresh, committed = study.figures_folder(), ROOT / "figures" / "recorded" / scale
    with output(write=False):
        names = write_pages(study, run_book(study), fresh)
    how = f"python -m ieee_lib figures --scale {scale} --source archive --format svg,png"
    files = {path.name for path in committed.glob("[0-9][0-9]_*")}
    assert files == {path.name for path in fresh.glob("[0-9][0-9]_*")}, how
    stale = []
    for name in names:
        assert (committed / f"{name}.md").is_file(), how
        old, new = ((f / f"{name}.md").read_text(encoding="utf-8") for f in (committed, fresh))
        is_same = numbers(old) == pytest.approx(numbers(new), rel=2e-3, abs=2e-3)
        if NUMBER.sub("#", old) != NUMBER.sub("#", new) or not is_same:
            stale.append(name)
        for link in re.findall(r"\]\(([^)#]+)\)", old):
            assert link.startswith("https:") or (committed / link).exists(), (name, link)
    assert not stale, how
