"""What must hold for every differentiable program, as checks that fail with an AssertionError.

`test_checks.py` plants faults and shows that each check sees them.
"""

import numpy as np

import refgrad as rg
from refgrad.tracer import Level, Tracer
from refgrad.transforms import own
from refgrad.tree import flatten
from tests.rules import callable_of


#: What a few roundings come to, relative to the largest entry.
ROUNDING = 64 * np.finfo(float).eps


def close(actual, expected, what="", rtol=ROUNDING, scale=None):
    """Equal up to rtol, relative to the scale, which is the largest entry.

    Shapes must be equal; nan and infinities must be where they are expected.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (
        f"{what}: shape {actual.shape}, expected {expected.shape}")
    if scale is None:
        scale = np.max(np.abs(expected), where=np.isfinite(expected), initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale, err_msg=what)


def like(rng, x):
    """Normal numbers in the shape and dtype of x."""
    return np.asarray(rng.standard_normal(np.shape(x)), dtype=np.asarray(x).dtype)


def inner(a, b):
    """<a, b> of two nests."""
    return sum(np.sum(np.multiply(x, y))
               for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True))


def absolute(nest):
    return rg.tree_map(np.abs, nest)


def curved(program):
    """A scalar of the program's results that has curvature, where the program is linear too."""
    def scalar(*arrays):
        results = flatten(program(*arrays))[0]
        return sum(np.sum(np.sin(y) + y * y / 2) for y in results
                   if hasattr(y, "dtype") and y.dtype.kind == "f")
    return scalar


def agrees_with_numpy(program, arrays, rtol=ROUNDING):
    """The traced value is NumPy's own: value, shape, dtype, nest."""
    expected, structure = flatten(program(*arrays))
    actual, traced_structure = flatten(rg.vjp(program, *arrays)[0])
    assert str(structure) == str(traced_structure)
    for a, e in zip(actual, expected, strict=True):
        close(a, e, "value", rtol)
        assert (np.asarray(a).dtype
                == np.asarray(e).dtype), f"value is {np.asarray(a).dtype}, NumPy's {e.dtype}"


def is_dual(program, arrays, rng, rtol=ROUNDING):
    """<g, f'(x)[v]> = <f'(x)*[g], v>, and both modes give gradients of the arguments' shape and
    dtype."""
    tangents = [like(rng, x) for x in arrays]
    value, pushed = rg.jvp(program, arrays, tangents)
    again, pull = rg.vjp(program, *arrays)
    g = rg.tree_map(lambda y: like(rng, y), value)
    pulled = pull(g)
    for c, x in zip(pulled, arrays, strict=True):
        assert (np.shape(c), c.dtype) == (np.shape(x),
                                          np.asarray(x).dtype), f"cotangent {c.dtype}{np.shape(c)}"
    results = zip(*(flatten(x)[0] for x in (pushed, value, again)), strict=True)
    for t, y, z in results:
        assert (np.shape(t), t.dtype) == (np.shape(y), y.dtype), f"tangent {t.dtype}{np.shape(t)}"
        np.testing.assert_array_equal(y, z, "the value of jvp against that of vjp")
    terms = (inner(absolute(g), absolute(pushed))
             + inner(absolute(list(pulled)), absolute(tangents)))
    close(inner(pulled, tangents), inner(g, pushed), "<vjp g, v> against <g, jvp v>", rtol, terms)


def jacobians_agree(program, arrays):
    """Reverse, forward with all tangents at once, forward one by one."""
    everything = tuple(range(len(arrays)))
    reverse, forward, loop = (
        flatten(rg.jacobian(program, everything, **how)(*arrays))[0] for how in (
            {"mode": "reverse"}, {"mode": "forward"}, {"mode": "forward", "batched": False}))
    for r, f, l in zip(reverse, forward, loop, strict=True):
        close(f, r, "forward against reverse")
        close(l, f, "one by one against all at once")


def matches_differences(program, arrays, rng):
    """A central difference of fourth order along a random direction, in float64."""
    h = 2.0 ** -17
    v = [like(rng, x) for x in arrays]
    tangent = flatten(rg.jvp(program, arrays, v)[1])[0]
    ahead, behind, far_ahead, far_behind = (
        flatten(program(*(x + step * d for x, d in zip(arrays, v))))[0]
        for step in (h, -h, 2 * h, -2 * h))
    for t, a, b, aa, bb in zip(tangent, ahead, behind, far_ahead, far_behind, strict=True):
        slope = (8 * (a - b) - (aa - bb)) / (12 * h)
        least = 2.0 ** -12 * np.max(np.abs(a), initial=0)  # what rounding makes of a slope of 0
        close(t, slope, "jvp against a central difference", 1e-6,
              np.max(np.abs(slope), initial=least))


def second_derivatives_agree(program, arrays, rng):
    """u' H v by forward over reverse, reverse over reverse, reverse over forward, forward over
    forward, differences."""
    value = program(*arrays)
    w = [like(rng, y) for y in flatten(value)[0]]

    def scalar(*x):
        leaves = flatten(program(*x))[0]
        return sum(np.sum(c * y + y * y / 2) for c, y in zip(w, leaves))

    u, v = [like(rng, x) for x in arrays], [like(rng, x) for x in arrays]
    everything = tuple(range(len(arrays)))
    gradient = rg.grad(scalar, everything)
    slope = lambda *x: rg.jvp(scalar, x, v)[1]
    hv = rg.hvp(scalar, arrays, v)
    for name, other in [("reverse over reverse",
                         rg.grad(lambda *x: inner(gradient(*x), v), everything)(*arrays)),
                        ("reverse over forward", rg.grad(slope, everything)(*arrays))]:
        for a, b in zip(other, hv, strict=True):
            close(a, b, f"Hessian-vector product, {name} against forward over reverse", 1e-8)
    close(rg.jvp(slope, arrays, u)[1], inner(u, hv),
          "u' H v, forward over forward against forward over reverse", 1e-8)
    matches_differences(gradient, arrays, rng)


def follows_the_convention(rule, kink, mode):
    """At a kink, a rule gives the slopes that its convention says."""
    call = kink.call or (lambda *arrays: callable_of(rule)(*arrays, **kink.params))
    at = [np.asarray(x, dtype=float) for x in kink.at]
    found = rg.jacobian(call, tuple(range(len(at))), mode=mode)(*at)
    for slope, expected in zip(found, kink.slopes, strict=True):
        np.testing.assert_array_equal(slope, np.asarray(expected), kink.says)


def owns_its_results(program, arrays, rng):
    """No input is written to; what comes back shares memory with nothing; overwriting it changes no
    later result."""
    _owns(program, arrays, rng)
    # Here the result is an argument, too.
    _owns(lambda *x: rg.tree_map(lambda y: y * y, program(*x)), arrays, rng)


def _owns(program, arrays, rng):
    arrays = [np.array(x) for x in arrays]
    before = [np.copy(x) for x in arrays]
    for x in arrays:
        x.flags.writeable = False
    value, pull = rg.vjp(program, *arrays)
    g = rg.tree_map(lambda y: like(rng, y), value)
    g_before = rg.tree_map(np.copy, g)
    first = pull(g)
    gradients = [np.copy(c) for c in first]
    tangents = [like(rng, x) for x in arrays]
    pushed = rg.jvp(program, arrays, tangents)
    results = [*first, *flatten(pushed)[0], *flatten(value)[0]]
    others = [*arrays, *flatten(g)[0], *tangents]
    for k, r in enumerate(results):
        assert not any(np.may_share_memory(r, o)
                       for o in [*others, *results[:k]]), "a result shares memory"
    for x, b in zip([*arrays, *flatten(g)[0]], [*before, *flatten(g_before)[0]]):
        np.testing.assert_array_equal(x, b, "an input was written to")
    for r in [*results, *flatten(g)[0]]:
        if isinstance(r, np.ndarray):
            r[...] = np.nan
    for c, e in zip(pull(g_before), gradients, strict=True):
        np.testing.assert_array_equal(c, e, "overwriting one result changed the next")


class Spy(Level):
    """A level below all others that notes each operation and the dtype of its result: what the
    rules really compute."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def watch(self, x):
        return Tracer(own(x), self, None)

    def process(self, primitive, arrays, params):
        result = primitive.evaluate(*map(self.strip, arrays), **params)
        many = result if primitive.multiple else (result,)
        self.seen.extend((primitive.name, y.dtype) for y in many)
        wrapped = tuple(Tracer(y, self, None) for y in many)
        return wrapped if primitive.multiple else wrapped[0]


def stays_in_float32(program, arrays, rng):
    """Value and gradient of a float32 program: no intermediate result is of another precision."""
    small = [np.asarray(x, dtype=np.float32) for x in arrays]
    with Spy() as spy:
        watched = [spy.watch(x) for x in small]
        value, pull = rg.vjp(program, *watched)
        pull(rg.tree_map(lambda y: spy.watch(like(rng, y)), rg.tree_map(spy.strip, value)))
        rg.jvp(program, watched, [spy.watch(like(rng, x)) for x in small])
    other = {f"{name} gives {dtype}" for name, dtype in spy.seen
             if dtype.kind == "f" and dtype != np.float32}
    assert not other, f"in a float32 program: {sorted(other)}"
