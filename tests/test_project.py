"""The frame: one lock, honest README, no path of anyone's machine."""

import itertools
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import yaml

from ieee_lib import benchmarks, cli
from ieee_lib.book import readme
from ieee_lib.cli import main
from tests.conftest import ROOT


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins():
    lines = (ROOT / "requirements.lock").read_text().split()
    return {name.replace("_", "-").lower(): pin for name, pin in (x.split("==") for x in lines)}


@pytest.mark.xdist_group("named")
def test_workers_keep_groups_together(request):
    """xdist sends tests of one name to one worker; it must be able to give them that name."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("needs workers: pytest -n 2 --dist loadgroup")
    assert request.node.nodeid.endswith("@named")


def test_conda_and_make_install_the_same_lock():
    environment = (ROOT / "environment.yml").read_text()
    assert re.findall(r"- -r (\S+)", environment) == ["requirements.lock"]
    assert "==" not in environment
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"-r (\S+)", makefile)) == {"requirements.lock"}


def test_the_lock_pins_every_declared_dependency_within_its_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in map(Requirement, itertools.chain.from_iterable(declared)):
        assert requirement.specifier.contains(pins()[requirement.name.lower()]), requirement


def test_installed_versions_are_the_locked_ones():
    from importlib.metadata import version

    names = ("torch", "lightning", "papermill", "matplotlib", "lmfit", "datasets", "tokenizers")
    names += ("lm-eval", "transformers")
    assert {n: version(n).split("+")[0] for n in names} == {n: pins()[n] for n in names}


def test_the_version_is_said_once_more_only_where_tools_read_it(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    import ieee_lib
    from ieee_lib.runs import provenance

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert project["version"] == ieee_lib.__version__
    assert f"\nversion: {ieee_lib.__version__}\n" in citation

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", not_installed)  # a folder copied to a bare machine
    assert provenance.versions_of(["ieee_lib"]) == {"ieee_lib": ieee_lib.__version__}


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    assert targets == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))


def pages():
    """Return every page that people wrote; what the code writes has tests of its own."""
    drawn = (ROOT / "figures" / "recorded", ROOT / "ieee_lib" / "book" / "site")
    written = (path for path in tracked() if path.suffix == ".md")
    return [path for path in written if not any(path.is_relative_to(folder) for folder in drawn)]


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test-all" in (ROOT / ".ci" / "run").read_text()
    assert {"make test", "make test-all"} <= set(
        re.findall(r"make test(?:-all)?\b(?!-)", (ROOT / "README.md").read_text())
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_pages_show_the_recorded_files_as_they_are(capsys):
    assert main(["readme", "--check"]) == 0, capsys.readouterr().out
    shown = {
        p for p in pages() if re.search(r"^<!-- (include|summary|notebooks): ", p.read_text(), re.M)
    }
    assert shown <= set(readme.pages()) and len(shown) > 5


def test_findings_of_the_log_are_short_and_in_its_index():
    index, *sections = re.split(r"^## (?=20)", (ROOT / "LOG.md").read_text(), flags=re.MULTILINE)
    assert len(sections) > 20
    for section in sections:
        heading, _, text = section.partition("\n")
        assert f"](#{anchor(heading)})" in index, heading
        findings = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
        assert findings, heading
        for lines in (finding.strip().splitlines() for finding in findings):
            assert len(lines) <= 3 and all(len(line) <= 200 for line in lines), lines


def anchor(heading):
    """Return the anchor that GitHub gives to a heading."""
    plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\(.*?\)", "", heading))
    return plain.lower().strip().replace(" ", "-")


def anchors(page):
    """Return the anchors that GitHub gives to a page's headings."""
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.M)}


def test_links_of_all_pages_lead_somewhere():
    """To a file, and where they name a heading, to one that the page has."""
    broken, n = [], 0
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        links = re.findall(r"\]\((?!http)([^)]+)\)|src=\"(?!http)([^\"]+)\"", text)
        for name, _, heading in ((a or b).partition("#") for a, b in links):
            target, n = page.parent / name if name else page, n + 1
            if not target.exists() or (heading and heading not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {name}#{heading}")
    assert n > 100 and not broken, broken


def test_every_page_is_a_click_from_the_readme():
    links = set(re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text()))
    apart = {ROOT / "README.md", ROOT / "tests" / "data" / "README.md"}
    tables = ROOT / "figures" / "bench"
    missing = {p for p in set(pages()) - apart if not p.is_relative_to(tables)}
    missing -= {ROOT / link for link in links}
    assert not missing


def test_no_file_names_a_path_of_this_machine_and_none_is_large():
    home = re.compile(r"/(?:root|home/\w+|Users/\w+|work)/")
    for path in tracked():
        assert path.stat().st_size < 2_000_000, path
        if path.suffix in {".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".lock", ""}:
            found = home.search(path.read_text(errors="ignore"))
            assert not found or path == ROOT / "tests" / "test_project.py", (path, found)


ARCHIVES = sorted((ROOT / "data" / "archive").glob("*.jsonl.gz"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.split(".")[0])
@pytest.mark.slow
def test_a_recorded_book_needs_nothing_but_the_repository(archive, home, capsys):
    """Neither the text nor the questions that its runs were made with."""
    (home / "data").mkdir()
    for name in ("notebooks", *(f"data/{path.name}" for path in (ROOT / "data").iterdir())):
        if any(path.is_relative_to(ROOT / name) for path in tracked()):
            (home / name).symlink_to(ROOT / name)
    assert main(["archive", "verify", "--scale", archive.name.split(".")[0]]) == 0
    assert "intact; draws" in capsys.readouterr().out


def test_every_published_number_has_a_source():
    import pandas as pd

    for path in (ROOT / "data" / "published").glob("*.csv"):
        table = pd.read_csv(path)
        assert table.source.notna().all() and len(table) > 0, path


def test_the_commands_of_all_pages_are_understood():
    """Not run: what each would do is tested elsewhere."""
    text = "\n".join(page.read_text() for page in pages() if page.name != "LOG.md")
    commands = re.findall(r"python -m ieee_lib ([^\n`]+)", text)
    commands = [command for command in commands if not command.startswith("COMMAND")]
    assert len(commands) > 30
    for command in commands:
        given = cli._parser().parse_args(shlex.split(command, comments=True))
        if given.command is cli._bench:
            options = {name: 1 for name in cli.BENCH_OPTIONS if vars(given)[name]}
            benchmarks.check_options(given.what, options)


def test_the_make_targets_and_files_of_all_pages_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE)) | {"ONLY"}
    text = "\n".join(page.read_text() for page in pages() if page.name != "LOG.md")
    shown = re.findall(r"```bash\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    blocks = "\n".join(block or words for block, words in shown)
    used = re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z-]+)((?: [A-Z]+=\S*)*)", blocks, re.MULTILINE)
    assert {target for target, _ in used} <= targets and len(used) > 20
    given = {name for _, words in used for name in re.findall(r"([A-Z]+)=", words)}
    assert given <= variables, given - variables
    measured = set(re.findall(r"python -m tests\.benchmarks (\w+)", text))
    assert measured and all((ROOT / "tests" / "benchmarks" / f"{m}.py").exists() for m in measured)
    run = re.findall(r"(?:papermill|pytest -q(?: -m \"\")?) ([\w/.]+)", blocks)
    assert len(run) > 4 and all((ROOT / path).exists() for path in run), run


def test_what_runs_elsewhere_runs_the_projects_own_commands():
    """Hosted CI runs .ci/run; the image is set up by make, without what git ignores."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    steps = (ROOT / "Dockerfile").read_text().splitlines()
    assert "RUN make setup" in steps and 'CMD ["make", "figures"]' in steps
    left_out = (ROOT / ".dockerignore").read_text().split()
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    kept = {line.removeprefix("!/").strip("/") for line in ignored if line.startswith("!")}
    assert {line[1:] for line in left_out if line.startswith("!")} == kept
    assert {"data/*", "figures/*", ".venv", "records"} <= set(left_out)


def test_the_python_of_all_pages_runs(project):
    """Every example in order, as a file, at the smoke scale and its model, by worker processes."""
    text = "\n".join(page.read_text() for page in pages())
    smoke = (ROOT / "ieee_lib" / "config" / "scales" / "smoke.toml").read_text()
    mine = smoke.replace('executor = "inline"', 'executor = "local"')
    assert mine != smoke
    (project / "data" / "mine.toml").write_text(mine)
    examples = re.findall(r"```python\n(?!# in notebook)(.*?)```", text, re.DOTALL)
    assert len(examples) >= 3 and all(len(e.splitlines()) < 40 for e in examples)
    printed = ""
    for example in examples:
        example = example.replace('Study.open("laptop")', 'Study.open("mine.toml")')
        for ours, small in (("0.14M", "14k"), ("0.07M", "14k")):
            example = example.replace(f'"{ours}"', f'"{small}"')
        script = project / "example.py"
        script.write_text(example.replace("epochs=32", "epochs=8"))
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    assert "difference of the limits:" in printed
