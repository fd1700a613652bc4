"""The study of other libraries' arrays."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.studies.arrays import TABLE, report
from crosscheck.studies.arrays import table as arrays
from refgrad.primitive import TABLE as RULES

pytest.importorskip("dask")


@pytest.fixture(scope="module")
def outcome():
    few = [RULES[np.exp], RULES[np.sum], RULES[np.std]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "rules", lambda of_numpy=True: few if of_numpy else [])
        return report.run(SimpleNamespace(quick=False), lambda *_: nullcontext(lambda: None))


def test_a_row_for_each_case_and_way(outcome):
    frame, = outcome.tables
    assert tuple(frame.columns) == TABLE.columns and not outcome.failed
    dask = frame[frame["library"] == "Dask"]
    assert set(dask["way"]) == set(arrays.WAYS) - {"jit"}
    assert (dask["found"] == "works").all() and dask["lazy"].all()


def test_the_page_counts_how_the_cases_end(outcome, tmp_path):
    frame = outcome.tables[0].copy()
    frame.loc[0, ["found", "lazy", "why"]] = "wrong", False, ""
    section, = report.sections(tmp_path, frame)
    assert "1 are wrong, converted or end in an error" in section["text"][0]
    counts = report.counts(frame)
    first = counts.iloc[0]
    assert first["wrong"] == 1 and first["works"] == first["of these lazy"]
