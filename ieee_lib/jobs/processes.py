"""New processes that import this library alone, not the script or notebook that asked for them.

A spawned process first runs its parent's main file again, which in a script without
`if __name__ == "__main__"` would start it all once more. What is sent here lives in the library.

    with of_library():
        process.start()
"""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def of_library() -> Iterator[None]:
    """Hide the main file from processes that are spawned in a block."""
    main = vars(sys.modules["__main__"])
    hidden = {name: main[name] for name in ["__file__", "__spec__"] if name in main}
    for name in hidden:
        main[name] = None
    try:
        yield
    finally:
        main.update(hidden)
