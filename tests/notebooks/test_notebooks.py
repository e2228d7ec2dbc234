"""Notebooks: bare, short, self-explaining; and the smoke book run for real."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from ieee_lib.book.run import saved_names
from ieee_lib.book.runner import INCOMPLETE
from ieee_lib.book.sections import SECTIONS, YOUR_TEXT, choose
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.runs.schema import result_of, sealed
from ieee_lib.runs.store import pack_archive
from ieee_lib.study import Study
from tests.conftest import ROOT, digests_of, run

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def records(home):
    files = sorted((home / "data" / "runs" / "smoke").glob("*.json"))
    return {f.name: (f.stat().st_mtime_ns, json.loads(f.read_text())) for f in files}


def digests(home):
    files = digests_of(home / "figures" / "smoke")
    return {name: digest for name, digest in files.items() if "contact_sheet" not in name}


def test_every_notebook_is_in_the_book_and_the_other_way_round():
    """But for one's own text, which is on a scale of its own."""
    sections = [*SECTIONS.values(), YOUR_TEXT]
    assert [p.stem for p in NOTEBOOKS] == sorted(s.notebook for s in sections)


def items_of(sections):
    """Return the names of all figures and tables that notebooks save."""
    notebooks = [nbformat.read(section.path, as_version=4) for section in sections]
    cells = [c for notebook in notebooks for c in notebook.cells if c.cell_type == "code"]
    return {name for cell in cells for name in saved_names(cell.source)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_form(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(notebook.cells) <= 24 and len(text) >= 0.35 * len(notebook.cells)
    assert all(not c.outputs and c.execution_count is None for c in code), "not bare"
    assert all(len(cell.source.splitlines()) <= 15 for cell in code)
    assert not any(
        line.startswith(("def ", "class ")) for c in code for line in c.source.split("\n")
    )
    assert notebook.cells[0].cell_type == "markdown" and "**" in notebook.cells[0].source
    assert not any(line.startswith(("%", "!")) for c in code for line in c.source.split("\n"))
    if path.stem[:2] in {s.notebook for s in STATEMENTS.values()}:
        assert code[-1].source == "claims.summary(judged)"
    parameters = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    lines = parameters[0].source.splitlines()
    assert len(parameters) == 1 and 4 <= len(lines) <= 8 and all("  # " in line for line in lines)


@pytest.mark.xdist_group("book")
def test_the_book_says_what_it_proves_and_where_it_went(book):
    printed = (book / "printed.txt").read_text()
    assert "proves nothing" in printed and "[1/10] 00_setup: at least" in printed
    assert "[10/10] 09_claims: nothing to train" in printed, "what was trained is not left"
    executed = sorted(p.stem for p in (book / "data" / "executed" / "smoke").glob("*.ipynb"))
    assert executed == [s.notebook for s in choose("").values()]


@pytest.mark.xdist_group("book")
def test_every_figure_comes_in_three_formats_with_its_numbers(book):
    folder = book / "figures" / "smoke"
    items = items_of(choose("").values())
    assert {p.stem for p in folder.iterdir() if p.is_file()} == items | {"tab_stages"}
    names = {name for name in items if name.startswith("fig")}
    assert len(names) >= 18
    for name in names:
        assert all(
            (folder / f"{name}.{kind}").stat().st_size > 500 for kind in ("svg", "pdf", "png")
        )
        numbers = json.loads((folder / f"{name}.json").read_text())
        assert re.search("smoke|paper's", numbers["caption"]) and len(numbers) > 1


@pytest.mark.xdist_group("book")
def test_the_book_says_where_its_time_went(book):
    assert "Where the time went:" in (book / "printed.txt").read_text()
    rows = pd.read_csv(book / "figures" / "smoke" / "tab_stages.csv").set_index("stage").seconds
    assert rows["training steps"] > 0.1 * rows["all"] and (rows > -0.01 * rows["all"]).all()
    assert rows["all"] == pytest.approx(rows.drop("all").sum())


@pytest.mark.xdist_group("book")
def test_every_claim_is_judged_and_written_and_none_is_printed_at_a_scale_that_proves_nothing(book):
    printed = (book / "printed.txt").read_text()
    table = json.loads((book / "figures" / "smoke" / "claims.json").read_text())["rows"]
    assert [row["statement"] for row in table] == [s.statement for s in STATEMENTS.values()]
    assert "not run yet" not in {row["verdict"] for row in table}
    assert "No verdicts: scale smoke proves nothing." in printed
    assert not [row for row in table if row["statement"] in printed]
    assert (book / "figures" / "smoke" / "claims.md").is_file()


@pytest.mark.xdist_group("book")
def test_no_limit_is_shown_without_its_interval(book):
    """In the numbers behind every figure, an asymptote never comes alone."""

    def limits(value):
        if isinstance(value, dict):
            if "E" in value:
                yield value["E_interval_95"]
            if set(value) >= {"value", "ci_low", "ci_high"}:
                yield [value["ci_low"], value["ci_high"]]
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from limits(item)

    folder = book / "figures" / "smoke"
    found = {
        path.stem: list(limits(json.loads(path.read_text()))) for path in folder.glob("fig*.json")
    }
    assert all(len(interval) == 2 for ends in found.values() for interval in ends)
    shown = {name.split("_")[0] for name, ends in found.items() if ends}
    assert shown >= {"fig01", "fig03", "fig04a", "fig05", "fig06", "fig07a", "fig07b", "fig07"}


@pytest.mark.xdist_group("book")
def test_an_ensemble_in_a_table_is_what_its_record_says(book):
    rows = pd.read_csv(book / "figures" / "smoke" / "tab06_limits_in_K.csv").set_index("N")
    store = {record["run_id"]: record for _, record in records(book).values()}
    scored = [r for r in store.values() if r["kind"] == "ensemble" and len(r["members"]) == 3]
    assert len(scored) >= 4
    matched = 0
    for record in scored:
        for size, row in rows.iterrows():
            whole = record["losses"]["logits"][record["subsets"].index([0, 1, 2])]
            if record["N"] == size and row["all members"] == pytest.approx(whole):
                singles = [store[member]["val_loss"] for member in record["members"]]
                assert row["one member"] == pytest.approx(sum(singles) / 3, abs=1e-4)
                matched += 1
    assert matched == 4


@pytest.mark.xdist_group("book")
def test_the_table_of_a_notebook_is_what_its_records_say(book):
    """The tuned loss in the table is the mean over seeds of the records it names."""
    row = pd.read_csv(book / "figures" / "smoke" / "tab03_regularized.csv").iloc[0]
    losses = [
        record["val_loss"]
        for _, record in records(book).values()
        if record["kind"] == "train"
        and record["parameters"]["total"] == row.N
        and record["spec"]["seed_tokens"] == 4096
        and record["spec"]["init_seed"] < 2
        and all(record["spec"][name] == row[name] for name in ("wd", "lr", "epochs"))
    ]
    assert len(losses) == 2 and row.loss == pytest.approx(sum(losses) / 2)


@pytest.mark.xdist_group("book")
def test_a_students_row_is_what_its_records_say(book):
    """Losses are means over seeds; retention is the share of the teachers' gain."""
    rows = pd.read_csv(book / "figures" / "smoke" / "tab09_students.csv").set_index("student")
    tuned = pd.read_csv(book / "figures" / "smoke" / "tab03_regularized.csv").set_index("model")
    store = {record["run_id"]: record for _, record in records(book).values()}
    samples = {i: r for i, r in store.items() if r["kind"] == "sample"}
    (own,) = (i for i, r in samples.items() if len(r["spec"]["members"]) == 1)
    assert sorted(r["spec"]["kind"] for r in samples.values()) == ["average", "mixture", "mixture"]
    students = [r for r in store.values() if r["kind"] == "train" and r["spec"]["synthetic"]]
    for name, only in (("self", False), ("no real data", True)):
        losses = [
            r["val_loss"]
            for r in students
            if r["spec"]["synthetic"] == own and r["spec"]["synthetic_only"] == only
        ]
        assert len(losses) == 2 and rows.loss[name] == pytest.approx(sum(losses) / 2)
    members = samples[own]["spec"]["members"]
    together = next(
        r["losses"]["logits"][r["subsets"].index([0, 1, 2])]
        for r in store.values()
        if r["kind"] == "ensemble" and len(r["members"]) == 3 and r["members"][0] == members[0]
    )
    kept = (tuned.loss["14k"] - rows.loss) / (tuned.loss["14k"] - together)
    assert rows.retention.tolist() == pytest.approx(kept.tolist(), abs=1e-6)


@pytest.mark.xdist_group("book")
def test_the_accuracy_of_a_notebook_is_what_its_records_say(book):
    row = pd.read_csv(book / "figures" / "smoke" / "tab10_accuracy.csv").query("K == 3").iloc[0]
    store = [r for _, r in records(book).values() if r["kind"] == "evaluation"]
    shares = [
        100 * r["correct"]["acc"][r["subsets"].index([0, 1, 2])].count("1") / r["n_item"]
        for r in store
        if len(r["members"]) == 3 and r["N"] * 3 == row.parameters
    ]
    assert shares == [pytest.approx(row.continuation)]
    assert {len(r["groups"]) for r in store} == {r["n_item"] for r in store}
    pairs = pd.read_csv(book / "figures" / "smoke" / "tab10_pairs.csv")
    difference = pairs["a - b"]
    assert (pairs["a - b ci_low"] <= difference).all()
    assert (difference <= pairs["a - b ci_high"]).all()


@pytest.mark.xdist_group("book")
def test_continued_runs_in_a_table_are_what_their_records_say(book):
    rows = pd.read_csv(book / "figures" / "smoke" / "tab11_recipes.csv")
    assert len(rows) == 6 and (rows["data efficiency"].dropna() > 0).all()
    rows = rows[rows["target tokens"] == 1024].set_index("recipe")
    runs = [r for _, r in records(book).values() if r["kind"] == "train" and r["spec"]["start"]]
    assert len({r["spec"]["start"] for r in runs}) == 1
    for name, batch, epochs in (("default", 16, 1), ("smaller batch", 2, 1), ("+ epoching", 2, 4)):
        losses = [
            r["val_loss"]
            for r in runs
            if r["spec"]["batch_size"] == batch
            and r["spec"]["epochs"] == epochs
            and r["spec"]["seed_tokens"] == 1024
        ]
        assert len(losses) == 2 and rows.loss[name] == pytest.approx(sum(losses) / 2)
    assert rows["data efficiency"]["default"] == pytest.approx(1.0)


@pytest.mark.slow
def test_a_finished_book_trains_nothing_and_redraws_the_same(own_book):
    home = own_book
    figures = digests(home)
    before = records(home)
    done = run("ieee_lib", "reproduce", "--scale", "smoke", "--only", "02,03,08", home=home)
    assert records(home) == before and " runs in " not in done.stderr
    assert digests(home) == figures
    # Redrawing all of it from records would raise if a notebook had anything left to train.
    program = (
        "import sys; from ieee_lib.cli import main;"
        "assert main(['figures', '--scale', 'smoke']) == 0;"
        "assert not {'torch', 'lightning'} & set(sys.modules)"
    )
    environment = {**os.environ, "IEEE_LIB_HOME": str(home)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    redrawn = digests(home)
    assert {name: redrawn[name] for name in figures} == figures
    new = {name for name in redrawn if name not in figures}
    pages = {
        name for name in new if re.fullmatch(r"(README|figures|costs|\d\d_.*)\.(md|png)", name)
    }
    others = {name[3:5] for name in new - pages}  # notebook 13 rests on the others' too
    assert pages and others == {"23"}


@pytest.mark.xdist_group("book")
def test_the_plan_of_a_finished_book_has_nothing_left(book):
    printed = run("ieee_lib", "plan", "--scale", "smoke", home=book).stdout
    total = next(line for line in printed.splitlines() if line.startswith("all")).split()
    assert total[1] == total[2] and total[-2:] == ["0", "s"] and "measured here" in printed


@pytest.mark.slow
def test_a_killed_book_goes_on_where_it_was(project):
    """kill -9 once some runs are recorded; the second go trains the rest and changes none."""
    environment = {**os.environ, "IEEE_LIB_HOME": str(project)}
    command = [sys.executable, "-m", "ieee_lib", "reproduce", "--scale", "smoke", "--only", "01"]
    first = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(records(project)) < 4 and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = records(project)
    assert len(kept) >= 4
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    alone = project / "alone"
    for name in ("notebooks", "data/corpora"):
        (alone / name).parent.mkdir(parents=True, exist_ok=True)
        (alone / name).symlink_to((project / name).resolve())
    run("ieee_lib", "reproduce", "--scale", "smoke", "--only", "01", home=alone)
    after, undisturbed = records(project), records(alone)
    assert {name: after[name] for name in kept} == kept and len(after) > len(kept)
    for name, (_, record) in after.items():
        assert result_of(record) == result_of(undisturbed[name][1])


@pytest.mark.slow
def test_a_run_that_cannot_be_made_is_named_and_the_others_go_on(book, tmp_path, monkeypatch):
    """A folder lies where a run's weights belong: what needs them is not drawn until it goes."""
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    shutil.copytree(book / "data", tmp_path / "data")
    table = pd.read_csv(book / "figures" / "smoke" / "claims.csv")
    monkeypatch.setenv("IEEE_LIB_HOME", str(tmp_path))
    run_id = SECTIONS["01"].needs(Study.open("smoke", source="records"))[0].run_id
    (tmp_path / "data" / "runs" / "smoke" / f"{run_id}.json").unlink()
    weights = tmp_path / "data" / "checkpoints" / "smoke" / f"{run_id}.safetensors"
    weights.unlink()
    weights.mkdir()
    command = ("ieee_lib", "reproduce", "--scale", "smoke", "--only", "01,09")
    done = run(*command, home=tmp_path, check=False)
    assert done.returncode == INCOMPLETE, done.stdout + done.stderr
    assert "1 of 1 runs to make for 'overfitting' could not be made" in done.stderr
    assert f"{run_id} on " in done.stdout and "Incomplete: 01_overfitting_baseline." in done.stdout
    assert "09_claims: nothing to train" in done.stdout
    assert not list((tmp_path / "figures" / "smoke").glob("fig02a*"))
    claims = pd.read_csv(tmp_path / "figures" / "smoke" / "claims.csv")
    assert set(claims[claims.notebook == 1].verdict) == {"not run yet"}
    weights.rmdir()
    run(*command, home=tmp_path)
    assert not list((tmp_path / "data" / "runs" / "smoke" / "failed").iterdir())
    again = pd.read_csv(tmp_path / "figures" / "smoke" / "claims.csv")
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.slow
def test_a_scheduler_may_stop_a_book(project):
    """SIGTERM to the command alone: it says how to go on, and leaves no process behind."""
    environment = {**os.environ, "IEEE_LIB_HOME": str(project)}
    command = [sys.executable, "-m", "ieee_lib", "reproduce", "--scale", "smoke", "--only", "01"]
    stopped = subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not records(project) and stopped.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    stopped.terminate()
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 128 + signal.SIGTERM
    assert said.rstrip().endswith("stopped; the same command goes on where this one ended")
    with pytest.raises(ProcessLookupError):
        os.killpg(stopped.pid, 0)


@pytest.mark.slow
def test_plain_papermill_from_another_directory(own_book, tmp_path):
    notebook = ROOT / "notebooks" / "01_overfitting_baseline.ipynb"
    run(
        "papermill", str(notebook), "out.ipynb", "-p", "scale", "smoke", home=own_book, cwd=tmp_path
    )
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert any(
        "image/png" in o.get("data", {}) for c in executed.cells for o in c.get("outputs", [])
    )


@pytest.mark.slow
def test_a_parameter_reaches_the_notebook(own_book):
    home = own_book
    before = (home / "figures" / "smoke" / "fig02a_loss_against_epochs.json").read_text()
    parameters = ("-p", "max_epochs", "4", "-p", "context", "talk")
    run("ieee_lib", "reproduce", "--scale", "smoke", "--only", "1", *parameters, home=home)
    talk = home / "figures" / "smoke" / "talk"
    numbers = json.loads((talk / "fig02a_loss_against_epochs.json").read_text())
    shutil.rmtree(talk)
    assert {row["epochs"] for rows in numbers.values() for row in rows if "epochs" in row} == {1, 4}
    assert (home / "figures" / "smoke" / "fig02a_loss_against_epochs.json").read_text() == before


@pytest.mark.slow
def test_a_recorded_book_is_drawn_without_text_or_training(packed, tmp_path):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    shutil.copytree(packed / "data" / "archive", tmp_path / "data" / "archive")
    assert (packed / "figures" / "recorded" / "smoke" / "tab_stages.md").is_file()
    draw = ("ieee_lib", "figures", "--scale", "smoke", "--source", "archive", "--format", "svg")
    run(*draw, home=tmp_path)
    for name in (
        "fig03_regularized_against_size.svg",
        "tab03_claims.csv",
        "fig09_students_against_total_parameters.svg",
        "tab10_accuracy.csv",
        "tab11_recipes.csv",
    ):
        recorded = tmp_path / "figures" / "recorded" / "smoke" / name
        assert recorded.read_bytes() == (packed / "figures" / "smoke" / name).read_bytes()
    arguments = ("--scale", "smoke", "--source", "archive", "--only", "00,01")
    run("ieee_lib", "reproduce", *arguments, home=tmp_path)
    assert not (tmp_path / "data" / "runs").exists()
    assert not (tmp_path / "data" / "corpora").exists()


@pytest.mark.slow
def test_a_recorded_book_is_verified_and_compared_with_ones_own(packed, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(packed, home, symlinks=True)
    said = run("ieee_lib", "archive", "verify", "--scale", "smoke", home=home).stdout
    assert "intact" in said and "ensemble" in said
    said = run("ieee_lib", "archive", "diff", "--scale", "smoke", home=home).stdout
    assert "all equal to the last digit" in said and "no verdict flipped" in said
    diverged = None
    for path in sorted((home / "data" / "runs" / "smoke").glob("*.json")):
        record = json.loads(path.read_text())
        spec = record["spec"]
        if record["kind"] == "train" and spec["wd"] == 1.6 and not diverged:
            diverged = {**record, "status": "diverged", "val_loss": None}
            del diverged["schema"]
            path.write_text(json.dumps(sealed(diverged)))
        if record["kind"] == "train" and spec["wd"] == 0.1 and spec["epochs"] == 16:
            altered = {**record, "val_loss": record["val_loss"] - 5}  # now the best of all epochs
            path.write_text(json.dumps(sealed({k: v for k, v in altered.items() if k != "schema"})))
    said = run("ieee_lib", "archive", "diff", "--scale", "smoke", home=home).stdout
    assert "by more than 3 times the noise between seeds: D = 4,096 at wd 0.1" in said
    assert " of them equal, 1 diverged here alone; apart by " in said
    judged = pd.read_csv(home / "figures" / "smoke" / "tab_verdicts_against_recorded.csv")
    first = judged[judged.notebook == 1]  # its search would now move to runs that nobody has
    assert set(first.here) == {"not run yet"} and "not run yet" not in set(first.recorded)
    table = pd.read_csv(home / "figures" / "smoke" / "tab_against_recorded.csv")
    assert table["most apart"].max() == pytest.approx(5, abs=1e-6)
    again = run("ieee_lib", "reproduce", "--scale", "smoke", "--only", "00", home=home).stdout
    assert "Against the recorded book of this scale:" in again


@pytest.mark.slow
def test_an_archive_that_lacks_or_renames_a_run_is_refused(packed, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(packed, home, symlinks=True)
    path = home / "data" / "archive" / "smoke.jsonl.gz"
    records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    member = next(r for r in records if r["kind"] == "ensemble")["members"][0]
    pack_archive((r for r in records if r["run_id"] != member), path)
    done = run("ieee_lib", "archive", "verify", "--scale", "smoke", home=home, check=False)
    assert done.returncode == 2 and f"needs run {member}, and lacks it" in done.stderr
    for record in records:
        if record["run_id"] == member:
            record["spec"]["wd"] += 0.1
    pack_archive((sealed({k: v for k, v in r.items() if k != "schema"}) for r in records), path)
    done = run("ieee_lib", "archive", "verify", "--scale", "smoke", home=home, check=False)
    assert done.returncode == 2 and f"{member} is not its spec's name" in done.stderr


@pytest.mark.slow
def test_slides_are_drawn_on_any_background_with_a_contact_sheet(own_book):
    home = own_book
    draw = ("ieee_lib", "figures", "--scale", "smoke", "--format", "svg,png")
    run(*draw, "--context", "talk", "--background", "dark", home=home)
    folder = home / "figures" / "smoke" / "talk" / "dark"
    first = {f.name: f.read_bytes() for f in folder.iterdir()}
    figures = {name for name in first if name.startswith("fig") and name.endswith(".svg")}
    assert len(figures) >= 18 and not any(name.endswith(".pdf") for name in first)
    assert "contact_sheet.png" in first and len(first["contact_sheet.png"]) > 100_000
    text = first["fig05_loss_against_members.svg"].decode()
    assert "members K</text>" in text, "no editable text"
    assert "#16181d" in text and "#ffffff" not in text
    run(*draw, "--context", "talk", "--background", "dark", "--only", "03,07", home=home)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == first
    run(*draw, "--background", "transparent", "--only", "01", home=home)
    clear = home / "figures" / "smoke" / "transparent"
    assert not (clear / "contact_sheet.png").exists()
    pixels = plt.imread(clear / "fig02a_loss_against_epochs.png")
    assert pixels[0, 0, 3] == 0, "the background is not transparent"


@pytest.mark.slow
def test_the_book_becomes_a_site_that_asks_no_other_host(own_book):
    pytest.importorskip("myst_parser", reason="needs Sphinx: pip install 'ieee_lib[book]'")
    home = own_book
    done = run("ieee_lib", "book", "--scale", "smoke", "--source", "train", home=home)
    assert not done.stderr.strip(), done.stderr
    site = home / "data" / "site" / "smoke"
    pages = {page.name: page.read_text() for page in site.glob("*.html")}
    assert {f"{path.stem}.html" for path in NOTEBOOKS[:10]} <= set(pages)
    for name, page in pages.items():
        loads = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="([^"]+)"', page)
        assert not [url for url in loads if re.match("(https?:)?//", url)], name
        for url in {*loads, *re.findall(r'<a\b[^>]*?href="([^"#]+)', page)}:
            if not re.match("https?:|mailto:|data:", url):
                assert (site / url.split("?")[0].split("#")[0]).exists(), (name, url)
    front = pages["index.html"]
    assert "fig01_overview.svg" in front and "does not hold" in front
    gallery = pages["figures.html"]
    assert gallery.count("<img") >= 18 and gallery.count(".csv") >= 16
    headings = re.findall(r"<h2>(.*?)<", gallery)
    assert "Figure 3: regularized against size" in headings and "fig" not in "".join(headings)
    assert "Stands on" in pages["03_ensembles.html"] and "searchindex.js" in pages["search.html"]
    code = re.sub("<[^>]+>", "", pages["03_ensembles.html"])
    assert 'source = "records"  #' in code and 'scale = "smoke"  #' in code


@pytest.mark.slow
def test_a_failing_cell_is_printed_and_the_exit_code_says_so(book, tmp_path):
    home = tmp_path
    (home / "notebooks").mkdir()
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    last.source += "\nraise RuntimeError('on purpose')"
    nbformat.write(notebook, home / "notebooks" / NOTEBOOKS[0].name)
    shutil.copytree(book / "data", home / "data")
    done = run("ieee_lib", "reproduce", "--scale", "smoke", "--only", "00", home=home, check=False)
    assert done.returncode == 1
    assert "on purpose" in done.stderr and "raise RuntimeError" in done.stdout
