"""The op table on CuPy's arrays, on a GPU.

    python -m tests.gpu.arrays_on_cupy arrays.csv

Writes a row for each case and way: value, vjp, jvp, hvp (forward over reverse).  Without CuPy or
a GPU it says so and ends well.
"""

import csv
import importlib
import sys
from collections import Counter

from crosscheck.studies.arrays import table as arrays


def gpu():
    """CuPy, if it is there and finds a GPU."""
    try:
        cupy = importlib.import_module("cupy")
        return cupy if cupy.cuda.runtime.getDeviceCount() else None
    except Exception as error:  # of CuPy or of the driver, which have errors of their own
        print(f"skipped: {type(error).__name__}: {error}")
        return None


def main(out):
    cupy = gpu()
    if cupy is None:
        return
    count = Counter()
    with open(out, "w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(("function", "case", "way", "library", "found", "why"))
        for of_numpy in (True, False):
            for rule in arrays.rules(of_numpy):
                for case, way, what, _, why in arrays.found(
                        rule, cupy.asarray, cupy.asnumpy, cupy.ndarray):
                    write((rule.name, case, way, "CuPy", what, why))
                    count[way, what] += 1
    for way in arrays.WAYS:
        print(way, {what: count[way, what] for what in ("works", "wrong", "converted", "refused")})


if __name__ == "__main__":
    main(sys.argv[1])
