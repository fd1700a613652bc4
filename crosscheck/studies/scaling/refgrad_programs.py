"""The programs that the studies measure, by refgrad; `torch_programs` has the same, under the same
names, by torch."""

from __future__ import annotations

import tracemalloc

import numpy as np

from refgrad import grad, jacobian, jit, jvp, nn, value_and_grad

# Of central differences: a power of two near eps^(1/3), where truncation and rounding balance.
STEP = 2.0 ** -17


def peak_bytes(run):
    """The most memory that ``run()`` holds at a time, beyond what was held before: arrays and
    Python objects."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class WideNet:
    """f(W1, W2) = mean((tanh(x W1') W2' - y)^2), one hidden layer.  x, y: (batch, d); W1: (width,
    d); W2: (d, width).

    A *pass* gives the derivatives with respect to the entries start ... stop of one weight matrix,
    in C order.
    """

    library = "refgrad"

    def __init__(self, x, y, weights):
        self.x, self.y, self.weights = x, y, [np.array(w) for w in weights]
        self.tangent = [np.zeros_like(w) for w in weights]
        self.sizes = [w.size for w in self.weights]

    def loss(self, W1, W2):
        return nn.mse_loss(nn.linear(np.tanh(nn.linear(self.x, W1)), W2), self.y)

    def value(self):
        return self.loss(*self.weights)

    def reverse(self):
        """The whole gradient, one array for each weight matrix."""
        return grad(self.loss, argnums=(0, 1))(*self.weights)

    def forward(self, leaf, start, stop):
        """One pass with one tangent: stop = start + 1."""
        entry = self.tangent[leaf].reshape(-1)
        entry[start] = 1
        try:
            return jvp(self.loss, self.weights, self.tangent)[1]
        finally:
            entry[start] = 0

    def forward_batched(self, leaf, start, stop):
        """One pass with stop - start tangents: the Jacobian with respect to a block of the
        matrix."""
        W = self.weights[leaf]
        flat = W.reshape(-1)

        def of_block(block):
            weights = list(self.weights)
            weights[leaf] = np.reshape(np.concatenate([flat[:start], block, flat[stop:]]), W.shape)
            return self.loss(*weights)

        return jacobian(of_block, mode="forward")(flat[start:stop])

    def differences(self, leaf, start, stop):
        """Two values at a distance of 2 STEP: stop = start + 1."""
        entry = self.weights[leaf].reshape(-1)
        here = entry[start]
        try:
            entry[start] = here + STEP
            above = self.value()
            entry[start] = here - STEP
            return (above - self.value()) / (2 * STEP)
        finally:
            entry[start] = here


#: Ways to a Jacobian.
JACOBIANS = {
    "reverse": lambda f: jacobian(f, mode="reverse"),
    "forward": lambda f: jacobian(f, mode="forward", batched=False),
    "forward batched": lambda f: jacobian(f, mode="forward"),
}


class VectorNet:
    """f(x) = tanh(x W1') W2', from rows of inputs to rows of outputs.

    x: (1, inputs), a batch of one; W1: (hidden, inputs); W2: (outputs, hidden).
    """

    library, methods = "refgrad", tuple(JACOBIANS)

    def __init__(self, x, W1, W2):
        self.x, self.W1, self.W2 = x, W1, W2

    def f(self, x):
        return nn.linear(np.tanh(nn.linear(x, self.W1)), self.W2)

    def jacobian(self, method):
        """(outputs, inputs)."""
        return JACOBIANS[method](self.f)(self.x).reshape(len(self.W2), -1)


class DeepNet:
    """f(W...) = mean((W_L relu(... W_2 relu(W_1 x)))^2).  x: (batch, width); every W: (width,
    width)."""

    library = "refgrad"

    def __init__(self, x, weights):
        self.x, self.weights = x, list(weights)

    def loss(self, weights):
        h = self.x
        for W in weights[:-1]:
            h = nn.relu(nn.linear(h, W))
        return np.mean(np.square(nn.linear(h, weights[-1])))

    def value(self):
        return self.loss(self.weights)

    def value_and_gradient(self):
        return value_and_grad(self.loss)(self.weights)


class WrittenDeepNet(DeepNet):
    """The same, jitted."""

    library = "refgrad.jit"

    def __init__(self, x, weights):
        super().__init__(x, weights)
        self.written_value, self.written_both = jit(self.loss), jit(value_and_grad(self.loss))

    def value(self):
        return self.written_value(self.weights)

    def value_and_gradient(self):
        return self.written_both(self.weights)
