"""The summary of a campaign, from its parts one after the other: its size does not grow with
theirs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from ...verdict import VERDICTS

KEYS = ["differentiator", "dtype", "mode"]


class Summary:
    """A row for each differentiator, dtype and mode: how many rows, how many of each verdict, the
    extremes."""

    def __init__(self):
        self.verdicts, self.digits, self.ulps, self.closest = {}, {}, {}, {}

    def add(self, frame):
        """Count the rows of a part in."""
        frame = frame.assign(**{k: frame[k].fillna("").astype(str) for k in KEYS})
        for key, rows in frame.groupby(KEYS, sort=True):
            self.verdicts.setdefault(key, Counter()).update(rows["verdict"])
            self.digits[key] = np.fmin(self.digits.get(key, np.nan), rows["digits"].min())
            self.ulps[key] = np.fmax(self.ulps.get(key, np.nan), rows["ulp_max"].max())
            over = rows["error_over_bound"]
            if over.notna().any():
                nearest = over.max(), rows.loc[over.idxmax(), "network"]
                # Of equals the first stays.
                self.closest[key] = max(self.closest.get(key, nearest), nearest,
                                        key=lambda found: found[0])

    def frame(self):
        """The table; a column for each verdict that occurs."""
        met = [v for v in VERDICTS if any(c[v] for c in self.verdicts.values())]
        return pd.DataFrame(
            [(*key, c.total(), *(c[v] for v in met), self.digits[key], self.ulps[key],
              self.closest.get(key, (np.nan, ""))[0], self.closest.get(key, (np.nan, ""))[1])
             for key, c in sorted(self.verdicts.items())],
            columns=[*KEYS, "rows", *met, "digits_min", "ulp_max", "error_over_bound", "closest"])
