"""``python -m refgrad derive TEXT``: text in, derivation out."""

import sys

from .derive.__main__ import main

if __name__ == "__main__":
    command, *rest = sys.argv[1:] or [""]
    if command in ("-h", "--help"):
        print("usage: python -m refgrad derive TEXT    (python -m refgrad derive --help says more)")
        sys.exit(0)
    if command != "derive":
        print(f"refgrad has one command, not {command!r}: python -m refgrad derive TEXT",
              file=sys.stderr)
        sys.exit(2)
    sys.exit(main(rest))
