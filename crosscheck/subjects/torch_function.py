"""A torch function, module or autograd.Function on trial."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from refgrad.errors import describe
from refgrad.tree import flatten, unflatten

from ..formats import finest, format_named
from ..modes import Mode
from .arguments import arguments_of
from .aten import carried
from .libraries.torch_library import LIBRARY, added, threads
from .subject import (Misconduct, Subject, Unanswered, Untouched, cotangents, results,
                      shared_as_given)


def subject_of(f, inputs, dtypes, argnums=None, kwargs=None):
    """The `TorchSubject` of a callable, a Module (with its parameters) or a subclass of
    autograd.Function.

    inputs   tensors, or arrays that become tensors, in any nest, and whatever else the call takes,
             floats too.  As in torch.autograd.gradcheck those that require a gradient are
             differentiated; if none does, all that are floating point
    dtypes   names of the dtypes to test in; None for float64, float32 and those of the inputs
    kwargs   keyword arguments, as the inputs
    """
    if isinstance(f, type) and issubclass(f, torch.nn.Module):
        raise TypeError(f"check: f is the class {f.__name__}; expected a Module: make one, "
                        f"layer = {f.__name__}(...), and check layer")
    target = f.apply if isinstance(f, type) and issubclass(f, torch.autograd.Function) else f
    inputs, kwargs = (tensors(nest) for nest in (tuple(inputs), dict(kwargs or {})))
    function, skipped = _signature(f)
    arguments = arguments_of(function, inputs, kwargs, argnums, skipped, is_floating)
    parameters = dict(f.named_parameters()) if isinstance(f, torch.nn.Module) else {}
    values = dict(zip(arguments.names, arguments.values)) | parameters
    for name, a in values.items():
        if torch.is_tensor(a) and a.is_complex():
            raise TypeError(f"check: {name} is {describe(a)}; expected a real tensor (pass real "
                            "and imaginary parts)")
    # A module's parameters require gradients by default, inputs only if the caller asked for it.
    wanted = [n for n in arguments.chosen if values[n].requires_grad]
    own = wanted if wanted and argnums is None else arguments.chosen
    asked = [n for n, a in parameters.items()
             if is_floating(a) and (argnums is not None or a.requires_grad)]
    arguments.add(parameters)
    arguments.chosen = [*own, *asked]
    mine = [str(values[n].dtype).removeprefix("torch.") for n in arguments.chosen]
    wanted = dtypes or tuple(dict.fromkeys(["float64", "float32", *mine]))
    subject = TorchSubject(f, target, arguments, list(parameters), wanted)
    if dtypes is None:
        # Of inputs of several dtypes f need not take all in one of them.
        taken = [d for d in wanted if subject.takes(d)]
        several = taken and len(set(mine)) > 1
        subject.dtypes = tuple(d for d in wanted if d in taken or d in mine and not several)
    subject.look_at_results()
    return subject


def tensors(nest):
    """A nest with tensors for its NumPy arrays."""
    leaves, structure = flatten(nest)
    return unflatten(structure,
                     [torch.as_tensor(a) if isinstance(a, np.ndarray) else a for a in leaves])


def is_floating(a):
    """Is it a tensor of floats?"""
    return torch.is_tensor(a) and a.is_floating_point()


def _signature(f):
    """The function that has the names of the inputs, and how many of its parameters come before
    them."""
    if isinstance(f, torch.nn.Module):
        return f.forward, 0
    if isinstance(f, type) and issubclass(f, torch.autograd.Function):
        # The context comes first, unless the Function is of the newer kind.
        return f.forward, int(f.setup_context is torch.autograd.Function.setup_context)
    return f, 0


class TorchSubject(Subject):
    """See `subject_of`.  Tensors are copied at every call, so that the subject's in-place changes
    stay its own."""

    leaves_add_up = crash_prone = True

    meanings = {
        "each input alone": "as where one input alone requires a gradient; the order of "
                            "ctx.needs_input_grad is that of forward's arguments",
        "each result alone": "as where one result alone is used; the others' cotangents are 0, or "
                             "None after ctx.set_materialize_grads(False)"}

    def __init__(self, f, target, arguments, parameters, dtypes):
        self.parameters, self.differentiable = parameters, None
        self.has_function = self.runs_once = False
        self.module = f if isinstance(f, torch.nn.Module) else None
        super().__init__(target, arguments, dtypes, name=getattr(f, "__name__", type(f).__name__))
        self.devices = {n: a.device for n, a in zip(arguments.names, arguments.values)
                        if torch.is_tensor(a)}
        self.device = next((self.devices[n] for n in arguments.chosen), torch.device("cpu"))
        self.on_cpu = all(d.type == "cpu" for d in self.devices.values())
        self.extra = {"create_graph": (Mode.REVERSE, self._with_graph, True),
                      "each input alone": (Mode.REVERSE, self._apart, True),
                      "each result alone": (Mode.REVERSE, self._by_result, True),
                      "grad of grad": (Mode.REVERSE_OVER_REVERSE, self._twice, False),
                      "many at once, reverse": (Mode.REVERSE, self._jacrev, False),
                      "many at once, forward": (Mode.FORWARD, self._jacfwd, False)}

    @property
    def modes_agree(self):
        """torch's own functions may choose another derivative at a kink in forward mode, as clamp
        and fmax do."""
        return self.has_function

    @property
    def resizable(self):
        """Not a Module's own parameters: kernels trust their shapes."""
        return [n for n in self.arguments.names if n not in self.parameters]

    def look_at_results(self):
        """Which results are differentiable, as the function itself declares it, and whether an
        autograd.Function made one of them."""
        leaves = {k: t.requires_grad_()
                  for k, t in self.tensors(self.inputs(), self.dtypes[0]).items()}
        ys = self.results(leaves)
        if any(y.requires_grad for y in ys):
            self.differentiable = [y.requires_grad for y in ys]
        self.has_function = any(isinstance(node, torch.autograd.function.BackwardCFunction)
                                for node in _nodes(ys))
        if self.has_function:
            cotangents = [torch.ones_like(y, requires_grad=True) for y in ys if y.requires_grad]
            try:
                first = torch.autograd.grad([y for y in ys if y.requires_grad],
                                            list(leaves.values()), cotangents,
                                            create_graph=True, allow_unused=True)
            except Exception:
                return  # the same error occurs when a derivative is computed, and is recorded then
            self.remarks.update({k: f"its backward returns None for {k}: leave it out with argnums"
                                 for k, g in zip(leaves, first) if g is None})
            # The node that once_differentiable inserts raises an error only in a backward pass
            # through it.
            self.runs_once = any("Error" in node.name()
                                 for node in _nodes(g for g in first if g is not None))

    def overwrites(self, dtype):
        given = self.tensors(self.inputs(), dtype)
        before = {k: t.clone() for k, t in given.items()}
        with torch.no_grad():
            self.call(given)
        return [k for k, t in given.items() if not torch.equal(t, before[k])]

    def inputs(self):
        values = dict(zip(self.arguments.names, self.arguments.values))
        return {n: values[n].detach().double().cpu().numpy() for n in self.arguments.chosen}

    def tensors(self, arrays, dtype):
        """Fresh tensors of that dtype, each on its input's device."""
        return {k: torch.tensor(a, dtype=getattr(torch, dtype),
                                device=self.devices.get(k, self.device))
                for k, a in arrays.items()}

    def filled(self, x):
        dtype = next(iter(x.values())).dtype
        own = {n: a.to(dtype) if torch.is_tensor(a) and a.is_floating_point() else a
               for n, a in self.constants.items()}
        return self.arguments.filled(self.projected(x), own)

    def call(self, x):
        full = self.filled(x)
        if self.module is None:
            return self.arguments.call(self.f, full)
        count, dtype = len(full) - len(self.parameters), next(iter(x.values())).dtype
        state = dict(zip(self.parameters, full[count:]))
        for k, b in self.module.named_buffers():  # copies: running statistics are overwritten
            state[k] = b.detach().clone().to(dtype if b.is_floating_point() else b.dtype)
        return self.arguments.call(
            lambda *args, **kwargs: torch.func.functional_call(self.module, state, args, kwargs),
            full)

    def program(self):
        """The same program on tensors that carry arrays: see `aten`."""
        return self.program_in(finest(self.dtypes))

    def program_in(self, dtype):
        return lambda x: carried(self.results, x, getattr(torch, dtype))

    def reference(self, function):
        """A Module's parameters are keywords, with _ in the place of the dot."""
        first = len(self.arguments.names) - len(self.parameters)

        def program(x):
            plain = {n: a.detach().cpu().numpy() if torch.is_tensor(a) else a
                     for n, a in self.constants.items()}
            full = self.arguments.filled(self.projected(x), plain)
            named = {n.replace(".", "_"): a for n, a in zip(self.parameters, full[first:])}
            return results(self.arguments.call(partial(function, **named), full))

        return program

    def at_work(self):
        return threads(1)  # the examples are small: threads would cost more than they save

    def may_decline(self, mode, error):
        """Forward mode, second order or a dtype may be missing: torch then says so."""
        refused = "not implemented for" in str(error) or str(error).startswith("derivative for ")
        return mode != Mode.REVERSE or refused

    def results(self, x):
        """The differentiable tensors of floats among the results."""
        ys = [y for y in flatten(self.call(x))[0] if torch.is_tensor(y) and y.is_floating_point()]
        if self.differentiable is None or len(ys) != len(self.differentiable):
            return ys
        return [y for y, wanted in zip(ys, self.differentiable) if wanted]

    def value(self, x, dtype, layout=None):
        with torch.no_grad():
            return [_array(y) for y in self.results(self.tensors(x, dtype) if layout is None else {
                **self._all_laid_out(x, layout, dtype)})]

    def answer(self, mode, x, weights, u, v, dtype, layout=None):
        if mode == Mode.FORWARD_OVER_FORWARD and self.has_function:
            raise Unanswered("torch gives 0 for the jvp of an autograd.Function differentiated "
                             "again in forward mode")
        if mode == Mode.REVERSE_OVER_REVERSE and self.runs_once:
            raise Unanswered("the backward is declared to be once_differentiable")
        return self._ask(lambda *what: LIBRARY.differentiate(mode, *what), x, weights, u, v,
                         dtype, layout)

    def _ask(self, differentiate, x, weights, u, v, dtype, layout=None):
        """Derivatives of s = <weights, f>, as arrays."""
        if layout is None:
            x, u, v = (self.tensors(d, dtype) for d in (x, u, v))
        else:
            x, u, v = (self._all_laid_out(d, layout, dtype) for d in (x, u, v))
        weights = [torch.tensor(w, dtype=getattr(torch, dtype), device=self.device)
                   for w in weights]

        def scalar(x):
            return added(torch.sum(y * w) for y, w in zip(self.results(x), weights))

        before = {k: t.clone() for k, t in x.items()}
        found = differentiate(scalar, x, u, v)
        for k, t in x.items():
            if not torch.equal(t, before[k]) and not torch.isnan(t).any():
                raise Misconduct(f"the input {k} was overwritten")
        return {k: _array(t) for k, t in found.items()}

    def pull(self, x, weights, dtype, layout):
        own = {id(x[k]) for k in self.parameters if k in x}
        leaves = shared_as_given(x, lambda a: self._laid_out(
            a, np.array if id(a) in own else layout, dtype).requires_grad_())
        weights = [self._laid_out(w, layout, dtype) for w in weights]
        given = Untouched({k: _array(t) for k, t in {**leaves, **cotangents(weights)}.items()})
        ys = self.results(leaves)
        wanted = [(y, w) for y, w in zip(ys, weights) if y.requires_grad]
        found = [torch.autograd.grad([y for y, _ in wanted],
                                     list(leaves.values()), [w for _, w in wanted],
                                     retain_graph=True, allow_unused=True, materialize_grads=True)
                 if wanted else [torch.zeros_like(t) for t in leaves.values()] for _ in range(2)]
        first, second = ({k: _array(g.clone()) for k, g in zip(leaves, gs)} for gs in found)
        given.arrays = {k: _array(t) for k, t in {**leaves, **cotangents(weights)}.items()}
        return first, second, given.touched()

    def _all_laid_out(self, arrays, layout, dtype):
        """Tensors in a layout; a module's own parameters are as torch makes them: kernels trust
        that."""
        return {k: self._laid_out(a, np.array if k in self.parameters else layout, dtype)
                for k, a in arrays.items()}

    def _laid_out(self, a, layout, dtype):
        """A tensor with the strides that the layout gives an array of that shape, and with sevens
        in the gaps."""
        like = layout(np.asarray(a, float))
        if np.size(a) and any(n > 1 and not s for n, s in zip(np.shape(a), like.strides)):
            return torch.tensor(a.flat[0], dtype=getattr(torch, dtype),
                                device=self.device).expand(np.shape(a))
        strides = [s // 8 for s in like.strides]
        room = 1 + sum((n - 1) * s for n, s in zip(np.shape(a), strides)) if np.size(a) else 0
        t = torch.full((room,), 7.0, dtype=getattr(torch, dtype),
                       device=self.device).as_strided(np.shape(a), strides)
        return t.copy_(torch.tensor(a))

    def third(self, x, weights, v, dtype):
        """The third derivative along v, by torch.autograd three times; None where nobody wrote a
        rule for it."""
        if not self.has_function or self.runs_once or Mode.REVERSE_OVER_REVERSE not in self.modes:
            return None

        def along(f):
            def slope(x):
                value = f(x)
                if not value.requires_grad:  # to torch it is a constant
                    return torch.zeros_like(value)
                found = torch.autograd.grad(value, list(x.values()), create_graph=True,
                                            materialize_grads=True)
                return added(torch.sum(g * v_) for g, v_ in zip(found, tangents))
            return slope

        x, v = self.tensors(x, dtype), self.tensors(v, dtype)
        tangents = [v[k] for k in x]
        weights = [torch.tensor(w, dtype=getattr(torch, dtype), device=self.device)
                   for w in weights]
        leaves = {k: t.requires_grad_() for k, t in x.items()}
        scalar = lambda x: added(torch.sum(y * w) for y, w in zip(self.results(x), weights))
        third = along(along(along(scalar)))(leaves)
        return float(third)

    # Other ways to the same derivatives

    def _with_graph(self, *arguments):
        return self._ask(lambda f, x, u, v: _detached(torch.autograd.grad, f, x), *arguments)

    def _apart(self, *arguments):
        """The gradients of one input at a time, while the others require none."""
        def apart(f, x, u, v):
            return {k: _detached(torch.autograd.grad, lambda one, k=k: f({**x, **one}),
                                 {k: x[k]})[k] for k in x}
        return self._ask(apart, *arguments)

    def _by_result(self, x, weights, u, v, dtype):
        """The sum over results of the gradients of one at a time: the others' cotangents are None
        then, not zeros."""
        leaves = {k: t.requires_grad_() for k, t in self.tensors(x, dtype).items()}
        found = {k: np.zeros(np.shape(a), float) for k, a in x.items()}
        ys = self.results(leaves)
        for y, w in zip(ys, weights):
            w = torch.tensor(w, dtype=y.dtype, device=y.device)
            parts = torch.autograd.grad(y, list(leaves.values()), w, retain_graph=True,
                                        materialize_grads=True)
            found = {k: a + _array(part) for (k, a), part in zip(found.items(), parts)}
        return found

    def _jacrev(self, *arguments):
        """Several cotangents at once, as jacrev does it, which add up to the one that is asked
        for."""
        def many(f, x, u, v):
            value, pull = torch.func.vjp(f, x)
            parts = torch.tensor([0.25, 0.75], dtype=value.dtype, device=value.device)
            return {k: t.sum(0) for k, t in torch.func.vmap(pull)(parts)[0].items()}
        return self._ask(many, *arguments)

    def _twice(self, *arguments):
        """The Hessian's product as torch.func composes it, whose gradients run on its own
        levels."""
        return self._ask(lambda *what: Mode.REVERSE_OVER_REVERSE.differentiate(LIBRARY, *what),
                         *arguments)

    def _jacfwd(self, *arguments):
        """Several tangents at once, as jacfwd does it, which add up to the one that is asked
        for."""
        def many(f, x, u, v):
            slopes = {}
            for k in x:
                push = lambda t, k=k: torch.func.jvp(lambda part: f({**x, k: part}),
                                                     (x[k],), (t,))[1]
                slopes[k] = torch.func.vmap(push)(torch.stack([0.25 * v[k], 0.75 * v[k]])).sum(0)
            return slopes
        return self._ask(many, *arguments)


def _detached(grad, f, x):
    leaves = {k: t.detach().requires_grad_() for k, t in x.items()}
    value = f(leaves)
    if not value.requires_grad:  # it does not depend on these
        return {k: torch.zeros_like(t) for k, t in x.items()}
    found = grad(value, list(leaves.values()), create_graph=True, materialize_grads=True)
    return {k: t.detach() for k, t in zip(leaves, found)}


def _nodes(tensors):
    """The nodes of the graph behind tensors."""
    left, met = [t.grad_fn for t in tensors if t.requires_grad], set()
    while left:
        node = left.pop()
        if node is not None and node not in met:
            met.add(node)
            left.extend(parent for parent, _ in node.next_functions)
    return met


def _array(t):
    t = t.detach().cpu()
    if t._is_zerotensor():  # it has no memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    return t.numpy() if format_named(t.dtype).name != "bfloat16" else t.float().numpy()
