import os
import sys

# Python looks into the current folder first, where a json.py of the user's would take the place of
# Python's own.
if not sys.flags.safe_path and sys.path[0] == os.getcwd():
    sys.path.append(sys.path.pop(0))

from .entry import main  # noqa: E402

main()
