"""`python -m ieee_lib`: see `ieee_lib.cli`."""

import sys

from ieee_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
