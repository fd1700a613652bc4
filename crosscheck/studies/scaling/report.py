"""How cost grows: how it is run, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import machine, Outcome
from . import cheap_gradient, plots
from . import run as scaling


def run(options, watch):
    with watch("measuring how cost grows", scaling.count(options.quick)) as tick:
        frame = scaling.run_scaling(options.seed, options.quick, tick)
    return Outcome(
        len(frame), tables=[frame],
        files={"scaling.png": partial(plots.plot_gradient, frame),
               "jacobian.png": partial(plots.plot_jacobian, frame),
               "cheap_gradient.png": partial(plots.plot_cheap_gradient, frame)},
        about=f"the cost of gradients up to {int(frame['parameters'].max()):,} parameters, "
              f"on {machine()}")


def sections(folder, scaling):
    """The fitted slopes, and what value and gradient cost at the greatest width."""
    columns = ["study", "library", "method", "slope", "slope_low", "slope_high"]
    fitted = scaling[columns].dropna().drop_duplicates()
    text = ["Cost grows as parameters^slope; slopes with 95 % confidence intervals. Hollow marks "
            "are projections from single passes."]
    cheap = scaling[(scaling["study"] == "cheap gradient")
                    & (scaling["method"] == cheap_gradient.BOTH)]
    if len(cheap):
        widest = cheap[cheap["width"] == cheap["width"].max()]
        costs = ", ".join(f"{r.ratio:.2f} by {r.library}" for r in widest.itertuples())
        text.append(f"Value and gradient of {cheap_gradient.LAYERS} layers of width "
                    f"{int(widest['width'].iloc[0]):,} cost, in values, {costs}; counting matrix "
                    f"products it is {cheap_gradient.expected_constant():.2f}, and the aim is at "
                    f"most {cheap_gradient.MOST}.")
    return [section("Reverse against forward", text,
                    images(folder, "scaling.png", "jacobian.png", "cheap_gradient.png"),
                    [table(fitted, "Fitted slopes")] if len(fitted) else [])]
