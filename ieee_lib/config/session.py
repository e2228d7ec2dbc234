"""Whether a person in JupyterLab sees the output, or a program does (papermill, a script)."""

import os

SESSION = "JPY_SESSION_NAME"
"""Environment variable of a kernel that a Jupyter server has started for a person."""


def in_lab() -> bool:
    """Say whether a Jupyter server started this kernel, so that widgets work."""
    return SESSION in os.environ
