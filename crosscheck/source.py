"""Where in the user's own code an error was raised."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

import refgrad

#: Where code lies that is not the user's.
OTHERS = (Path(__file__).parent, Path(refgrad.__file__).parent,
          *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")))


def place(error):
    """Where an error was raised or passed through the user's code last, as ", in FUNCTION (FILE,
    line N)"; "" if it never did."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__)
           if os.path.isfile(frame.filename)
           and not any(map(Path(frame.filename).is_relative_to, OTHERS))]
    if not own:
        return ""
    last = own[-1]
    return f", in {last.name} ({last.filename}, line {last.lineno})"
