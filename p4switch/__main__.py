"""python -m p4switch: the same as umbra-switch."""

import sys

from p4switch.cli import main

if __name__ == "__main__":
    sys.exit(main())
