"""A network as a short program that a person pastes and runs: it prints the derivative that is
wrong."""

from __future__ import annotations

import numpy as np

from ..modes import ALL, Mode
from ..networks.network import interpret
from ..subjects.libraries import library as library_named
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD


def directions(network):
    """Directions (u, v) for each leaf, of small whole numbers other than zero, which a person can
    read."""
    rng = np.random.default_rng(0)
    draw = lambda a: rng.integers(1, 4, a.shape) * rng.choice([-1.0, 1.0], a.shape)
    u, v = ({k: np.asarray(draw(network.arrays[k])) for k in network.leaves} for _ in range(2))
    return u, v


def program_of(network, library="torch", mode=Mode.REVERSE, dtype="float64", name=None, exact=None):
    """The program, as text: the network's numbers, its function f, and a line that prints the
    derivative.

    library  the name of one of `crosscheck.subjects.libraries`
    mode     a `Mode`; the directions are those of `directions`
    name     the array whose derivative is printed (all modes but forward over forward); the first
             leaf if None
    exact    its exact value, for the comment in the last line
    """
    library = library_named(library)
    u, v = directions(network)
    leaves, constants = network.draw()
    name = network.leaves[0] if name in (None, ALL) else name
    write = lambda x: library.written(x, dtype)
    lines = [f"{library.imports}  # smallest of: crosscheck replay {network.id}"]
    lines += [f"{k} = {write(x)}" for k, x in {**constants, **leaves}.items()]
    lines += _definition(network, library, dtype)
    needed = {Mode.REVERSE: {}, Mode.FORWARD: {"v": {name: v[name]}},
              Mode.FORWARD_OVER_FORWARD: {"u": u, "v": v}}.get(mode, {"v": v})
    lines += [f"{d} = {written_tuple(map(write, parts.values()))}" for d, parts in needed.items()]
    derivative = derivative_of(network.leaves, mode, name, library.gradient, library.slope)
    lines.append(f"print({derivative}.tolist())")
    if exact is not None:
        lines.append(f"# exact: {np.asarray(exact).tolist()}")
    return "\n".join(lines) + "\n"


def derivative_of(leaves, mode, name, grad, jvp):
    """The expression of the derivative, in the names of the program."""
    arguments, point, k = ", ".join(leaves), written_tuple(leaves), leaves.index(name)
    number = f", {k}" if k else ""  # grad differentiates the first argument unless told otherwise
    slope = f"{jvp}(f, {point}, v)[1]"
    if len(leaves) == 1:
        product = f"({grad}(f)({arguments}) * v[0]).sum()"
    else:
        product = (f"sum((a * b).sum() for a, b in zip({grad}(f, "
                   f"{tuple(range(len(leaves)))})({arguments}), v))")
    return {
        Mode.REVERSE: f"{grad}(f{number})({arguments})",
        Mode.FORWARD: f"{jvp}(lambda {name}: f({arguments}), ({name},), v)[1]",
        Mode.REVERSE_OVER_REVERSE: f"{grad}(lambda {arguments}: {product}{number})({arguments})",
        Mode.FORWARD_OVER_REVERSE: f"{jvp}({grad}(f{number}), {point}, v)[1]",
        Mode.REVERSE_OVER_FORWARD: f"{grad}(lambda {arguments}: {slope}{number})({arguments})",
        Mode.FORWARD_OVER_FORWARD: f"{jvp}(lambda {arguments}: {slope}, {point}, u)[1]",
    }[mode]


def written_tuple(parts):
    """A tuple as source text, of its parts as source text."""
    parts = list(parts)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _definition(network, library, dtype):
    """The lines of f, in which a result that is used once is written where it is used."""
    uses = [a for c in network.calls for a in (*c.arguments, *c.named.values())]
    shapes = _shapes(network)
    known, body = {}, []
    for c in network.calls:
        text = library.call(c, lambda a: known.get(a, str(a)), shapes, dtype)
        if uses.count(c.result) == 1 or c is network.calls[-1]:
            known[c.result] = text
        else:
            body.append(f"    {c.result} = {text}")
    result, head = known[network.calls[-1].result], f"def f({', '.join(network.leaves)}):"
    return [head, *body, f"    return {result}"] if body else [f"{head} return {result}"]


def _shapes(network):
    """The shape of every array and result."""
    leaves, constants = network.draw()
    shapes = {k: np.shape(x) for k, x in {**leaves, **constants}.items()}
    for k in range(len(network.calls)):
        part = type(network)(network.id, network.arrays, network.calls[:k + 1])
        with np.errstate(all="ignore"):
            shapes[network.calls[k].result] = np.shape(interpret(part, REFGRAD.function, leaves,
                                                                 constants))
    return shapes
