"""Backpropagation through time: an LSTM reads a sequence, and its gradient is checked, and learns
from it.

    python examples/backpropagation_through_time.py

The loop over time is a Python loop.  Reverse mode walks it backwards, which is backpropagation
through time: one sweep gives the slopes in all parameters.  Forward mode goes along with the loop
instead, and gives the slope in one direction for each run.  Both are computed here and must agree,
for a random direction and for each single coordinate of a bias.

The task: a sequence of numbers, of which some are marked; say the sum of the marked ones after the
last step. (Hochreiter and Schmidhuber, 1997, section 5.4.)
"""

import numpy as np

import refgrad as rg
from refgrad import nn

HIDDEN, LENGTH, BATCH, STEPS, RATE = 8, 12, 64, 400, 0.02


def draw(rng):
    """Sequences (time, batch, 2) of numbers and marks, and for each the sum of its two marked
    numbers."""
    numbers = rng.random((LENGTH, BATCH))
    marks = np.zeros((LENGTH, BATCH))
    first, second = (rng.integers(LENGTH // 2, size=BATCH),
                     rng.integers(LENGTH // 2, LENGTH, size=BATCH))
    marks[first, np.arange(BATCH)] = marks[second, np.arange(BATCH)] = 1
    return np.stack([numbers, marks], axis=-1), np.sum(numbers * marks, axis=0)


def initial(rng):
    """Parameters, with an open forget gate."""
    p = {"w_ih": rng.standard_normal((4 * HIDDEN, 2)) / np.sqrt(2), "b": np.zeros(4 * HIDDEN),
         "w_hh": rng.standard_normal((4 * HIDDEN, HIDDEN)) / np.sqrt(HIDDEN),
         "w_out": rng.standard_normal((1, HIDDEN)) / np.sqrt(HIDDEN), "b_out": np.zeros(1)}
    p["b"][HIDDEN:2 * HIDDEN] = 1
    return p


def predict(p, sequence):
    """What the cell says after the last step."""
    h = c = np.zeros((sequence.shape[1], HIDDEN))
    for x in sequence:
        h, c = nn.lstm_cell(x, (h, c), p["w_ih"], p["w_hh"], p["b"])
    return nn.linear(h, p["w_out"], p["b_out"])[:, 0]


def loss(p, sequence, target):
    return nn.mse_loss(predict(p, sequence), target)


def check(p, sequence, target, rng):
    """The gradient by reverse mode against slopes by forward mode: the largest relative
    differences."""
    f = lambda p: loss(p, sequence, target)
    gradient = rg.grad(f)(p)
    v = rg.tree_map(lambda x: rng.standard_normal(x.shape), p)
    _, slope = rg.jvp(f, (p,), (v,))
    along = sum(np.sum(gradient[k] * v[k]) for k in p)
    print(f"along a random direction: reverse {along:+.15f}, forward {slope:+.15f}")

    forward = rg.jacobian(lambda b: f({**p, "b": b}), mode="forward")(p["b"])
    difference = np.max(np.abs(forward - gradient["b"])) / np.max(np.abs(forward))
    print(f"each of {forward.size} slopes in the gates' biases: largest difference "
          f"{difference:.0e} of the largest")
    return abs(along - slope) / abs(slope), difference


def train(p, rng):
    """Adam (Kingma and Ba, 2015); prints the loss as it falls, and returns the last one on new
    sequences."""
    mean, square = ({k: np.zeros_like(x) for k, x in p.items()} for _ in range(2))
    gradient = rg.value_and_grad(loss)
    for step in range(1, STEPS + 1):
        value, g = gradient(p, *draw(rng))
        for k in p:
            mean[k] = 0.9 * mean[k] + 0.1 * g[k]
            square[k] = 0.99 * square[k] + 0.01 * g[k] ** 2
            p[k] = p[k] - RATE * (mean[k] / (1 - 0.9 ** step)) / (
                np.sqrt(square[k] / (1 - 0.99 ** step)) + 1e-8)
        if step % 100 == 0 or step == 1:
            print(f"step {step:3d}: squared error {value:.4f}")
    return loss(p, *draw(rng))


def main():
    rng = np.random.default_rng(0)
    p = initial(rng)
    sequence, target = draw(rng)
    count = sum(x.size for x in p.values())
    print(f"an LSTM with {HIDDEN} units and {count} parameters, {BATCH} sequences of {LENGTH} "
          "steps")
    for difference in check(p, sequence, target, rng):
        assert difference < 1e-12, difference
    last = train(p, rng)
    print(f"on new sequences: squared error {last:.4f}; of always saying 1 it is "
          f"{np.mean((target - 1) ** 2):.4f}")
    assert last < 0.05


if __name__ == "__main__":
    main()
