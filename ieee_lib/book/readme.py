"""Puts files that the code wrote into README.md, between markers.

<!-- include: figures/recorded/laptop/tab03_law.md -->
…
<!-- end -->
"""

import re

from ieee_lib import paths
from ieee_lib.errors import InputError, check

BLOCK = re.compile(r"(<!-- include: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """Return README text with every included file as it is now."""

    def include(match: re.Match) -> str:
        path = paths.root() / match[2]
        if not path.is_file():
            raise InputError("README.md", match[2], "is included but does not exist")
        return f"{match[1]}{path.read_text(encoding='utf-8').rstrip()}\n{match[3]}"

    return BLOCK.sub(include, text)


def update(*, check_only: bool = False) -> int:
    """Rewrite README.md, or only compare; returns 0 when it is (now) up to date, else 1."""
    path = paths.root() / "README.md"
    check(path.is_file(), "README.md", str(path), "is missing; it must have been written before")
    text = path.read_text(encoding="utf-8")
    fresh = rendered(text)
    if check_only:
        print("README.md is up to date" if fresh == text else "README.md is stale: make readme")
        return int(fresh != text)
    path.write_text(fresh, encoding="utf-8")
    return 0
