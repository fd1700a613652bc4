"""A network as a short program that a person pastes and runs: it prints the derivative that is wrong."""

from __future__ import annotations

import numpy as np

from refgrad import nn

from ..networks.network import interpret
from ..subjects.libraries.refgrad_modes import function, kept_by_dropout

#: What a program of each library begins with.
IMPORTS = {"torch": "import torch, torch.nn.functional as F",
           "refgrad": "import numpy as np; from refgrad import grad, jvp, nn"}


def directions(network):
    """(u, v): small whole numbers, none of them zero, for each leaf; so that they are easily written."""
    rng = np.random.default_rng(0)
    draw = lambda a: rng.integers(1, 4, a.shape) * rng.choice([-1.0, 1.0], a.shape)
    u, v = ({k: np.asarray(draw(network.arrays[k])) for k in network.leaves} for _ in range(2))
    return u, v


def program_of(network, library="torch", mode="reverse", dtype="float64", name=None, exact=None):
    """The program, as text: the network's numbers, its function f, and a line that prints the derivative.

    library  "torch" or "refgrad"
    mode     one of crosscheck.subjects.libraries.refgrad_modes.MODES; the directions are those of `directions`
    name     the array whose derivative is printed (all modes but forward over forward); the first leaf if None
    exact    its exact value, for the comment in the last line
    """
    u, v = directions(network)
    leaves, constants = network.draw()
    name = network.leaves[0] if name in (None, "*") else name
    write = lambda x: _array(x, library, dtype)
    lines = [f"{IMPORTS[library]}  # smallest of: crosscheck replay {network.id}"]
    lines += [f"{k} = {write(x)}" for k, x in {**constants, **leaves}.items()]
    lines += _definition(network, library, dtype)
    needed = {"reverse": {}, "forward": {"v": {name: v[name]}}}.get(mode, {"v": v})
    if mode == "forward over forward":
        needed = {"u": u, "v": v}
    lines += [f"{d} = {_tuple(map(write, parts.values()))}" for d, parts in needed.items()]
    grad, jvp = ("torch.func.grad", "torch.func.jvp") if library == "torch" else ("grad", "jvp")
    lines.append(f"print({_derivative(network.leaves, mode, name, grad, jvp)}.tolist())")
    if exact is not None:
        lines.append(f"# exact: {np.asarray(exact).tolist()}")
    return "\n".join(lines) + "\n"


def _derivative(leaves, mode, name, grad, jvp):
    """The expression of the derivative, in the names of the program."""
    arguments, point, k = ", ".join(leaves), _tuple(leaves), leaves.index(name)
    number = f", {k}" if k else ""  # grad differentiates the first argument unless told otherwise
    slope = f"{jvp}(f, {point}, v)[1]"
    if len(leaves) == 1:
        product = f"({grad}(f)({arguments}) * v[0]).sum()"
    else:
        product = f"sum((a * b).sum() for a, b in zip({grad}(f, {tuple(range(len(leaves)))})({arguments}), v))"
    return {
        "reverse": f"{grad}(f{number})({arguments})",
        "forward": f"{jvp}(lambda {name}: f({arguments}), ({name},), v)[1]",
        "reverse over reverse": f"{grad}(lambda {arguments}: {product}{number})({arguments})",
        "forward over reverse": f"{jvp}({grad}(f{number}), {point}, v)[1]",
        "reverse over forward": f"{grad}(lambda {arguments}: {slope}{number})({arguments})",
        "forward over forward": f"{jvp}(lambda {arguments}: {slope}, {point}, u)[1]",
    }[mode]


def _tuple(parts):
    parts = list(parts)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _array(x, library, dtype):
    numbers = repr(np.asarray(x).tolist())
    if np.asarray(x).dtype.kind != "f":
        return f"torch.tensor({numbers})" if library == "torch" else f"np.array({numbers})"
    return (f"torch.tensor({numbers}, dtype=torch.{dtype})" if library == "torch" else
            f"np.array({numbers}, np.{dtype})")


def _definition(network, library, dtype):
    """The lines of f: a result that is used once stands where it is used."""
    uses = [a for c in network.calls for a in (*c.arguments, *c.named.values())]
    shapes = _shapes(network)
    known, body = {}, []
    for c in network.calls:
        text = _call(c, lambda a: known.get(a, str(a)), shapes, library, dtype)
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
            shapes[network.calls[k].result] = np.shape(interpret(part, function, leaves, constants))
    return shapes


def _call(c, name, shapes, library, dtype):
    arguments, options = [name(a) for a in c.arguments], dict(c.options)
    torch = library == "torch"
    if c.function == "dropout" and torch:
        mask = kept_by_dropout(shapes[c.arguments[0]], **options)
        return f"{arguments[0]} * {_array(mask, library, dtype)}"
    if c.function == "dropout":
        return f"nn.dropout({arguments[0]}, {options['p']!r}, generator=np.random.default_rng({options['seed']}))"
    if c.function == "concatenate":
        joined = ", ".join(arguments)
        return f"torch.cat([{joined}], dim=-1)" if torch else f"np.concatenate([{joined}], axis=-1)"
    if c.function == "l2_penalty":
        parameters, k = f"[{', '.join(arguments)}]", options["weight_decay"]
        squares = f"sum((p * p).sum() for p in {parameters})"
        return f"{squares} * {k!r} / 2" if torch else f"nn.l2_penalty({parameters}, {k!r})"
    space = ("F" if torch else "nn") if hasattr(nn, c.function) else ("torch" if torch else "np")
    named = [f"{k}={name(a)}" for k, a in c.named.items()] + [f"{k}={o!r}" for k, o in options.items()]
    return f"{space}.{c.function}({', '.join([*arguments, *named])})"
