"""The networks: how they are checked, the sections of the page, and the verdict at its head."""

from functools import partial

import numpy as np

from ...locate.findings import BAD
from ...modes import Mode
from ...report.sections import compared, images, section, table
from ...report.terminal import table_of
from ...subjects.libraries import USUAL
from ...truth.differences import REQUIRED
from ...verdict import KINK, LESS_ACCURATE, MISCONDUCT, NO_ANSWER, UNDECIDED
from ..study import Outcome
from . import frames, plots
from . import run as job
from .commands import count_and_profile, dtypes_of, libraries_of

#: Verdicts of derivatives that could not be judged, and how the head of the page says so.
UNJUDGED = {NO_ANSWER: "without an answer", UNDECIDED: "undecided"}

#: The ways to derivatives that the verdict tells apart, and their modes.
WAYS = {"reverse mode": (Mode.REVERSE,), "forward mode": (Mode.FORWARD,),
        "second order by reverse mode alone": (Mode.REVERSE_OVER_REVERSE,),
        "second order through forward mode": (
            Mode.FORWARD_OVER_REVERSE, Mode.REVERSE_OVER_FORWARD, Mode.FORWARD_OVER_FORWARD)}


def run(options, watch):
    count, profile = count_and_profile(options)
    dtypes, libraries = dtypes_of(options), libraries_of(options)
    with watch("checking networks", count) as tick:
        result = job.run(options.seed, count, profile, dtypes, options.workers, tick, libraries)
    return outcome(result, count, (
        f"{len(result.networks)} random networks of seed {options.seed} ({profile}), "
        f"{sum(n.size for n in result.networks):,} numbers to differentiate, in "
        f"{' and '.join(dtypes)}" + f", by {' and '.join(libraries)}" * (libraries != USUAL)))


def outcome(result, count, about):
    """The `Outcome` of a `Run` of that many networks."""
    networks, finished = result.networks, len(result.networks)
    errors, coverage = frames.errors_table(result.rows), frames.coverage_table(result.coverage)
    return Outcome(
        finished, f"{finished} of {count} networks are checked",
        [errors, *(partial(table, errors, networks) for table in (
            frames.layers_table, frames.findings_table, frames.torch_findings,
            frames.refgrad_findings)), coverage],
        {"errors.png": partial(plots.plot_errors, errors, networks),
         "digits.png": partial(plots.plot_digits, errors, networks),
         "coverage.png": partial(plots.plot_coverage, coverage)}, about,
        lambda: table_of(frames.verdict_counts(errors).reset_index(),
                         ("differentiator", "dtype", "mode")),
        stopped=result.stopped, asked=f"{count} were asked for")


def verdict(errors, findings, *others):
    """(the verdict in sentences, the first of which is the head; whether it is good)."""
    if errors is None:
        return ["The networks have not been checked yet."], False
    if not len(errors):
        return ["No network has been checked."], False
    digits = errors["digits"].min()
    proved = bool(digits >= REQUIRED)
    known = "exactly" if digits == np.inf else f"to at least {max(digits, 0) // 1:.0f} digits"
    if np.isnan(digits):
        said = ["No rule could be compared with differences."]
    elif proved:
        said = [f"Every rule is proved: it agrees with differences in ball arithmetic {known}."]
    else:
        said = ["The rules are not proved: they agree with differences in ball arithmetic "
                f"{known}; {REQUIRED} are required."]
    for who, rows in errors.groupby("differentiator"):
        of_this = None if findings is None else findings[findings["differentiator"] == who]
        said += _lines(who, rows, of_this)
    if (coverage := others[-1]) is not None and (unmet := int((coverage["met"] == 0).sum())):
        said.append(f"{unmet:,} layers or pairs of families were not met.")
    refgrad_wrong = (
        ((errors["differentiator"] == "refgrad") & errors["verdict"].isin([*BAD, NO_ANSWER])).any())
    return said, proved and not refgrad_wrong


def _lines(who, rows, findings):
    """How right a library is, a sentence for all ways to its derivatives, or for each if any is
    wrong."""
    if not rows["verdict"].isin(BAD).any():
        return [_line(who, rows)]
    said = []
    for way, modes in WAYS.items():
        some = rows[rows["mode"].isin(modes)]
        here = None if findings is None else findings[findings["mode"].isin(modes)]
        said += [_line(f"{who}, {way}", some, here)] if len(some) else []
    return said


def _line(subject, rows, findings=None):
    """How many derivatives are wrong, of how many that could be judged, and through which
    layers."""
    counts = rows["verdict"].value_counts()
    bad, judged = rows["verdict"].isin(BAD).sum(), (~rows["verdict"].isin(UNJUDGED)).sum()
    through = []
    if findings is not None:
        through = sorted(set(findings.loc[findings["verdict"].isin(BAD), "layer"]))
    among, beside = (", ".join(f"{counts[v]:,} {words}" for v, words in said.items() if v in counts)
                     for said in ({v: v for v in (LESS_ACCURATE, KINK, MISCONDUCT)}, UNJUDGED))
    return "; ".join(filter(None, [
        f"{subject}: {f'wrong in {bad:,}' if bad else 'none wrong'} of {judged:,} derivatives" +
        (f", through {', '.join(through)}" if through else ""),
        among, beside and f"not judged: {beside}"])) + "."


def sections(folder, errors, findings, of_torch, of_refgrad, coverage):
    """Verdicts, what went wrong, the rules, the accuracy, what was met: as far as the tables are
    there."""
    found = [] if errors is None else [_verdicts(errors)]
    if findings is not None:
        found.append(_findings(findings))
        found += [_programs(who, programs)
                  for who, programs in (("refgrad", of_refgrad), ("torch", of_torch))
                  if programs is not None and len(programs)]
    if errors is not None:
        found += [section(
            "Are the rules right?",
            ["Finite differences at 400 bits and more know nothing of the rules, and agree with "
             "them to this many digits."], images(folder, "digits.png")), section(
            "How accurate is floating point?",
            ["An ulp is the distance between neighbouring numbers at the exact value. Dot: "
             "the median of all arrays in networks that have the layer; line: 5 % to 95 %."],
            images(folder, "errors.png"), [_worst(errors)])]
    return found + ([] if coverage is None else [_coverage(folder, coverage)])


def _verdicts(errors):
    return section(
        "Verdicts",
        ["Each derivative is compared with its exact value. It is “exact to rounding” if the error "
         "is within what rounding alone can do to the computation, as ball arithmetic of that "
         "precision bounds it. It is “wrong” if more precision does not make the error smaller. "
         "No tolerances.", "“Undecided” says that the network is too ill-conditioned for the "
                           "dtype: by the bound, rounding alone could "
                           "explain any value. “No answer”: the library raised an error instead."],
        tables=[table(frames.verdict_counts(errors).reset_index())])


def _findings(findings):
    if not len(findings):
        return section("Wrong derivatives, by layer",
                       ["None: every answer is exact to rounding."], finding=True)
    columns = ["layer", "verdict", "mode", "differentiator", "networks", "of", "simplest", "note"]
    shown = findings.rename(columns={"with_layer": "of"})[columns]
    return section(
        "Wrong derivatives, by layer",
        ["In how many of the random networks that have the layer a derivative comes out wrong, and "
         "the simplest of them, of which crosscheck replay shows everything."],
        tables=[table(shown, code=("simplest",), long=("note",))], finding=True)


def _programs(who, findings):
    """Each wrong derivative of a library with the smallest program that shows it."""
    return section(f"Networks in which {who} is wrong", [
        "Each network is reduced as long as the mistake shows. Paste a program and run it: it "
        "prints the wrong derivative."], finding=True, programs=[
            (_program_title(who, r), r["program"]) for r in findings.to_dict("records")])


def _program_title(who, finding):
    """What a program shows; of a derivative of refgrad also the primitive that is at fault."""
    ulps, says = finding["ulps"], finding.get("says")
    return (f"{finding['layer']}, {finding['mode']}, {finding['dtype']}: "
            f"{compared(who, finding[who], finding['exact'])}" +
            (f", {ulps:.2g} ulps apart" if np.isfinite(ulps) else "") +
            (f"; {says}" if isinstance(says, str) and says else ""))


def _coverage(folder, coverage):
    layers, pairs = (coverage.loc[coverage["kind"] == kind, "met"] for kind in ("layer", "pair"))
    text = (f"{int((layers > 0).sum())} of {len(layers)} layers and losses and "
            f"{int((pairs > 0).sum())} of {len(pairs)} pairs of families in sequence were met.")
    return section("Coverage", [text], images(folder, "coverage.png"))


def _worst(errors):
    """For each differentiator and dtype the answers that come closest to their bound."""
    ranked = errors[errors["verdict"] != KINK].sort_values(["error_over_bound", "network",
                                                            "parameter"],
                                                           ascending=[False, True, True])
    worst = ranked.groupby(["differentiator", "dtype"],
                           sort=True).head(3).sort_values(["differentiator", "dtype"])
    shown = worst[["differentiator", "dtype", "mode", "network", "parameter", "ulp_max",
                   "rel_error", "error_over_bound", "verdict"]]
    return table(shown, "The worst cases (an error over bound of 1 is the most that rounding can "
                 "do; see one with: crosscheck replay ...)", code=("network",))
