"""Linear algebra: products, and the functions of a square matrix.

The method throughout: take the differential, write <G, dY> = tr(G' dY), and turn the trace until dX
stands on the right; what stands before it is G_X'.
"""

import functools
import operator
import string

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..cases import FOURTH, Case, Kink
from ..errors import NoRule, describe
from ..primitive import KINKED, LINEAR, MULTILINEAR, Each, compose, declare, in_dtype_of, \
    ndim_of, shape_of
from .arguments import as_array, axes_of, flag
from .reductions import norm, p_norm


def T(a):
    """The transpose of each matrix in a stack."""
    return a.mT if hasattr(a, "mT") else np.swapaxes(a, -1, -2)  # a list has no .mT


# Products

matmul = declare(
    None, """C = A B,  dC = dA B + A dB
    <G, dA B> = tr(G' dA B) = tr(B G' dA) = <G B', dA>    so  G_A = G B'
    <G, A dB> = tr(G' A dB)               = <A' G, dB>    so  G_B = A' G""",
    name="matmul", kind=MULTILINEAR, forward=np.matmul, takes="A B", stacked=True,
    vjp=(lambda G, B: G @ T(B), lambda G, A: T(A) @ G),
    cases=[Case((2, 3), (3, 4)), Case((5, 2, 3), (3, 4)), Case((5, 1, 2, 3), (4, 3, 1)),
           Case((2, 0), (0, 3))])


def _matmul(a, b):
    """Vectors are matrices with one row (on the left) or one column (on the right)."""
    m, n = ndim_of(a), ndim_of(b)
    if m > 1 and n > 1:
        return matmul(a, b)
    if m == 0 or n == 0:
        raise ValueError("np.matmul: an operand has no axes; multiply by a scalar with *")
    if m == n == 1:
        return matmul(a[None, :], b[:, None])[0, 0]
    return matmul(a[None, :], b)[..., 0, :] if m == 1 else matmul(a, b[:, None])[..., 0]


def _dot(a, b, axis):
    """The sum over the last axis of a and that axis of b, or over its only one."""
    a, b = as_array(a), as_array(b)
    if ndim_of(a) == 0 or ndim_of(b) == 0:
        return a * b
    if ndim_of(a) == ndim_of(b) == 1:
        return np.matmul(a, b)
    return np.tensordot(a, b, axes=([-1], [max(axis, -ndim_of(b))]))


def _contracted(axes):
    """NumPy's argument axes as two lists; n is the last n axes and the first n."""
    if np.ndim(axes) == 0:
        n = operator.index(axes)
        return range(-n, 0), range(n)
    left, right = axes
    return np.atleast_1d(left).tolist(), np.atleast_1d(right).tolist()


def _tensordot(a, b, axes=2):
    """Contracted axes to the middle, the others flattened: a matrix product."""
    left, right = ([normalize_axis_index(k, ndim_of(x)) for k in ks]
                   for x, ks in zip((a, b), _contracted(axes)))
    if [shape_of(a)[k] for k in left] != [shape_of(b)[k] for k in right]:
        raise ValueError(f"np.tensordot: axes={axes!r} joins axes of different sizes, of arrays of "
                         f"the shapes {shape_of(a)} and {shape_of(b)}")
    rows = [k for k in range(ndim_of(a)) if k not in left]
    columns = [k for k in range(ndim_of(b)) if k not in right]
    outer = [shape_of(a)[k] for k in rows], [shape_of(b)[k] for k in columns]
    inner = int(np.prod([shape_of(a)[k] for k in left], dtype=int))
    product = matmul(np.reshape(np.transpose(a, (*rows, *left)),
                                (int(np.prod(outer[0], dtype=int)), inner)),
                     np.reshape(np.transpose(b, (*right, *columns)),
                                (inner, int(np.prod(outer[1], dtype=int)))))
    return np.reshape(product, (*outer[0], *outer[1]))


def _kron(a, b):
    n = max(ndim_of(a), ndim_of(b))
    a, b = (np.reshape(x, (1,) * (n - ndim_of(x)) + shape_of(x)) for x in (a, b))
    rows, columns = shape_of(a), shape_of(b)
    a = np.reshape(a, tuple(size for k in rows for size in (k, 1)))
    b = np.reshape(b, tuple(size for k in columns for size in (1, k)))
    return np.reshape(a * b, tuple(k * m for k, m in zip(rows, columns)))


def _cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = operator.index(axis)
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if (shape_of(a)[-1], shape_of(b)[-1]) != (3, 3):
        raise NoRule("np.cross", f"with a= and b= of {shape_of(a)[-1]} and {shape_of(b)[-1]} "
                                 "entries (expected 3 and 3)")
    nxt, last = np.array([1, 2, 0]), np.array([2, 0, 1])
    return np.moveaxis(a[..., nxt] * b[..., last] - a[..., last] * b[..., nxt], -1, axisc)


def _vecdot(x1, x2, /, *, axis=-1):
    """The axis is counted in each array separately."""
    a, b = (np.moveaxis(x, operator.index(axis), -1) for x in (x1, x2))
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ValueError(f"np.vecdot: vectors of {shape_of(a)[-1]} and {shape_of(b)[-1]} entries")
    return np.sum(a * b, axis=-1)


def _vecdot_keeping(x1, x2, *, axis=-1, keepdims=False):
    product = np.linalg.vecdot(x1, x2, axis=axis)
    return np.expand_dims(product, axis) if keepdims else product


def _matrices(a, most=np.inf):
    if not 2 <= ndim_of(a) <= most:
        raise np.linalg.LinAlgError(f"expected a matrix, got {describe(a)}")
    return a


def _chain(arrays):
    """The first array may be a row vector, the last a column vector."""
    first, *inner, last = arrays
    ends = [a if ndim_of(a) == 1 else _matrices(a, 2) for a in (first, last)]
    return functools.reduce(np.matmul, [ends[0], *(_matrices(a, 2) for a in inner), ends[1]])


VECTORS = [Case((3,), (3,)), Case((2, 3), (3,)), Case((3,), (3, 2)), Case((2, 3), (3, 4))]
compose(np.matmul, _matmul, cases=[*VECTORS, Case((4, 2, 3), (3,))], kind=MULTILINEAR)
compose(np.dot, lambda a, b: _dot(a, b, -2), kind=MULTILINEAR,
        cases=[*VECTORS, Case((), (3,)), Case((2, 3), (4, 3, 2))])
compose(np.vdot, lambda a, b: np.sum(np.ravel(a) * np.ravel(b)), cases=[Case((2, 3), (3, 2))],
        kind=MULTILINEAR)
compose(np.inner, lambda a, b: _dot(a, b, -1), kind=MULTILINEAR,
        cases=[Case((2, 3), (4, 3)), Case((3,), (3,)), Case((), (3,))])
compose(np.outer, lambda a, b: np.ravel(a)[:, None] * np.ravel(b), cases=[Case((3,), (4,))],
        kind=MULTILINEAR)
compose(np.tensordot, _tensordot, kind=MULTILINEAR, cases=[
    Case((2, 3, 4), (4, 3, 5), axes=([1, 2], [1, 0])), Case((2, 3), (3, 4), axes=1),
    Case((2,), (3,), axes=0)])
compose(np.kron, _kron, kind=MULTILINEAR,
        cases=[Case((2, 3), (3, 2)), Case((2,), (3,)), Case((2, 3), (2,)), Case((), (3,))])
compose(np.vecdot, _vecdot_keeping, kind=MULTILINEAR, cases=[Case((3,), (3,)), Case((2, 3), (3,))])
compose(np.matvec, lambda a, b: matmul(_matrices(a), b[..., None])[..., 0], kind=MULTILINEAR,
        cases=[Case((2, 3), (4, 3))])
compose(np.vecmat, lambda a, b: matmul(a[..., None, :], _matrices(b))[..., 0, :],
        cases=[Case((4, 2), (2, 3))], kind=MULTILINEAR)
compose(np.cross, _cross, kind=MULTILINEAR,
        cases=[Case((3,), (3,)), Case((2, 3), (3,)),
               Case((3, 4), (3, 4), axisa=0, axisb=0, axisc=0)])
compose(np.trace, lambda a, offset=0, axis1=0, axis2=1, dtype=None: np.sum(
    np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype), kind=LINEAR,
    cases=[Case((3, 3)), Case((3, 4), offset=1), Case((2, 3, 3), axis1=1, axis2=2)])

# Einstein's sums


def _contraction_vjp(i, g, operands, subscripts, optimize):
    """y = sum of products, linear in each operand: the adjoint exchanges the operand's subscripts
    with the result's."""
    inputs, output = subscripts.split("->")
    inputs = inputs.split(",")
    others = [s for k, s in enumerate(inputs) if k != i]
    return np.einsum(",".join([output, *others]) + "->" + inputs[i], g,
                     *(x for k, x in enumerate(operands) if k != i), optimize=optimize)


def _contraction_jvp(i, v, operands, subscripts, optimize):
    """The function itself; a stack of tangents has one more subscript, which stays."""
    if ndim_of(v) > ndim_of(operands[i]):
        inputs, output = subscripts.split("->")
        inputs = inputs.split(",")
        stack = next(c for c in string.ascii_letters if c not in subscripts)
        inputs[i] = stack + inputs[i]
        # Without axes that were there to broadcast.
        v = np.reshape(v, shape_of(v)[:1] + shape_of(operands[i]))
        subscripts = ",".join(inputs) + "->" + stack + output
    return np.einsum(subscripts, *operands[:i], v, *operands[i + 1:], optimize=optimize)


contraction = declare(
    None, "y_o = sum prod_k x^k_(s_k);  <g, dy> = <sum g prod_(k != i) x^k, dx^i>",
    name="einsum", kind=MULTILINEAR, forward=lambda *operands, subscripts, optimize: np.einsum(
        subscripts, *operands, optimize=optimize),
    jvp=Each(_contraction_jvp), vjp=Each(_contraction_vjp), stacked=True,
    cases=[Case((2, 3), (3, 4), subscripts="ij,jk->ki", optimize=False),
           Case((2, 3), (2,), (3, 2), subscripts="ij,i,jk->k", optimize=True)])


def _einsum(subscripts, *operands, optimize=False):
    """Written out so that a subscript stands once in its operand, and elsewhere too: then the
    adjoint is one einsum."""
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists(subscripts, *operands)
    inputs, output = _written_out(subscripts.replace(" ", ""), [ndim_of(x) for x in operands])
    for labels, x in zip(inputs, operands):
        if len({*zip(labels, shape_of(x))}) > len({*labels}):
            raise ValueError(f"np.einsum: {labels} repeats a subscript for axes of different "
                             f"sizes, of an array of shape {shape_of(x)}")
    wide = {label for labels, x in zip(inputs, operands) for label, n in zip(labels, shape_of(x))
            if n != 1}
    simple = list(operands)
    # An axis of size 1 under a longer one need not be there.
    for k, (labels, x) in enumerate(zip(inputs, operands)):
        stretched = tuple(j for j, label in enumerate(labels)
                          if label in wide and shape_of(x)[j] == 1)
        if stretched:
            simple[k] = np.squeeze(x, stretched)
            inputs[k] = "".join(label for j, label in enumerate(labels) if j not in stretched)
    for k, (labels, x) in enumerate(zip(inputs, simple)):
        for label in dict.fromkeys(labels):
            while labels.count(label) > 1:  # a repeated subscript takes the diagonal
                first = labels.index(label)
                second = labels.index(label, first + 1)
                x = np.diagonal(x, axis1=first, axis2=second)
                labels = labels[:first] + labels[first + 1:second] + labels[second + 1:] + label
        elsewhere = output + "".join(inputs[:k] + inputs[k + 1:])
        alone = tuple(j for j, label in enumerate(labels) if label not in elsewhere)
        if alone:  # a subscript of this operand alone is summed at once
            x = np.sum(x, axis=alone)
            labels = "".join(label for j, label in enumerate(labels) if j not in alone)
        inputs[k], simple[k] = labels, x
    if len(simple) == 1 and output:  # NumPy's result is a view, too
        return np.transpose(simple[0], [inputs[0].index(label) for label in output])
    return contraction(*simple, subscripts=",".join(inputs) + "->" + output, optimize=optimize)


def _from_lists(*operands):
    """The call with subscripts as text, of one with lists of integers after each operand."""
    letters = string.ascii_uppercase + string.ascii_lowercase
    of_result = operands[-1:] if len(operands) % 2 else ()
    texts = ["".join("..." if k is Ellipsis else letters[k] for k in numbers)
             for numbers in (*operands[1::2], *of_result)]
    arrays = operands[:-1:2]
    return ",".join(texts[:len(arrays)]) + "->".join(["", *texts[len(arrays):]]), arrays


def _written_out(subscripts, dimensions):
    """(operands' subscripts, result's subscripts) with an explicit result and letters in the place
    of an ellipsis."""
    left, arrow, output = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(dimensions):
        raise ValueError(f"np.einsum: subscripts name {len(inputs)} operands, {len(dimensions)} "
                         "were given")
    free = [c for c in string.ascii_letters if c not in subscripts]
    most = max(n - len(s.replace("...", "")) if "..." in s else 0
               for s, n in zip(inputs, dimensions))
    wide = "".join(free[:most])
    inputs = [s.replace("...", wide[most - (n - len(s.replace("...", ""))):])
              for s, n in zip(inputs, dimensions)]
    if not arrow:
        letters = "".join(inputs)
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in wide)
        output = "".join(["..." if wide else "", *once])
    return inputs, output.replace("...", wide)


compose(np.einsum, _einsum, kind=MULTILINEAR, cases=[
    Case((2, 3), (3, 4), call=lambda a, b: np.einsum("ij,jk->ik", a, b)),
    Case((3, 3), call=lambda a: np.einsum("ii->i", a)),
    Case((3, 3), call=lambda a: np.einsum("ii", a)),
    Case((2, 3), (3,), call=lambda a, b: np.einsum("ij,j", a, b)),
    Case((2, 3, 4), (5, 4), call=lambda a, b: np.einsum("...j,kj->...k", a, b)),
    Case((2, 3), (4,), (2, 4), call=lambda a, b, c: np.einsum("ij,k,ik->j", a, b, c)),
    Case((2, 3), (4,), call=lambda a, b: np.einsum("ij,k->i", a, b)),
    Case((2, 3), (2, 1), call=lambda a, b: np.einsum("ij,ij->i", a, b)),
    Case((3, 4), (1, 4), call=lambda a, b: np.einsum("...j,...j", a, b))])

# Functions of a square matrix

SQUARE = [Case(shape, domain="positive definite", scales=FOURTH) for shape in ((3, 3), (2, 2, 2))]

inv = declare(
    np.linalg.inv, call=lambda a: ((a,), {}), takes="A -> Y",
    derivation="""Y = A^-1:  A Y = I,  dA Y + A dY = 0,  dY = -Y dA Y
    <G, -Y dA Y> = -tr(G' Y dA Y) = -tr(Y G' Y dA) = <-Y' G Y', dA>""",
    jvp=(lambda dA, Y: -Y @ dA @ Y,), vjp=(lambda G, Y: -T(Y) @ G @ T(Y),), cases=SQUARE,
    stacked=True)

solve = declare(
    None, """X = A^-1 B:  A X = B,  dA X + A dX = dB,  dX = A^-1 (dB - dA X)
    <G, A^-1 dB> = <A^-T G, dB>             so  G_B = A^-T G
    <G, -A^-1 dA X> = <-A^-T G X', dA>      so  G_A = -G_B X'""",
    name="solve", forward=np.linalg.solve, takes="A B -> X", stacked=True,
    jvp=(lambda dA, X, A: -np.linalg.solve(A, dA @ X), lambda dB, A: np.linalg.solve(A, dB)),
    vjp=(lambda G, X, A: -np.linalg.solve(T(A), G) @ T(X), lambda G, A: np.linalg.solve(T(A), G)),
    cases=[Case((3, 3), (3, 2), domain=("positive definite", None), scales=FOURTH),
           Case((2, 3, 3), (3, 1), domain=("positive definite", None), scales=FOURTH)])
compose(np.linalg.solve,
        lambda a, b: solve(a, np.expand_dims(b, 1))[..., 0] if ndim_of(b) == 1 else solve(a, b),
        cases=[Case((3, 3), (3,), domain=("positive definite", None), scales=FOURTH), *solve.cases])


def _tensorsolve(a, b, axes=None):
    n = len(shape_of(a))
    order = list(range(n))
    for k in () if axes is None else axes:
        order.remove(k)
        order.append(k)
    a = np.transpose(a, order)
    shape = shape_of(a)[len(shape_of(b)):]
    n = int(np.prod(shape))
    if np.size(a) != n * n:
        raise np.linalg.LinAlgError(f"np.linalg.tensorsolve: {describe(a)} is no square matrix for "
                                    f"{describe(b)}")
    return np.reshape(np.linalg.solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


def _tensorinv(a, ind=2):
    ind = operator.index(ind)
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv: ind={ind}; expected a positive number")
    shape = shape_of(a)
    inverse = np.linalg.inv(np.reshape(a, (int(np.prod(shape[ind:])), -1)))
    return np.reshape(inverse, shape[ind:] + shape[:ind])


_well = np.eye(4) * 4
compose(np.linalg.tensorsolve, _tensorsolve, cases=[
    Case((4, 4), (2, 2),
         call=lambda a, b: np.linalg.tensorsolve(np.reshape(a + _well, (2, 2, 4)), b)),
    Case((4, 4), (4,),
         call=lambda a, b: np.linalg.tensorsolve(np.reshape(a + _well, (2, 4, 2)), b, axes=(0,)))])
compose(np.linalg.tensorinv, _tensorinv, cases=[
    Case((4, 4), call=lambda a: np.linalg.tensorinv(np.reshape(a + _well, (4, 2, 2)), ind=1)),
    Case((4, 4), call=lambda a: np.linalg.tensorinv(np.reshape(a + _well, (2, 2, 2, 2))))])


def _lower_half(M):
    """Phi: the lower triangle with half of the diagonal, so that Phi(M) + Phi(M)' = M for symmetric
    M."""
    return np.tril(M, -1) + np.tril(np.triu(M)) / 2


def _cholesky_jvp(dA, L):
    return L @ _lower_half(np.linalg.solve(L, T(np.linalg.solve(L, T((dA + T(dA)) / 2)))))


def _cholesky_vjp(G, L):
    P = _lower_half(T(L) @ G)
    S = np.linalg.solve(T(L), T(np.linalg.solve(T(L), T(P))))  # L^-T P L^-1
    return (S + T(S)) / 2


declare(
    np.linalg.cholesky, """A = L L',  dA = dL L' + L dL',  L^-1 dA L^-T = L^-1 dL + (L^-1 dL)'
    dL = L Phi(L^-1 dA L^-T)
    <G, L Phi(L^-1 dA L^-T)> = <L^-T Phi(L' G) L^-1, dA>, made symmetric as A is
    So the two entries a_ij and a_ji share a slope evenly, as in torch, though only the lower one is
    read: of a program that fills the lower triangle alone, each slope off the diagonal is half.
    Then write A + A' - diag(diag(A)). With upper=True the result is L'.""",
    call=lambda a, /, *, upper=False: ((a,), {"upper": bool(upper)}),
    takes="A upper -> L", stacked=True,
    jvp=(lambda dA, L, upper: T(_cholesky_jvp(dA, T(L))) if upper else _cholesky_jvp(dA, L),),
    vjp=(lambda G, L, upper: _cholesky_vjp(T(G), T(L)) if upper else _cholesky_vjp(G, L),),
    cases=[Case((3, 3), call=lambda a: np.linalg.cholesky(a + T(a)), domain="positive definite",
                scales=FOURTH),
           Case((2, 2, 2), call=lambda a: np.linalg.cholesky(a + T(a), upper=True),
                domain="positive definite", scales=FOURTH)])


def _vector_norm(x, ord, axis, keepdims):
    """Of the entries along any number of axes."""
    if isinstance(ord, str):
        raise ValueError(f"np.linalg.norm: ord={ord!r} for vectors")
    if ord is not None and not issubclass(type(ord), (int, float, np.number)):  # it is traced
        return p_norm(x, p=ord, axis=axis, keepdims=keepdims)
    if ord is None or ord == 2:
        return norm(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.where(x != 0, np.ones_like(x), 0), axis=axis, keepdims=keepdims)
    if ord == 1 or ord == np.inf and not np.size(x):  # nothing is largest: 0, as NumPy has it
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if abs(ord) == np.inf:
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    return p_norm(x, p=ord, axis=axis, keepdims=keepdims)


def _matrix_norm(x, ord, axis, keepdims):
    if not (ord is None or issubclass(type(ord), (int, float, str, np.number))):
        raise NoRule("np.linalg.norm", "with a traced ord= over two axes")
    if ord in (None, "fro", "f"):
        return norm(x, axis=axis, keepdims=keepdims)
    if ord not in (1, -1, 2, -2, np.inf, -np.inf, "nuc"):
        raise ValueError(f"np.linalg.norm: ord={ord!r} for matrices")
    if not np.size(x) and ord not in (-1, -2, -np.inf):  # nothing is largest, and adds up to 0
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if ord in (2, -2, "nuc"):  # the largest, the least and the sum of the singular values
        s = np.linalg.svdvals(np.moveaxis(x, axis, (-2, -1)))
        y = (np.sum if ord == "nuc" else np.max if ord == 2 else np.min)(s, axis=-1)
        return np.expand_dims(y, axis) if keepdims else y
    rows, columns = axis
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = np.sum(np.abs(x), axis=summed, keepdims=keepdims)
    kept += kept < summed and not keepdims  # as it is counted without the axis that is gone
    return (np.max if ord > 0 else np.min)(sums, axis=kept, keepdims=keepdims)


def _norm(x, ord=None, axis=None, keepdims=False):
    keepdims, chosen = flag(keepdims), axes_of(x, axis)
    if axis is None and ord is None:
        return norm(x, axis=chosen, keepdims=keepdims)
    if len(chosen) not in (1, 2) or len(set(chosen)) != len(chosen):
        raise ValueError(f"np.linalg.norm: ord={ord!r} over axis={axis!r} of {describe(x)}; choose "
                         "one or two axes")
    return (_vector_norm if len(chosen) == 1 else _matrix_norm)(x, ord, chosen, keepdims)


compose(np.linalg.norm, _norm, kind=KINKED, cases=[
    Case((3,)), Case((2, 3)), Case((2, 3), axis=1), Case((2, 3), ord=1, axis=0),
    Case((3,), ord=3), Case((3,), ord=1.5),
    Case((2, 3), ord=np.inf, axis=1, keepdims=True), Case((2, 3), ord="fro"), Case((2, 3), ord=1),
    Case((2, 3), ord=np.inf), Case((2, 3), ord="nuc", scales=FOURTH),
    Case((3, 2, 2), ord=2, axis=(2, 0), scales=FOURTH),
    Case((2, 2, 2), ord=-2, axis=(1, 2), keepdims=True, scales=FOURTH)],
    kinks=[Kink(([0.0, 0.0],), ([0.0, 0.0],), "0 at 0"),
           Kink(([0.0, 0.0],), ([0.0, 0.0],), "0 at 0", {"ord": 3}),
           *(Kink(([[0.0, 0.0]],), ([[0.0, 0.0]],), "0 at 0", {"ord": ord}) for ord in ("nuc", 2)),
           Kink(([[1.0, 0.0], [0.0, 1.0]],), ([[0.5, 0.0], [0.0, 0.5]],),
                "equal singular values share a slope", {"ord": 2})])


def _matrix_power(a, n):
    """By squaring."""
    n = operator.index(n)
    if shape_of(_matrices(a))[-1] != shape_of(a)[-2]:
        raise np.linalg.LinAlgError(f"np.linalg.matrix_power: {describe(a)} is no square matrix")
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    if n == 0:
        return in_dtype_of(a, np.zeros_like(a) + np.eye(shape_of(a)[-1]))
    half = _matrix_power(a, n // 2) if n > 1 else None
    return a if n == 1 else half @ half if n % 2 == 0 else half @ half @ a


compose(np.linalg.matrix_power, _matrix_power, cases=[
    Case((3, 3), n=5), Case((3, 3), n=-2, domain="positive definite"), Case((2, 2), n=0)])

# The names of the array standard: the same functions, of matrices in the last two axes

compose(np.linalg.matmul, lambda x1, x2, /: np.matmul(x1, x2), cases=[Case((2, 3), (3, 4))],
        kind=MULTILINEAR)
def _outer(x1, x2, /):
    if ndim_of(x1) != 1 or ndim_of(x2) != 1:
        raise ValueError(f"np.linalg.outer: expected vectors: {describe(x1)}, {describe(x2)}")
    return np.outer(x1, x2)


compose(np.linalg.outer, _outer, cases=[Case((2,), (3,))], kind=MULTILINEAR)
compose(np.linalg.tensordot, lambda x1, x2, /, *, axes=2: np.tensordot(x1, x2, axes=axes),
        cases=[Case((2, 3), (3, 4), axes=1)], kind=MULTILINEAR)
compose(np.linalg.vecdot, _vecdot, kind=MULTILINEAR, cases=[Case((2, 3), (2, 3), axis=0)])
compose(np.linalg.cross, lambda x1, x2, /, *, axis=-1: np.cross(x1, x2, axis=operator.index(axis)),
        cases=[Case((2, 3), (2, 3))], kind=MULTILINEAR)
compose(np.linalg.multi_dot, _chain, kind=MULTILINEAR, cases=[
    Case((2, 3), (3, 2), (2,), call=lambda *arrays: np.linalg.multi_dot(arrays))])
compose(np.linalg.matrix_transpose, lambda x, /: T(x), cases=[Case((2, 3, 4))], kind=LINEAR)
compose(np.linalg.diagonal, lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1), kind=LINEAR,
        cases=[Case((2, 3, 4), offset=1)])
compose(np.linalg.trace, lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype),
        kind=LINEAR, cases=[Case((2, 3, 3))])
compose(np.linalg.vector_norm, lambda x, /, *, axis=None, keepdims=False, ord=2: _vector_norm(
    x, ord, axes_of(x, axis), bool(keepdims)), kind=KINKED,
    cases=[Case((2, 3)), Case((2, 3), axis=1), Case((2, 3, 4), axis=(0, 2), ord=1),
           Case((2, 3), ord=np.inf, keepdims=True)],
    kinks=[Kink(([0.0, 0.0],), ([0.0, 0.0],), "0 at 0")])
compose(np.linalg.matrix_norm,
        lambda x, /, *, keepdims=False, ord="fro": _norm(x, ord, (-2, -1), keepdims),
        cases=[Case((2, 3, 2)), Case((2, 3), ord=1)], kind=KINKED,
        kinks=[Kink(([[0.0]],), ([[0.0]],), "0 at 0")])
