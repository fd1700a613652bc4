"""A wrong derivative as a few lines that a person pastes and runs: they print torch's, beside the
exact one."""

from __future__ import annotations

import contextlib
import io
import json
from functools import reduce

import numpy as np
import torch

from ...locate.program import derivative_of, written_tuple
from ...modes import Mode
from ..checkers.opinfo import Place, entries

#: Modules whose functions are written with the module's name.
SPACES = ("torch", "torch.Tensor")

DATABASE = "from torch.testing._internal.common_methods_invocations import op_db"


class NotWritten(Exception):
    """Something in a call that no source text gives."""


def program_of(found):
    """The program of a `Failure`, which prints what torch gives; "" where no text gives the
    same."""
    for callee in _callees(found.call.op):
        for by_func in (True, False):
            try:
                text = _program(found, callee, by_func)
            except NotWritten:
                return ""
            if _same(printed(text), found.given):
                return text
    return ""


def printed(text):
    """What a program prints first, as an array; None where it raises an error."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(text, "<program>", "exec"), {})
        first = said.getvalue().splitlines()[0]
        return np.asarray(json.loads(first.replace("nan", "NaN").replace("inf", "Infinity")), float)
    except Exception:
        return None


def _same(a, b):
    """Are they the same but for the order of sums?"""
    return (a is not None and a.shape == b.shape
            and np.allclose(a, b, rtol=1e-3, atol=1e-6, equal_nan=True))


def _callees(op):
    """(lines before, how it is called): by its public name, or from torch's database, where it has
    none."""
    for space in SPACES:
        with contextlib.suppress(AttributeError):
            reduce(getattr, f"{space}.{op.name}".split(".")[1:], torch)
            yield [], f"{space}.{op.name}("
            break
    if entries().get(f"{op.name} {op.variant_test_name}".strip()) is op:
        yield [DATABASE, f"op = next(o for o in op_db if (o.name, o.variant_test_name) == "
                         f"({op.name!r}, {op.variant_test_name!r}))"], "op.gradcheck_wrapper(op, "


def _program(found, callee, by_func):
    before, head = callee
    dtype = f"torch.{found.dtype}"
    device = found.tensors[0].device.type
    place = "" if device == "cpu" else f", device={device!r}"
    write = lambda a: f"torch.tensor({_numbers(a)}, dtype={dtype}{place})"
    names = [f"x{k}" for k in range(len(found.tensors))] if len(found.tensors) > 1 else ["x"]
    lines = ["import torch", *before]
    lines += [f"{n} = {write(t.detach().cpu().numpy())}" for n, t in zip(names, found.tensors)]
    arguments = [_text(found.call.first, names, dtype, place)]
    arguments += [_text(a, names, dtype, place) for a in found.call.args]
    arguments += [f"{k}={_text(a, names, dtype, place)}" for k, a in found.call.named]
    lines += [f"def f({', '.join(names)}):", *(["    torch.manual_seed(0)"] * _draws(found)),
              f"    y = {head}{', '.join(arguments)})"]
    parts = _parts(found)
    if len(parts) != len(found.weights):
        raise NotWritten("the result is not what the entry returns")
    terms = [f"{p}.sum()" if np.all(w == 1) and w.size == 1 else f"({p} * {write(w)}).sum()"
             for p, w in zip(parts, found.weights)]
    lines.append(f"    return {' + '.join(terms)}")
    name = names[found.k]
    needed = {Mode.REVERSE: {}, Mode.FORWARD: {"v": found.v[found.k:found.k + 1]},
              Mode.FORWARD_OVER_FORWARD: {"u": found.u,
                                          "v": found.v}}.get(found.mode, {"v": found.v})
    lines += [f"{d} = {written_tuple(map(write, arrays))}" for d, arrays in needed.items()]
    lines += _printing(found, names, name, by_func)
    lines.append(f"# torch: {_numbers(found.given)}")
    if found.array is not None:
        lines.append(f"# exact: {_numbers(found.array)}")
    else:
        lines.append(f"# by differences its product with the direction is {found.exact:.9g}, "
                     f"torch's is {found.gives:.9g}")
    return "\n".join(lines) + "\n"


def _printing(found, names, name, by_func):
    """The lines that print the derivative: by torch.func, or by torch.autograd as the study itself
    asks."""
    if by_func or found.mode not in (Mode.REVERSE, Mode.REVERSE_OVER_REVERSE):
        derivative = derivative_of(names, found.mode, name, "torch.func.grad", "torch.func.jvp")
        return [f"print({derivative}.tolist())"]
    leaves = ", ".join(names)
    lines = [f"for t in ({leaves},): t.requires_grad_()"]
    if found.mode is Mode.REVERSE:
        return [*lines, f"print(torch.autograd.grad(f({leaves}), {name})[0].tolist())"]
    return [*lines, f"g = torch.autograd.grad(f({leaves}), ({leaves},), create_graph=True)",
            "s = sum((a * b).sum() for a, b in zip(g, v))",
            f"print(torch.autograd.grad(s, {name}, materialize_grads=True)[0].tolist())"]


def _parts(found):
    """The expressions of the results that are weighed, in their order."""
    with torch.no_grad():
        y = found.call.returned(*found.tensors)
        ended = found.call.end(y)
    texts = dict(_leaves(y, "y"))

    def text(leaf):
        if id(leaf) not in texts:
            raise NotWritten("what the sample makes of the result")
        return f"torch.view_as_real({texts[id(leaf)]})" if leaf.is_complex() else texts[id(leaf)]

    leaves = [leaf for leaf in _tensors(ended) if leaf.is_complex() or leaf.is_floating_point()]
    wanted = [r.requires_grad for r in found.call(*found.tensors)]
    every = list(map(text, leaves))
    return [p for p, w in zip(every, wanted) if w] if len(every) == len(wanted) else every


def _leaves(y, text):
    """(identity, expression) of each tensor of a result."""
    if torch.is_tensor(y):
        yield id(y), text
    elif isinstance(y, (list, tuple)):
        for k, part in enumerate(y):
            yield from _leaves(part, f"{text}[{k}]")


def _tensors(y):
    if torch.is_tensor(y):
        return [y]
    return [t for part in y for t in _tensors(part)] if isinstance(y, (list, tuple)) else []


def _draws(found):
    """Does the function draw random numbers?"""
    before = torch.random.get_rng_state()
    torch.random.default_generator.manual_seed(0)
    at_first = torch.random.get_rng_state()
    with torch.no_grad():
        found.call.returned(*found.tensors)
    drew = not torch.equal(at_first, torch.random.get_rng_state())
    torch.random.set_rng_state(before)
    return drew


def _numbers(a):
    return np.asarray(a).tolist()


def _text(x, names, dtype, place):
    """An argument as source text."""
    if isinstance(x, Place):
        return names[x.position]
    if torch.is_tensor(x):
        if x.is_sparse or x.is_complex() or x.layout != torch.strided:
            raise NotWritten("a tensor that is not dense and real")
        kind = dtype if x.dtype == torch.float64 else str(x.dtype)
        return f"torch.tensor({x.tolist()}, dtype={kind}{place})"
    if isinstance(x, torch.Size):
        return repr(tuple(x))
    if type(x) in (list, tuple):
        parts = [_text(i, names, dtype, place) for i in x]
        return f"[{', '.join(parts)}]" if type(x) is list else written_tuple(parts)
    if isinstance(x, (bool, int, float, str, slice, type(None), type(Ellipsis))):
        return f"float({str(x)!r})" if isinstance(x, float) and not np.isfinite(x) else repr(x)
    if isinstance(x, (torch.dtype, torch.memory_format)):
        return str(x)
    raise NotWritten(f"a {type(x).__name__}")
