"""A notebook as a person meets it: JupyterLab in a browser."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import nbformat
import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lab")]

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SECONDS = 900.0
"""For all cells at the smoke scale, from an empty store."""
BAR = ".widget-hprogress, .jupyter-widget-hprogress"
ERROR = ".jp-OutputArea-output:has-text('Traceback (most recent call last)')"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of notebook 03 whose scale a reader has set to smoke."""
    if BROWSER is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    notebook = nbformat.read(ROOT / "notebooks" / "03_ensembles.ipynb", as_version=4)
    parameters = notebook.cells[1]
    parameters.source = parameters.source.replace('scale = "laptop"', 'scale = "smoke"')
    parameters.source = parameters.source.replace('source = "auto"', 'source = "train"')
    nbformat.write(notebook, home / "notebooks" / "03_ensembles.ipynb")
    # All cells in the page: where a machine is busy, JupyterLab attaches those out of view late.
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    environment = {**os.environ, "IEEE_LIB_HOME": str(home), "HOME": str(home)}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    environment |= {"JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=0",
         "--allow-root", f"--ServerApp.root_dir={home / 'notebooks'}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (found := list((home / "runtime").glob("jpserver-*.json"))):
            assert server.poll() is None and time.monotonic() < deadline, "no server"
            time.sleep(0.2)
        about = json.loads(found[0].read_text())
        assert about["url"].startswith("http://127.0.0.1:") and len(about["token"]) > 20
        yield f"{about['url']}lab/tree/03_ensembles.ipynb?token={about['token']}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()


@pytest.fixture(scope="module")
def page(lab):
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(lab)
        yield page
        browser.close()


def state(page):
    """What a reader sees of the kernel, and any dialog that waits for an answer."""
    words = page.locator("#jp-main-statusbar").all_inner_texts()
    words += page.locator(".jp-Dialog-content").all_inner_texts()
    words += page.locator(".jp-InputPrompt").all_inner_texts()
    return " | ".join(word.strip() for word in words if word and word.strip())


def run_all_cells(page):
    # Before the notebook has its kernel, JupyterLab would ask which one to take; and what is asked
    # for just after an error is dropped with the cells that waited.
    page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for(timeout=180_000)
    running = page.locator(".jp-InputPrompt", has_text="[*]")
    for _ in range(10):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
        page.wait_for_timeout(3_000)
        if running.count():
            return
    raise AssertionError(f"no cell runs: {state(page)}")


def test_training_shows_a_bar_and_can_be_interrupted(page):
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=120_000)
    run_all_cells(page)
    page.locator(BAR).first.wait_for(timeout=120_000)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Interrupt Kernel")).click()
    page.locator(ERROR, has_text="KeyboardInterrupt").first.wait_for(timeout=60_000)
    waiting = page.locator(".jp-InputPrompt", has_text="[*]")
    playwright.expect(waiting).to_have_count(0, timeout=30_000)


def test_all_cells_run_after_an_interruption(page):
    run_all_cells(page)
    deadline = time.monotonic() + SECONDS
    done = page.locator(".jp-RenderedMarkdown", has_text="criterion:").last  # the summary
    playwright.expect(page.locator(ERROR)).to_have_count(0, timeout=60_000)
    while not done.is_visible() and time.monotonic() < deadline:
        assert page.locator(ERROR).count() == 0
        page.wait_for_timeout(250)
    assert done.is_visible(), f"not all cells ended: {state(page)}"
    sixth = page.locator(".jp-RenderedImage img").nth(5)  # that of the controls comes last
    sixth.wait_for(state="attached", timeout=120_000)
    assert page.locator(".jp-RenderedMarkdown table").count() >= 3
    assert page.locator(ERROR).count() == 0


def test_a_knob_redraws_its_figure(page):
    slider = page.locator(".widget-slider, .jupyter-widget-slider").first
    slider.wait_for(state="attached", timeout=120_000)
    slider.scroll_into_view_if_needed()
    figure = page.locator(".jupyter-widgets .jp-RenderedImage img, .widget-output img").first
    figure.wait_for(timeout=60_000)
    before = figure.get_attribute("src")
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(figure).not_to_have_attribute("src", before, timeout=60_000)
