"""Random programs that overwrite their arrays: buffers used again, views, masks, out=, lists as
indices.

A program is a list of steps, drawn from a seed; `run` interprets it on whatever array comes, plain
or traced, so that the plain run says what the traced one must give.
"""

import numpy as np

SHAPE = (3, 4)


class Program:
    """A function of one array of shape SHAPE that returns a number."""

    def __init__(self, seed):
        self.seed = seed

    def __repr__(self):
        return f"Program({self.seed})"

    def __call__(self, x):
        rng = np.random.default_rng(self.seed)
        weights = np.random.default_rng(1).standard_normal(SHAPE)
        arrays = [np.tanh(x), x * x]           # traced, and the program's own
        plain = [rng.standard_normal(SHAPE), np.ones(SHAPE)]
        index, chosen, total = np.zeros(2, int), [0, 1], 0.0
        for _ in range(rng.integers(4, 12)):
            step = STEPS[rng.integers(len(STEPS))]
            total += step(rng, arrays, plain, index, chosen)
        for a in arrays:
            total = total + np.sum(a * a) + np.sum(
                np.sin(a) * (weights if a.shape == SHAPE else 0.5))
        return total


def _pick(rng, arrays):
    return arrays[rng.integers(len(arrays))]


def _same(rng, arrays, shape):
    """One of the arrays with that shape, or a number."""
    fitting = [a for a in arrays if a.shape == shape]
    return _pick(rng, fitting) if fitting else 0.5


def fill_buffer(rng, arrays, plain, index, chosen):
    b = _pick(rng, plain)
    b[rng.integers(3)] = rng.standard_normal(4)
    b *= 0.5
    return 0.0


def use_buffer(rng, arrays, plain, index, chosen):
    return (np.sum(_pick(rng, arrays) * (rng.random() < 2))
            + np.sum(_same(rng, arrays, SHAPE) * _pick(rng, plain)))


def use_out(rng, arrays, plain, index, chosen):
    np.multiply(plain[0], 1.25, out=plain[1])
    return np.sum(_same(rng, arrays, SHAPE) @ plain[1].T)


def use_index(rng, arrays, plain, index, chosen):
    index[:] = rng.integers(3, size=2)
    return 0.5 * np.sum(arrays[0][index] ** 2)


def use_list(rng, arrays, plain, index, chosen):
    chosen[rng.integers(2)] = int(rng.integers(3))
    return np.sum(arrays[1][chosen] * 0.3)


def use_mask(rng, arrays, plain, index, chosen):
    mask = plain[0] > 0
    y = np.sum(np.where(mask, arrays[0], 0.0))
    mask[:] = False
    return y


def view_slice(rng, arrays, plain, index, chosen):
    arrays.append(_pick(rng, arrays)[..., rng.integers(2):])
    return 0.0


def view_row(rng, arrays, plain, index, chosen):
    a = _pick(rng, arrays)
    if a.ndim > 1:
        arrays.append(a[rng.integers(a.shape[0])])
    return 0.0


def view_transpose(rng, arrays, plain, index, chosen):
    arrays.append(_pick(rng, arrays).T)
    return 0.0


def view_reshape(rng, arrays, plain, index, chosen):
    arrays.append(_pick(rng, arrays).reshape(-1))
    return 0.0


def view_diagonal(rng, arrays, plain, index, chosen):
    arrays.append(np.diagonal(arrays[0]))
    return 0.0


def copied(rng, arrays, plain, index, chosen):
    arrays.append(np.copy(_pick(rng, arrays)))
    return 0.0


def write_entry(rng, arrays, plain, index, chosen):
    a = arrays[rng.integers(2)]
    a[rng.integers(3), rng.integers(4)] = 2 * a[0, 0]
    return 0.0


def write_view(rng, arrays, plain, index, chosen):
    a = _pick(rng, arrays)
    try:
        a[..., 0] = 0.5 * np.sum(arrays[0][0])
    except ValueError:  # a diagonal is a read-only view
        pass
    return 0.0


def write_rows(rng, arrays, plain, index, chosen):
    arrays[1][index] = arrays[0][:2] * plain[0][:2]
    return 0.0


def write_mask(rng, arrays, plain, index, chosen):
    arrays[0][plain[0] > 0] = 0.25
    return 0.0


def write_slice(rng, arrays, plain, index, chosen):
    arrays[0][:, 1:] = arrays[1][:, :-1]
    return 0.0


def augment(rng, arrays, plain, index, chosen):
    a = arrays[rng.integers(2)]
    a += plain[1]
    a[1] *= 0.75
    a[:, 2] -= a[:, 0]
    return 0.0


def augment_other(rng, arrays, plain, index, chosen):
    a = arrays[rng.integers(2)]
    a *= arrays[0]
    return 0.0


def augment_number(rng, arrays, plain, index, chosen):
    s = arrays[0][1, 1]
    t = s
    s += arrays[1][0, 0]
    s *= 2.0
    return s * t


def augment_plain(rng, arrays, plain, index, chosen):
    s = np.zeros(4)
    for k in range(3):
        s += arrays[1][k] * k
    return np.sum(s * s)


def in_place_functions(rng, arrays, plain, index, chosen):
    np.add(arrays[0], arrays[1], out=arrays[0])
    np.copyto(arrays[1], arrays[0], where=plain[0] > 0)
    arrays[0][2].fill(0.5)
    arrays[0][1].sort()
    np.add.at(arrays[0], index, 0.5)
    return 0.0


STEPS = [fill_buffer, use_buffer, use_out, use_index, use_list, use_mask, view_slice, view_row,
         view_transpose, view_reshape, view_diagonal, copied, write_entry, write_view, write_rows,
         write_mask, write_slice, augment,
         augment_other, augment_number, augment_plain, in_place_functions]
