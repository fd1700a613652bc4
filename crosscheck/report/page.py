"""The page: what was run, the verdict in one sentence, the plots, the worst cases with the command that replays them.

The page is made from the files beside it, so each part of the report can be renewed alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import numpy as np

from ..studies.scaling import cheap_gradient
from ..verdict import KINK, NO_ANSWER, NOT_FINITE, RIGHT, VERDICTS, WRONG
from .page_derivations import derivations_section
from .page_memory import memory_section
from .page_speed import speed_section
from .page_throughput import throughput_section
from .page_trial import checkers_section, faults_section
from .sections import images, table
from .tables import REQUIRED, ReportError, read_table, replacing, verdict_counts

#: The tables that the page shows.
PARTS = tuple(name for name in REQUIRED if name != "layers.csv")

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(folder):
    """(Re)write ``index.html`` in `folder` from the tables and plots there.  A missing part says how to make it."""
    folder = Path(folder)
    missing, tables = [], {}
    for name in PARTS:
        try:
            tables[name] = read_table(folder / name)
        except ReportError as error:
            missing.append(str(error))
    about = _about(folder, missing)
    verdict, good = "The networks have not been checked yet.", False
    sections = []
    if "errors.csv" in tables:
        verdict, good = sentence(tables["errors.csv"], tables.get("coverage.csv"))
        sections += _errors_sections(folder, tables["errors.csv"])
    if "findings.csv" in tables:
        sections.insert(1, _findings_section(tables["findings.csv"]))
        programs = [(who, tables[name]) for who, name in (("refgrad", "refgrad_findings.csv"),
                                                          ("torch", "torch_findings.csv")) if name in tables]
        sections[2:2] = [_programs_section(who, frame) for who, frame in programs if len(frame)]
    if "coverage.csv" in tables:
        sections.append(_coverage_section(folder, tables["coverage.csv"]))
    if "derivations.csv" in tables:
        sections.append(derivations_section(tables["derivations.csv"]))
    if "faults.csv" in tables:
        sections.append(faults_section(folder, tables["faults.csv"]))
    if "checkers.csv" in tables:
        sections.append(checkers_section(folder, tables["checkers.csv"], tables.get("false_alarms.csv"),
                                         tables.get("checker_seconds.csv")))
    if "training.csv" in tables:
        sections.append(_training_section(folder, tables["training.csv"]))
    if "scaling.csv" in tables:
        sections.append(_scaling_section(folder, tables["scaling.csv"]))
    if "speed.csv" in tables:
        sections.append(speed_section(folder, tables["speed.csv"], tables.get("speed_profile.csv")))
    if "memory.csv" in tables:
        sections.append(memory_section(folder, tables["memory.csv"]))
    if "throughput.csv" in tables and "throughput_time.csv" in tables:
        sections.append(throughput_section(folder, tables["throughput.csv"], tables["throughput_time.csv"]))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    text = environment.from_string(TEMPLATE.read_text()).render(
        verdict=verdict, good=good, what=about["what"], versions=about["versions"], missing=missing,
        sections=sections)
    with replacing(folder / "index.html") as temporary:
        Path(temporary).write_text(text)


def sentence(errors, coverage):
    """(the verdict in one sentence, whether it is good)."""
    if not len(errors):
        return "No network has been checked.", False
    counts = errors["verdict"].value_counts()
    parts = []
    for who, rows in errors.groupby("differentiator"):
        bad = int(rows["verdict"].isin([WRONG, NOT_FINITE]).sum())
        parts.append(f"{who} is wrong in {bad:,} of {len(rows):,} derivatives" if bad else
                     f"{who} gives no wrong answer in {len(rows):,} derivatives")
    digits = errors["digits"].min()
    parts.append("no rule could be compared with differences" if np.isnan(digits) else
                 "every rule agrees with differences in ball arithmetic " +
                 ("exactly" if np.isinf(digits) else f"to at least {int(digits)} digits"))
    extra = [f"{int(counts[v]):,} {v}" for v in VERDICTS if v not in (RIGHT, WRONG, NOT_FINITE) and counts.get(v, 0)]
    text = "; ".join(parts) + (f" ({', '.join(extra)})." if extra else ".")
    if coverage is not None and (unmet := int((coverage["met"] == 0).sum())):
        text += f" {unmet:,} layers or pairs of layers were not met."
    refgrad_wrong = ((errors["differentiator"] == "refgrad") & errors["verdict"].isin([WRONG, NOT_FINITE, NO_ANSWER])).any()
    return text[0].upper() + text[1:], bool(digits >= 40 and not refgrad_wrong)


def _about(folder, missing):
    try:
        about = json.loads((folder / "run.json").read_text())
        return {"what": list(about["what"]), "versions": str(about["versions"])}
    except FileNotFoundError:
        missing.append(f"{folder / 'run.json'} is missing; make it with: python -m crosscheck --out {folder}")
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError, TypeError) as error:
        missing.append(f"{folder / 'run.json'} cannot be read ({error!r}); make it with: python -m crosscheck "
                       f"--out {folder}")
    return {"what": [], "versions": ""}


def _errors_sections(folder, errors):
    return [
        {"title": "Verdicts",
         "text": ["Each derivative is compared with its exact value. It is “exact to rounding” if the error is within "
                  "what rounding alone can do to the computation, as ball arithmetic of that precision bounds it. It "
                  "is “wrong” if more precision does not make the error smaller. No tolerances.",
                  "“Undecided” says that the network is too ill-conditioned for the dtype: by the bound, rounding alone "
                  "could explain any value. “No answer”: the library raised an error instead."],
         "images": [], "tables": [table(verdict_counts(errors).reset_index())]},
        {"title": "Are the rules right?",
         "text": ["Finite differences at 400 bits and more know nothing of the rules, and agree with them to this many "
                  "digits."],
         "images": images(folder, "digits.png"), "tables": []},
        {"title": "How accurate is floating point?",
         "text": ["An ulp is the distance between neighbouring numbers at the exact value. Dot: the median of all "
                  "arrays in networks that have the layer; line: 5 % to 95 %."],
         "images": images(folder, "errors.png"), "tables": [_worst(errors)]}]


def _findings_section(findings):
    shown = findings.rename(columns={"with_layer": "of"})
    columns = ["differentiator", "verdict", "mode", "layer", "networks", "of", "simplest", "note"]
    text = ["Through which layers: how many networks are affected, of how many that have the layer, and the simplest "
            "of them (see it with: crosscheck replay ...)."
            if len(shown) else "Nothing: every answer is exact to rounding."]
    return {"title": "What went wrong", "text": text, "images": [],
            "tables": [table(shown[columns], code=("simplest",), long=("note",))] if len(shown) else []}


def _programs_section(who, findings):
    """Each wrong derivative of a library with the smallest program that shows it."""
    columns = [c for c in ("layer", "mode", "dtype", "network", who, "exact", "ulps", "primitive", "rule", "factor")
               if c in findings.columns]
    return {"title": f"Where {who} is wrong", "text": ["Paste a program and run it: it prints the wrong derivative."],
            "images": [], "tables": [table(findings[columns], code=("network",)),
                                     table(findings[["layer", "mode", "program"]], code=("program",))]}


def _coverage_section(folder, coverage):
    layers, pairs = (coverage.loc[coverage["kind"] == kind, "met"] for kind in ("layer", "pair"))
    text = (f"{int((layers > 0).sum())} of {len(layers)} layers and losses and {int((pairs > 0).sum())} of "
            f"{len(pairs)} pairs in sequence were met.")
    return {"title": "Coverage", "text": [text], "images": images(folder, "coverage.png"), "tables": []}


def _worst(errors):
    """For each differentiator and dtype the answers that come closest to their bound."""
    ranked = errors[errors["verdict"] != KINK].sort_values(["error_over_bound", "network", "parameter"],
                                                           ascending=[False, True, True])
    worst = ranked.groupby(["differentiator", "dtype"], sort=True).head(3).sort_values(["differentiator", "dtype"])
    shown = worst[["differentiator", "dtype", "mode", "network", "parameter", "ulp_max", "rel_error",
                   "error_over_bound", "verdict"]]
    return table(shown, "The worst cases (an error over bound of 1 is the most that rounding can do; see one with: "
                  "crosscheck replay ...)", code=("network",))


def _training_section(folder, training):
    last = training[training["step"] == training["step"].max()]
    return {"title": "A real network on real data",
            "text": ["A batch-norm network learns the 8x8 digits, by refgrad and by torch in lockstep."],
            "images": images(folder, "training.png"), "tables": [table(last, "The last step")]}


def _scaling_section(folder, scaling):
    columns = [c for c in ("study", "library", "method", "slope", "slope_low", "slope_high") if c in scaling.columns]
    fitted = scaling[columns].dropna().drop_duplicates() if "slope" in columns else scaling.head(0)
    text = ["Cost grows as parameters^slope; slopes with 95 % confidence intervals. Hollow marks are projections from "
            "single passes."]
    cheap = scaling[(scaling["study"] == "cheap gradient") & (scaling["method"] == cheap_gradient.BOTH)]
    if len(cheap):
        widest = cheap[cheap["width"] == cheap["width"].max()]
        text.append(f"Value and gradient of {cheap_gradient.LAYERS} layers of width {int(widest['width'].iloc[0]):,} cost, "
                    f"in values, {', '.join(f'{r.ratio:.2f} by {r.library}' for r in widest.itertuples())}; counting "
                    f"matrix products it is {cheap_gradient.expected_constant():.2f}, and the aim is at most "
                    f"{cheap_gradient.MOST}.")
    return {"title": "Reverse against forward",
            "text": text,
            "images": images(folder, "scaling.png", "jacobian.png", "cheap_gradient.png"),
            "tables": [table(fitted, "Fitted slopes")] if len(fitted) else []}
