"""Decompositions by their differentials: eigenvalues of symmetric matrices, singular values, Q R.

The eigenvectors of equal eigenvalues are any basis of their eigenspace, and have no derivative.  A
result that depends on the eigenspace alone has one, and a basis that does not turn within the space
gives it.  "Equal" means equal up to rounding, since the vectors of such eigenvalues are determined
by rounding errors.  Then:

- In reverse mode the cotangent of the vectors shows whether the result changes when they turn
  within their space, to first order.  If it does not, and the values are not used, the gradient is
  right (of projections V V', of the polar factor U V').  Else this is an error.
- Functions V f(w) V' are an error, too: their derivative needs all entries of the matrix by which w
  moves within an eigenspace, and only the diagonal is known.
- In forward mode the engine cannot know how the vectors will be used, so vectors that would turn
  are an error.
- Values alone (`eigvalsh`, `svdvals`) kink where they are equal.  Their symmetric functions do not,
  and are right; the convention for others is the slope of the basis that LAPACK chose.
"""

import numpy as np

from ..cases import FOURTH, Case, Kink
from ..errors import NoRule, describe
from ..primitive import CONSTANT, KINKED, compose, declare, shape_of
from .arguments import as_array, given
from .linalg import T

_Eigh = type(np.linalg.eigh(np.eye(1)))
_SVD = type(np.linalg.svd(np.eye(1)))
_QR = type(np.linalg.qr(np.eye(1)))


def _diagonal(x):
    """A matrix of each vector of a stack."""
    return x[..., None, :] * np.eye(shape_of(x)[-1], dtype=bool)


def _on_diagonal(M):
    return np.diagonal(M, axis1=-2, axis2=-1)


# Equal values

_WHY = ("the program depends on single {vectors} of equal {values}, or on them and their {values}, "
        "which has no derivative here. Differentiate what depends on the {values} alone by "
        "np.linalg.{alone}, a function of their space alone (a projection) in reverse mode, and "
        "f(A) by products, solutions and inverses of A")
_EIGEN = "np.linalg.eigh: " + _WHY.format(vectors="eigenvectors", values="eigenvalues",
                                          alone="eigvalsh")
_SINGULAR = "np.linalg.svd: " + _WHY.format(vectors="singular vectors", values="singular values",
                                            alone="svdvals")


def _same(w):
    """Which pairs of values are equal up to rounding, each with itself too."""
    size = np.max(np.abs(w), axis=-1, initial=0)[..., None, None]
    gaps = np.abs(w[..., None, :] - w[..., :, None])
    return ((gaps <= 8 * w.shape[-1] * np.finfo(w.dtype).eps * size)
            | np.eye(w.shape[-1], dtype=bool))


def _settled(K, w, *like, both, message):
    same = _same(w)
    turning = same & ~np.eye(w.shape[-1], dtype=bool)
    size = sum(np.max(np.abs(a), axis=(-2, -1), keepdims=True, initial=0) for a in like)
    if np.any(turning & (both | (np.abs(K) > np.finfo(w.dtype).eps ** 0.75 * size))):
        raise np.linalg.LinAlgError(message)
    return np.broadcast_to(same, K.shape)


same_values = declare(
    None, """which pairs of values w are equal; an error where K, made from arrays like these, would
    turn their vectors""",
    name="same_values",
    kind=CONSTANT, forward=_settled,
    cases=[Case((3, 3), (3,), call=lambda K, w: same_values(K, w, K, both=False, message=_EIGEN))])


def _nonzero(s, message):
    if np.any(s <= s.shape[-1] * np.finfo(s.dtype).eps * np.max(s, axis=-1, keepdims=True,
                                                                initial=0)):
        raise np.linalg.LinAlgError(message)
    return s > 0


all_nonzero = declare(
    None, "an error where a singular value is 0", name="all_nonzero",
    kind=CONSTANT, forward=_nonzero,
    cases=[Case((3,), domain="positive", call=lambda s: all_nonzero(s, message=_SINGULAR))])


def _over_gaps(K, w, *like, both=False, message):
    """K_ij / (w_j - w_i), and 0 for equal values; an error where that would be wrong (see
    `same_values`)."""
    same = same_values(K, w, *like, both=both, message=message)
    return np.where(same, 0, K / np.where(same, 1, w[..., None, :] - w[..., :, None]))


# Symmetric matrices


def _spectrum_jvp(dA, y):
    w, V = y
    P = T(V) @ dA @ V
    return _on_diagonal(P), V @ _over_gaps(P, w, P, message=_EIGEN)


def _spectrum_vjp(g, y):
    (g, G), (w, V) = g, y
    if G is None:
        return V @ (g[..., None] * T(V))
    K = T(V) @ G
    S = _over_gaps((K - T(K)) / 2, w, G, both=g is not None, message=_EIGEN)
    return V @ (S if g is None else S + _diagonal(g)) @ T(V)


def _of_sums(function, **params):
    """The case of a function of symmetric matrices, at A + A'."""
    return [Case(shape, call=lambda a: function(a + T(a), **params), scales=FOURTH)
            for shape in ((3, 3), (2, 2, 2))]


symmetric = declare(
    None, """S = the symmetric matrix with the lower triangle of A,  dS = dA for symmetric dA
    As A is symmetric, the two entries a_ij and a_ji share a slope evenly, as in torch:
        dS = (dA + dA') / 2
    <G, (dA + dA') / 2> = <(G + G') / 2, dA>""", name="symmetric",
    forward=lambda A: np.tril(A) + T(np.tril(A, -1)), stacked=True,
    jvp=(lambda dA: (dA + T(dA)) / 2,), vjp=(lambda G: (G + T(G)) / 2,),
    cases=[Case((2, 3, 3), call=lambda a: symmetric(a + T(a)))])

spectrum = declare(
    None, """A = V W V'  with  V' V = I  and diagonal W, for symmetric A:
        with  V' dV = O, which is antisymmetric,
    V' dA V = P = O W + dW - W O,  so  dw_i = p_ii  and  o_ij = p_ij / (w_j - w_i), o_ii = 0;
        dV = V O
    <g, dw> + <G, V O> = <diag g, P> + <V' G, O>  and, with K = V' G, of which O sees (K - K') / 2
        = L alone,
    <L, O> = <l_ij / (w_j - w_i), P>,  where  <S, P> = <V S V', dA>""",
    name="spectrum",
    forward=lambda A, UPLO="L": tuple(np.linalg.eigh(A, UPLO)), multiple=True, unused=True,
    stacked=True, takes="A UPLO -> y", jvp=(_spectrum_jvp,), vjp=(_spectrum_vjp,), cases=[
        *(Case((3, 3), call=lambda a, k=k: spectrum(a + T(a))[k], scales=FOURTH) for k in (0, 1)),
        Case((2, 2, 2), call=lambda a: (lambda w, V: V * w[..., None, :])(*spectrum(a + T(a))),
             scales=FOURTH)])

eigenvalues = declare(
    None, "w of A = V W V' as in `spectrum`:  dw = diag(V' dA V),  <g, dw> = <V diag(g) V', dA>",
    name="eigenvalues", keep=lambda A, UPLO="L": spectrum(A, UPLO=UPLO),
    forward=lambda parts, A, UPLO="L": parts[0], kind=KINKED, stacked=True,
    jvp=(lambda dA, parts: _on_diagonal(T(parts[1]) @ dA @ parts[1]),),
    vjp=(lambda g, parts: parts[1] @ (g[..., None] * T(parts[1])),),
    cases=_of_sums(lambda a: eigenvalues(a)),
    kinks=[Kink(([[2.0, 0.0], [0.0, 2.0]],), ([[1.0, 0.0], [0.0, 1.0]],),
                "of a symmetric function of equal ones", call=lambda a: np.sum(eigenvalues(a)))])


def _triangle(name, a, UPLO):
    """The symmetric matrix of one triangle, and which: LAPACK's signs depend on it."""
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO={UPLO!r}; expected 'L' or 'U'")
    return symmetric(_square(name, a) if UPLO in "Ll" else T(_square(name, a))), UPLO


def _square(name, a):
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(f"{name}: expected square matrices, got {describe(a)}")
    return a


def _eigh(a, UPLO="L"):
    S, UPLO = _triangle("np.linalg.eigh", a, UPLO)
    return _Eigh(*spectrum(S, UPLO=UPLO))


def _eigvalsh(a, UPLO="L"):
    S, UPLO = _triangle("np.linalg.eigvalsh", a, UPLO)
    return eigenvalues(S, UPLO=UPLO)


compose(np.linalg.eigh, _eigh, cases=[
    Case((3, 3), call=lambda a: np.linalg.eigh(a + T(a), UPLO="U")[1], scales=FOURTH)])
compose(np.linalg.eigvalsh, _eigvalsh, kind=KINKED, cases=_of_sums(np.linalg.eigvalsh, UPLO="U"),
        kinks=[eigenvalues.kinks[0]._replace(call=lambda a: np.sum(np.linalg.eigvalsh(a)))])


# Singular values


def _sums(s):
    """s_i + s_j off the diagonal, and 1 on it, where the value does not matter."""
    return np.where(np.eye(shape_of(s)[-1], dtype=bool), 1, s[..., None, :] + s[..., :, None])


def _beyond(Q, X):
    """(I - Q Q') X: what is perpendicular to the columns of Q."""
    return X - Q @ (T(Q) @ X)


def _singular_jvp(dA, y):
    U, s, Vh = y
    P = T(U) @ dA @ T(Vh)
    X, Y = _over_gaps((P + T(P)) / 2, s, P, message=_SINGULAR), (P - T(P)) / 2 / _sums(s)
    dU, dVh = U @ (X + Y), T(X - Y) @ Vh
    if shape_of(U)[-2] > shape_of(U)[-1]:
        dU = dU + _beyond(U, dA @ T(Vh)) / _divisor(s)
    if shape_of(Vh)[-1] > shape_of(Vh)[-2]:
        dVh = dVh + T(_beyond(T(Vh), T(dA) @ U) / _divisor(s))
    return dU, np.sign(s) * _on_diagonal(P), dVh


def _divisor(s):
    return np.where(all_nonzero(s, message=_SINGULAR), s, 1)[..., None, :]


def _singular_vjp(g, y):
    (G, g, Hh), (U, s, Vh) = g, y
    S = 0 if g is None else _diagonal(np.sign(s) * g)
    if G is None and Hh is None:
        return U @ S @ Vh
    K = 0 if G is None else T(U) @ G
    M = 0 if Hh is None else Vh @ T(Hh)
    L, N = K + M, K - M
    like = [x for x in (G, Hh) if x is not None]
    X = _over_gaps((L - T(L)) / 2, s, *like, both=g is not None, message=_SINGULAR)
    Y = N / _sums(s)
    c = U @ (S + X + (Y - T(Y)) / 2) @ Vh
    if G is not None and shape_of(U)[-2] > shape_of(U)[-1]:
        c = c + _beyond(U, G) / _divisor(s) @ Vh
    if Hh is not None and shape_of(Vh)[-1] > shape_of(Vh)[-2]:
        c = c + U @ T(_beyond(T(Vh), T(Hh)) / _divisor(s))
    return c


singular = declare(
    None, """A = U S V'  with  U' U = V' V = I  and diagonal S:
    with  P = U' dA V  and antisymmetric  O = U' dU,  N = V' dV,
    P = O S + dS - S N,  so  ds_i = p_ii,
        and off the diagonal  p_ij + p_ji = (o_ij + n_ij) (s_j - s_i),
    p_ij - p_ji = (o_ij - n_ij) (s_i + s_j):
        O = X + Y, N = X - Y with  x_ij = (p_ij + p_ji) / 2 / (s_j - s_i)
    and  y_ij = (p_ij - p_ji) / 2 / (s_i + s_j).  What of dU is perpendicular to U, (I - U U') dA V
         = (I - U U') dU S,
    so  dU = U O + (I - U U') dA V S^-1  and  dV = V N + (I - V V') dA' U S^-1
    <G, U O> + <H, V N> = <K + M, X> + <K - M, Y>  with  K = U' G, M = V' H, which is brought to P
    as in `spectrum`; and  <G, (I - U U') dA V S^-1> = <(I - U U') G S^-1 V', dA>.
    Where s_i = 0, ds_i is 0 by convention, as of |x| at 0.""",
    name="singular", forward=lambda A: tuple(np.linalg.svd(A, full_matrices=False)), multiple=True,
    unused=True,
    stacked=True, takes="A", jvp=(_singular_jvp,), vjp=(_singular_vjp,), cases=[
        *(Case(shape, call=lambda a, k=k: singular(a)[k], scales=FOURTH)
          for shape in ((3, 3), (3, 2), (2, 2, 3)) for k in (0, 1, 2)),
        Case((3, 2), call=lambda a: (lambda U, s, V: U * s @ V)(*singular(a)), scales=FOURTH),
        Case((2, 3), call=lambda a: (lambda U, s, V: U @ V)(*singular(a)), scales=FOURTH)])

singular_values = declare(
    None, "s of A = U S V' as in `singular`:  ds = diag(U' dA V),  <g, ds> = <U diag(g) V', dA>;  "
          "0 where s = 0", name="singular_values", keep=lambda A: singular(A),
    forward=lambda parts, A: parts[1], kind=KINKED, stacked=True,
    jvp=(lambda dA, parts: np.sign(parts[1]) * _on_diagonal(T(parts[0]) @ dA @ T(parts[2])),),
    vjp=(lambda g, parts: parts[0] @ ((np.sign(parts[1]) * g)[..., None] * parts[2]),),
    cases=[Case(shape, scales=FOURTH) for shape in ((3, 2), (2, 2, 3))],
    kinks=[Kink(([[0.0, 0.0]],), ([[[0.0, 0.0]]],), "0 at 0")])


def _svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    rows, columns = shape_of(a)[-2:]
    if not compute_uv:
        if hermitian:
            return -np.sort(-np.abs(np.linalg.eigvalsh(a)), axis=-1)
        return singular_values(a)
    if full_matrices and rows != columns:
        raise NoRule("np.linalg.svd",
                     f"with full_matrices=True and a= of {rows} x {columns} numbers, whose further "
                     "vectors are any basis (use full_matrices=False),")
    if not hermitian:
        return _SVD(*singular(a))
    w, V = np.linalg.eigh(a)
    order = np.argsort(-np.abs(w), axis=-1)
    w, V = np.take_along_axis(w, order, -1), np.take_along_axis(V, order[..., None, :], -1)
    return _SVD(V, np.abs(w), np.sign(w)[..., None] * T(V))


compose(np.linalg.svd, _svd, kind=KINKED, cases=[
    Case((3, 2), call=lambda a: np.linalg.svd(a, full_matrices=False)[0], scales=FOURTH),
    Case((2, 2, 2), call=lambda a: np.linalg.svd(a)[2], scales=FOURTH),
    Case((2, 3), compute_uv=False, scales=FOURTH),
    *_of_sums(np.linalg.svd, compute_uv=False, hermitian=True),
    Case((3, 3), call=lambda a: np.linalg.svd(a + T(a), hermitian=True)[2], scales=FOURTH)],
    kinks=[Kink(([[0.0, 0.0]],), ([[[0.0, 0.0]]],), "0 at 0", {"compute_uv": False})])
compose(np.linalg.svdvals, lambda x, /: singular_values(x), kind=KINKED,
        cases=singular_values.cases, kinks=singular_values.kinks)


# Q and R


def _is_square(Q):
    """Then the columns of Q span the whole space; what floats compute as perpendicular to them is
    noise."""
    rows, columns = shape_of(Q)[-2:]
    return rows == columns


def _qr_jvp(dA, y):
    Q, R = y
    B = T(np.linalg.solve(T(R), T(dA)))  # dA R^-1
    M = T(Q) @ B
    O = np.tril(M, -1) - T(np.tril(M, -1))
    dQ = Q @ O
    return dQ if _is_square(Q) else dQ + _beyond(Q, B), (M - O) @ R


def _qr_vjp(g, y):
    (G, H), (Q, R) = g, y
    c = 0
    if H is not None:
        M = R @ T(H)
        c = np.tril(M) + T(np.tril(M, -1))
    if G is not None:
        M = T(G) @ Q
        c = c + np.tril(T(M) - M, -1)
    c = Q @ c
    return T(np.linalg.solve(R, T(c if G is None or _is_square(Q) else c + _beyond(Q, G))))


tall_qr = declare(
    None, """A = Q R  with  Q' Q = I  and upper R that can be inverted:
    with  M = Q' dA R^-1  and antisymmetric  O = Q' dQ,
    M = O + dR R^-1, of which the second is upper:  O = L - L'  with L = M below the diagonal,
        dR = (M - O) R
    dQ = (I - Q Q') dA R^-1 + Q O
    <G, dQ> + <H, dR> = <(I - Q Q') G R^-T, dA> + <Q' G - H R', O> + <H R', M>,
        where <Z, O> = <low(Z - Z'), M>:
    together  G_A = ((I - Q Q') G + Q sym(R H') + Q low(Q' G - G' Q)) R^-T
    with sym the lower triangle, mirrored""",
    name="tall_qr", forward=lambda A: tuple(np.linalg.qr(A)), multiple=True, unused=True,
    stacked=True, takes="A", jvp=(_qr_jvp,), vjp=(_qr_vjp,), cases=[
        Case(shape, call=lambda a, k=k: tall_qr(a)[k], scales=FOURTH)
        for shape in ((3, 2), (2, 2, 2)) for k in (0, 1)])


def _qr(a, mode="reduced"):
    """Of a wide matrix the first columns decide Q; R = Q' A has the others."""
    if mode not in ("reduced", "complete", "r"):
        raise NoRule("np.linalg.qr", f"with mode={mode!r} (use 'reduced' or 'r')")
    rows, columns = shape_of(a)[-2:]
    if mode == "complete" and rows > columns:
        raise NoRule("np.linalg.qr", f"of {rows} x {columns} matrices with mode='complete', whose "
                                     "further columns are any basis (use mode='reduced'),")
    Q, R = tall_qr(a[..., :rows])
    if columns > rows:
        R = np.concatenate([R, T(Q) @ a[..., rows:]], axis=-1)
    return R if mode == "r" else _QR(Q, R)


compose(np.linalg.qr, _qr, cases=[
    *(Case((2, 3), call=lambda a, k=k: np.linalg.qr(a)[k], scales=FOURTH) for k in (0, 1)),
    Case((2, 3, 2), mode="r", scales=FOURTH),
    Case((2, 2), call=lambda a: np.linalg.qr(a, "complete")[0])])


# Solutions in the sense of least squares


def _chain(A, B, C):
    """A B C by the smaller intermediate product: that of long and narrow matrices may be huge."""
    return (A @ B @ C if shape_of(A)[-2] * shape_of(B)[-1] <= shape_of(B)[-2] * shape_of(C)[-1]
            else A @ (B @ C))


def _pinv_rule(X, A, Z):
    """The terms of dX that are linear in dA', at Z = dA', each of which is the adjoint of the
    other."""
    return _chain(X, T(X), Z - _chain(Z, A, X)) + _chain(Z - _chain(X, A, Z), T(X), X)


pseudoinverse = declare(
    None, """X = A^+:  among matrices of one rank
        dX = -X dA X + X X' dA' (I - A X) + (I - X A) dA' X' X
    <G, -X dA X> = <-X' G X', dA>,  <G, X X' dA' (I - A X)> = <(I - A X) G' X X', dA>,
    <G, (I - X A) dA' X' X> = <X' X G' (I - X A), dA>
    Where the rank is not the largest, X jumps beside A: then this is the slope along matrices of
    the same rank.""",
    name="pseudoinverse", forward=lambda A, rtol=1e-15: np.linalg.pinv(A, rtol=rtol),
    takes="A rtol -> X", kind=KINKED,
    jvp=(lambda dA, X, A: -_chain(X, dA, X) + _pinv_rule(X, A, T(dA)),),
    vjp=(lambda G, X, A: -_chain(T(X), G, T(X)) + _pinv_rule(T(X), T(A), T(G)),), stacked=True,
    cases=[Case((3, 2), scales=FOURTH), Case((2, 2, 3), scales=FOURTH, rtol=1e-12)],
    kinks=[Kink(([[0.0]],), ([[[[0.0]]]],), "0 at 0: the slope along matrices of the same rank")])


def _cut(A, X, *, name):
    size = np.max(np.abs(A), axis=(-2, -1), initial=0)
    left = np.max(np.abs(A - _chain(A, X, A)), axis=(-2, -1), initial=0)
    if np.any(left > np.finfo(A.dtype).eps ** 0.5 * size):
        raise NoRule(name, "that leaves out singular values that are not 0 (make the matrix of "
                           "those that remain from np.linalg.svd, and take its pinv)")
    return left


nothing_is_cut = declare(
    None, "what of A its pseudoinverse X leaves out: an error if it is more than rounding",
    name="nothing_is_cut", kind=CONSTANT, forward=_cut,
    cases=[Case((3, 2),
                call=lambda a: nothing_is_cut(a, np.linalg.pinv(a), name="np.linalg.pinv"))])


def _inverted(name, A, rtol):
    X = pseudoinverse(A, rtol=rtol)
    nothing_is_cut(A, X, name=name)
    return X


def _pinv(a, rcond=None, hermitian=False, *, rtol=np._NoValue):
    if rcond is not None and given(rtol):
        raise ValueError("np.linalg.pinv: expected rcond or rtol, not both")
    a = symmetric(_square("np.linalg.pinv with hermitian=True", a)) if hermitian else a
    name, cut = ("rtol", rtol) if given(rtol) else ("rcond", 1e-15 if rcond is None else rcond)
    return _inverted(f"np.linalg.pinv with {name}={cut!r}", a, cut)


def _lstsq(a, b, rcond=None):
    """x = A^+ b; the sums of squares of what is left, if A has full rank and more rows than
    columns."""
    a, b = as_array(a), as_array(b)
    common, (rows, columns), is_vector = (np.result_type(a.dtype, b.dtype), shape_of(a),
                                          len(shape_of(b)) == 1)
    a, b = (x if x.dtype == common else np.astype(x, common) for x in (a, b))
    if rcond is not None and rcond < 0:  # NumPy's -1 is the precision of the numbers
        rcond = np.finfo(a.dtype).eps
    b = b[:, None] if is_vector else b
    x = _inverted(f"np.linalg.lstsq with rcond={rcond!r}", a, rcond) @ b
    rank = np.linalg.matrix_rank(a, rtol=rcond)
    left = np.sum(np.square(b - a @ x), axis=0) if rank == columns < rows else np.zeros(0, a.dtype)
    return (x[:, 0] if is_vector else x), left, np.int32(rank), singular_values(a)


declare(np.linalg.matrix_rank, "constant almost everywhere: dy = 0", kind=CONSTANT,
        call=lambda A, tol=None, hermitian=False, *, rtol=None: ((A,), {
            "tol": tol, "hermitian": hermitian, "rtol": rtol}), cases=[Case((3, 2))])
compose(np.linalg.pinv, _pinv, kind=KINKED, kinks=pseudoinverse.kinks, cases=[
    *pseudoinverse.cases, Case((2, 2), call=lambda a: np.linalg.pinv(a + T(a), hermitian=True),
                                domain="positive definite", scales=FOURTH)])
compose(np.linalg.lstsq, _lstsq, kind=KINKED, cases=[
    *(Case((3, 2), shape, call=lambda a, b, k=k: np.linalg.lstsq(a, b)[k], scales=FOURTH)
      for shape, k in (((3,), 0), ((3, 2), 0), ((3, 2), 1))),
    Case((2, 3), (2,), call=lambda a, b: np.linalg.lstsq(a, b)[0], scales=FOURTH)],
    kinks=[Kink(([[0.0]], [0.0]), ([[[0.0]]], [[0.0]]), "0 at 0",
                call=lambda a, b: np.linalg.lstsq(a, b)[0])])


def _cond(x, p=None):
    """The largest singular value over the least; for other norms |A| |A^-1|."""
    if p in (None, 2, -2):
        s = singular_values(x)
        largest, least = np.max(s, axis=-1), np.min(s, axis=-1)
        return least / largest if p == -2 else largest / least
    norm = lambda a: np.linalg.norm(a, p, axis=(-2, -1))
    return norm(x) * norm(np.linalg.inv(_square("np.linalg.cond", x)))


compose(np.linalg.cond, _cond, kind=KINKED, cases=[
    Case((3, 2), scales=FOURTH), Case((2, 2, 2), p=-2, scales=FOURTH),
    Case((3, 3), p="fro", scales=FOURTH), Case((2, 2), p=1, scales=FOURTH)],
    kinks=[Kink(([[1.0, 0.0], [0.0, 1.0]],), ([[0.0, 0.0], [0.0, 0.0]],),
                "equal singular values share a slope")])
