"""Who looks on: a person in JupyterLab, or nobody (papermill, a script, a printed book)."""

import os

SESSION = "JPY_SESSION_NAME"
"""Environment variable of a kernel that a Jupyter server has started for a person."""


def in_lab() -> bool:
    """Say whether widgets can be shown and turned."""
    return SESSION in os.environ
