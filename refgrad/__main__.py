"""``python -m refgrad derive TEXT``: text in, derivation out."""

import sys

from .derive.__main__ import main

USAGE = """\
usage: python -m refgrad derive TEXT

Derive the gradient of an expression as a formula, for example

  python -m refgrad derive "0.5*norm(X @ W - Y)**2" --wrt W

python -m refgrad derive --help says more.  In Python: help(refgrad)."""

if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(USAGE)
        sys.exit(0)
    if command != "derive":
        print(f"error: refgrad has the command derive, not {command!r}\n{USAGE}", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(rest))
