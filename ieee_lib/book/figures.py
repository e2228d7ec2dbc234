"""Redraws the book's figures, tables and pages from records: every size, background and format.

redraw("laptop", source="archive", only="03,fig01", context="talk", formats=["svg"])
"""

from collections.abc import Mapping, Sequence

from ieee_lib import paths
from ieee_lib.book.pages import write_pages
from ieee_lib.book.run import Ran, choose_figures, run_book
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check_choice
from ieee_lib.plots.contact_sheet import contact_sheet
from ieee_lib.plots.saving import FORMATS, SavedFigure, output, save_figure
from ieee_lib.plots.style import current_style, style
from ieee_lib.study import Study


def redraw(
    scale: str,
    *,
    source: str = "auto",
    corpus: str = "",
    only: str = "",
    context: str = "paper",
    background: str = "white",
    formats: Sequence[str] = FORMATS,
    labels: Mapping[str, str] | None = None,
    caption: bool | None = None,
) -> None:
    """Write some figures and tables (`only`: notebooks or names), or all.

    All: those whose runs are recorded. `auto` draws the records of this machine or, where it has
    none, the archive. At paper size, on white, as SVG and PNG, a Markdown page a notebook goes
    beside them, as GitHub shows it; with all, the PNGs also go on a contact sheet. labels: title,
    xlabel and ylabel instead of a figure's own; caption: whether there is a caption line, by
    default on all but slides. Prints each name.

    Raises InputError for an unknown source, section, name, size, background or format, and
    MissingRuns for missing records.
    """
    check_choice("source", source, ("auto", "records", "archive"))
    if source == "auto":
        name = Scale.load(scale).name
        trained_here = bool(corpus) or any(paths.runs(name).glob("*.json"))
        source = "archive" if paths.recorded(name).is_file() and not trained_here else "records"
        if source == "archive":
            print("nothing was trained here: drawing the recorded runs", flush=True)
    sections, names = choose_figures(only) if only else (None, None)
    written = output(formats, names=names, labels=labels, caption=caption)
    with style(context, background), written:
        study = Study.open(scale, source=source, corpus=corpus)
        folder = study.figures_folder()

        def report(ran: Ran) -> None:
            for name in ran.saved:
                if names is None or name in names:
                    print(f"{folder.relative_to(paths.root())}/{name}", flush=True)

        appearance = {"context": context, "background": background}
        ran = run_book(study, sections, parameters=appearance, strict=bool(only), report=report)
        if only or "png" not in formats:
            return
        pictures = {
            name: (folder / f"{name}.png").read_bytes()
            for each in ran.values()
            for name, saved in each.saved.items()
            if isinstance(saved, SavedFigure)
        }
        with output(["png"]):
            save_figure(
                contact_sheet(pictures),
                folder,
                "contact_sheet",
                data={"figures": list(pictures)},
                caption=f"{study.scale.name} scale · all figures",
            )
        if current_style() == ("paper", "white") and "svg" in formats:
            for name in write_pages(study, ran, folder):
                print(f"{folder.relative_to(paths.root())}/{name}.md", flush=True)
