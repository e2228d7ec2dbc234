"""Every claim of the paper judged from records, and what each notebook's records cost.

ran = run_records(study)                 # notebooks 01 to 08: number -> what their cells made
judged(ran)                              # all claims; "not run yet" where records are missing
cost_frame(ran)                          # one row a notebook
"""

from collections.abc import Mapping

import pandas as pd

from ieee_lib.book.costs import kinds_of, sums_of
from ieee_lib.book.run import Ran, one_book, run_notebook
from ieee_lib.book.sections import SECTIONS
from ieee_lib.claims.statements import STATEMENTS
from ieee_lib.claims.verdicts import NOT_RUN, UNTESTABLE, Claim, without_measure
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.plots.saving import output
from ieee_lib.study import Study

JUDGED = sorted({statement.notebook for statement in STATEMENTS.values()})
"""Numbers of the notebooks that judge statements."""


def run_records(study: Study) -> dict[str, Ran]:
    """Run the notebooks that judge statements on what is recorded; nothing is trained or written.

    A notebook whose runs are missing is absent. One that ran in this process already, in the same
    book and on the same records, is not run again; nor is one that is running now.
    """
    reader = study.reading()
    results: dict[str, Ran] = {}
    if next(iter(reader.store.records()), None) is None:
        return results
    parameters = {"scale": study.scale, "source": reader.source}
    with one_book() as session, output(write=False):
        for number in JUDGED:
            path = SECTIONS[number].path
            before = session.ran.get(path)
            if before is not None and _is_of(before, reader):
                results[number] = before
            elif path not in session.running:
                try:
                    results[number] = run_notebook(path, parameters)
                except MissingRuns:
                    continue
                except InputError as error:  # members or sizes lost to divergence
                    results[number] = Ran(path, refused=str(error))
    return results


def _is_of(ran: Ran, reader: Study) -> bool:
    """Say whether a notebook has run on the same records and text; training, it ended with them."""
    study = ran.study.reading()
    return (study.scale, study.source, study.fingerprint) == (
        reader.scale,
        reader.source,
        reader.fingerprint,
    )


def judged(ran: Mapping[str, Ran]) -> list[Claim]:
    """Return all claims in the order of the paper, given what `run_records` returns."""
    claims: list[Claim] = []
    for number in JUDGED:
        if number not in ran:
            claims += without_measure(number, NOT_RUN, "its runs are not recorded")
        elif ran[number].refused:
            claims += without_measure(number, UNTESTABLE, ran[number].refused)
        else:
            claims += ran[number].judged
    order = [statement.statement for statement in STATEMENTS.values()]
    return sorted(claims, key=lambda claim: order.index(claim.statement))


def cost_frame(ran: Mapping[str, Ran]) -> pd.DataFrame:
    """Return one row a notebook: its records by kind, and what those first used there cost.

    Tokens and FLOPs of training, seconds of one worker. Takes what `run_records` returns.
    """
    rows = []
    counted: set[str] = set()
    for number, notebook in sorted(ran.items()):
        if notebook.refused:
            continue
        store = notebook.study.store
        run_ids = sorted(notebook.study.trace.accessed)
        records = [record for i in run_ids if (record := store.get(i)) is not None]
        new = [record for record in records if record["run_id"] not in counted]
        counted |= set(run_ids)
        row = {"notebook": number, **kinds_of(records), "first used here": len(new)}
        rows.append({**row, **sums_of(new)})
    return pd.DataFrame(rows)
