"""The page's sections about the checker on trial: planted faults, and the other checkers beside it."""

from __future__ import annotations

from ..studies.faults import trial
from ..studies.checkers.tables import side_by_side
from .sections import images, table

#: Rows shown of what is long.
FIRST = 20


def faults_section(folder, faults):
    """What became of the planted mistakes; those that were missed, or pinned on another primitive, one by one."""
    text = [trial.sentence(faults) + ".",
            "Each mistake is put into one rule of one primitive, and the checker is asked about a small program that "
            "uses it, then the locator. That a mutant changes nothing is proved: on balls to second order, and entry "
            "by entry in floats."]
    pinned = faults["pinned"].astype(str) == "True"
    left = faults[faults["caught"].isin([trial.MISSED, trial.FALSE_ALARM]) | (faults["caught"] == trial.CAUGHT) & ~pinned]
    columns = ["primitive", "operator", "rule", "argument", "caught", "by", "point", "pinned_on", "note"]
    return {"title": "Planted faults", "text": text, "images": images(folder, "faults.png"),
            "tables": [table(left[columns].head(FIRST), f"Missed, or not pinned on the right primitive: {len(left)}",
                             long=("note",))] if len(left) else []}


def checkers_section(folder, checkers, alarms, seconds):
    """Detection, false alarms and time of each checker."""
    text = ["Each checker is given the same function with the same faulty rule of refgrad, as a function of its own "
            "framework: an autograd.Function of torch, a primitive of JAX or of HIPS autograd, whose derivatives of "
            "every order are refgrad's. In per cent: the faults that it notices, by the derivatives in which they show "
            "at the inputs given (elsewhere: only at other points, dtypes or memory layouts, or in repeated calls), and "
            "the right gradients that it calls wrong: scaled, saturated, nearly constant or singular, near kinks. "
            "Settings are each checker's own. torch's gradcheck claims reverse mode in float64 alone, gradgradcheck the "
            "derivative of reverse mode."]
    shown = [table(side_by_side(checkers), "In per cent; seconds for one check of a small function")]
    if alarms is not None:
        ours = alarms[(alarms["checker"] == "crosscheck") & (alarms["subject"] == "refgrad")]
        wrong = ours[ours["verdict"] != "accepted"]
        text.append(f"crosscheck was given {len(ours):,} right gradients, all dtypes of each, and called "
                    f"{len(wrong) or 'none'} of them wrong.")
        if len(wrong):
            shown.append(table(wrong[["case", "family", "scale", "message"]].head(FIRST), "Called wrong",
                               long=("message",)))
        torch = alarms[(alarms["subject"] == "torch") & (alarms["verdict"] != "accepted")]
        if len(torch):
            shown.append(table(torch[["case", "scale", "message"]].head(FIRST),
                               "Torch's own faults, which are no false alarms: layers whose "
                               "derivatives are refuted, with the reason that comes first", long=("message",)))
    if seconds is not None:
        wide = seconds.pivot_table(index=["layer", "numbers"], columns="checker", values="seconds", sort=False)
        shown.append(table(wide.reset_index(), "Seconds to check torch layers of about a thousand numbers"))
    return {"title": "The checkers on trial", "text": text, "images": images(folder, "checkers.png"), "tables": shown}
