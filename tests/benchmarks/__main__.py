"""Run one: `python -m tests.benchmarks text --corpus 'files:novels/*.jsonl'`.

The table goes to figures/bench/. Options are the function's own arguments.
"""

import argparse

from ieee_lib import paths
from ieee_lib.benchmarks import write
from ieee_lib.config.scale import Scale
from tests.benchmarks import records, sampling, text, textbook

BENCHMARKS = {
    "records": records.run,
    "sampling": sampling.run,
    "text": text.run,
    "textbook": textbook.run,
}

parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
parser.add_argument("what", choices=BENCHMARKS)
parser.add_argument("--scale", default="laptop")
parser.add_argument("--corpus", help="text, textbook: what to read")
parser.add_argument("--files", help="textbook: folder with the items of the tasks")
given = parser.parse_args()
options = {name: value for name in ("corpus", "files") if (value := getattr(given, name))}
tables = BENCHMARKS[given.what](Scale.load(given.scale), **options)
for table in write(tables, paths.figures("bench")).values():
    print(table.formatted().to_string(index=False))
