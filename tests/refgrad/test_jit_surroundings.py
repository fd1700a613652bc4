"""What a jitted function reads besides its arguments is compared at every call."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import programs
from refgrad.reads import reads
from refgrad.surroundings import Surroundings

X = np.array([1.0, 2.0, 3.0])


def made(source):
    """(f, change), with a state of their own."""
    names = {"np": np, "rg": rg}
    exec(compile(source, "<state>", "exec"), names)
    return names["f"], names.get("change", lambda i: None)


def outcomes(f, change, calls=6):
    found = []
    for i in range(calls):
        found.append(repr(f(X + i % 3)))
        change(i)
    return found


#: The state, f, and what happens to the state between the calls.
STATES = {
    "a global array": "W = np.ones(3)\ndef f(x): return x * W\ndef change(i): W[i % 3] *= 2",
    "an array and what is made of it": (
        "W = np.ones(3)\ndef f(x): return x * W + x * (2 * W)\ndef change(i): W[:] *= 2"),
    "a view of it": "B = np.ones(6); W = B[::2]\ndef f(x): return x * W\ndef change(i): B[0] += 1",
    "a global that is bound anew": (
        "k = 1.0\ndef f(x): return x * k\ndef change(i):\n global k\n k += 1"),
    "the sign of zero": (
        "k = 0.0\ndef f(x): return x * np.copysign(1, k)\ndef change(i):\n global k\n k = -k"),
    "the type of a number": (
        "k = 1\ndef f(x): return x if isinstance(k, int) else -x\n"
        "def change(i):\n global k\n k = 1.0 if i % 2 else 1"),
    "a text": (
        "m = 'a'\ndef f(x): return x if m == 'a' else -x\n"
        "def change(i):\n global m\n m = 'b' if m == 'a' else 'a'"),
    "a nest": (
        "C = {'a': [1.0, np.ones(3)]}\ndef f(x): return x * C['a'][1] * C['a'][0]\n"
        "def change(i): C['a'][i % 2] = C['a'][i % 2] * 2"),
    "the order of a dict": (
        "C = {'1': 1, '2': 2}\ndef f(x): return x * float(''.join(C))\n"
        "def change(i): C['1'] = C.pop('1') if i % 2 else C.pop('1', 1)"),
    "a set": "s = {1}\ndef f(x): return x * len(s)\ndef change(i): s.add(i + 7)",
    "a deque": (
        "from collections import deque\nd = deque([1.0, 2.0])\ndef f(x): return x * d[0]\n"
        "def change(i): d.rotate()"),
    "a bytearray": "d = bytearray(b'ab')\ndef f(x): return x * d[0]\ndef change(i): d[0] += 1",
    "an object array": (
        "W = np.array([1.0, [2]], object)\ndef f(x): return x * W[1][0]\n"
        "def change(i): W[1][0] += 1"),
    "the shape of an array": (
        "W = np.ones((3, 1))\ndef f(x): return x * W.shape[0]\n"
        "def change(i): W.shape = (1, 3) if i % 2 else (3, 1)"),
    "a large array": (
        "W = np.arange(2e5)\ndef f(x): return W[0] * x\ndef change(i): W[[0, 9]] = W[[9, 0]]"),
    "a default value": (
        "def f(x, m=[1.0]): return x * m[0]\ndef change(i): f.__defaults__[0][0] += 1"),
    "other default values": (
        "def f(x, m=1.0): return x * m\ndef change(i): f.__defaults__ = (i + 2.0,)"),
    "a keyword's default value": (
        "def f(x, *, m=1.0): return x * m\ndef change(i): f.__kwdefaults__['m'] += 1"),
    "an attribute of a function": (
        "def g(): pass\ndef f(x): return x * getattr(g, 'k', 1.0)\ndef change(i): g.k = i"),
    "a function that it calls": (
        "def h(x): return x\ndef f(x): return h(x)\n"
        "def change(i):\n global h\n h = (lambda x: x * 2) if i % 2 else (lambda x: x * 3)"),
    "what a function that it calls reads": (
        "k = 1.0\ndef h(x): return x * k\ndef f(x): return h(x)\n"
        "def change(i):\n global k\n k += 1"),
    "functions in a list": (
        "L = [lambda x: x]\ndef f(x):\n for g in L: x = g(x)\n return x\n"
        "def change(i): L.append(lambda x: x * 2)"),
    "a closure": (
        "def make():\n W, k = np.ones(3), 1.0\n def f(x): return x * W * k\n"
        " def change(i):\n  nonlocal k\n  k += 1; W[0] += 1\n return f, change\n"
        "f, change = make()"),
    "a function inside": (
        "k = 1.0\ndef f(x): return (lambda y: sum([y * k for _ in range(2)]))(x)\n"
        "def change(i):\n global k\n k += 1"),
    "a partial": (
        "import functools\nD = {'k': 1.0}\nf = functools.partial(lambda d, x: x * d['k'], D)\n"
        "def change(i): D['k'] += 1"),
    "a decorator": (
        "import functools\nk = 1.0\ndef times(g):\n @functools.wraps(g)\n"
        " def h(*a): return g(*a) * k\n return h\n@times\ndef f(x): return x\n"
        "def change(i):\n global k\n k += 1"),
    "a transform": (
        "k = 1.0\nf = rg.grad(lambda x: np.sum(x * x) * k)\ndef change(i):\n global k\n k += 1"),
    "a jitted function": (
        "k = 1.0\n@rg.jit\ndef g(x): return x * k\ndef f(x): return g(x) + g(np.ones(3))\n"
        "def change(i):\n global k\n k += 1"),
    "a custom primitive": (
        "k = 1.0\n@rg.custom\ndef g(x): return x * k\ndef f(x): return g(x)\n"
        "def change(i):\n global k\n k += 1"),
    "an attribute": (
        "class N:\n def __init__(self): self.k = 1.0\n def loss(self, x): return x * self.k\n"
        "n = N(); f = n.loss\ndef change(i): n.k += 1"),
    "an attribute that hides the class's": (
        "class N: k = 1.0\nn = N()\ndef f(x): return x * n.k\ndef change(i): n.k = i + 1.0"),
    "an attribute of the class": (
        "class A: k = 1.0\nclass B(A): pass\nb = B()\ndef f(x): return x * b.k\n"
        "def change(i):\n if i % 2: B.k = i\n else: A.k = i + 5.0"),
    "a slot": (
        "class C:\n __slots__ = ('w',)\n def go(self, x): return x * self.w\nc = C(); c.w = 1.0\n"
        "f = c.go\ndef change(i): c.w += 1"),
    "a property": (
        "class C:\n _w = 1.0\n @property\n def w(self): return self._w\nc = C()\n"
        "def f(x): return x * c.w\ndef change(i): c._w += 1"),
    "a class method": (
        "class A:\n k = 1.0\n @classmethod\n def go(cls, x): return x * cls.k\n"
        "def f(x): return A.go(x)\ndef change(i): A.k += 1"),
    "a method": (
        "class A:\n def go(self, x): return x\na = A()\ndef f(x): return a.go(x)\n"
        "def change(i): A.go = lambda self, x: x * (i + 2)"),
    "an object that is called": (
        "class C:\n def __init__(self): self.w = np.ones(3)\n"
        " def __call__(self, x): return x * self.w\n"
        "f = C()\ndef change(i): f.w[0] += 1"),
    "an attribute by its name": (
        "class A: k = 1.0\na, n = A(), 'k'\ndef f(x): return x * getattr(a, n)\n"
        "def change(i): setattr(a, n, i)"),
    "__getattr__": (
        "class A:\n def __init__(self): self.d = {'k': 1.0}\n"
        " def __getattr__(self, n): return self.d[n]\n"
        "a = A()\ndef f(x): return x * a.k\ndef change(i): a.d['k'] += 1"),
    "a namespace": (
        "import types\na = types.SimpleNamespace(k=1.0)\ndef f(x): return x * a.k\n"
        "def change(i): a.k += 1"),
    "a module": (
        "import types\nm = types.ModuleType('m')\n"
        "exec('k = 1.0\\ndef g(x): return x * k', vars(m))\n"
        "def f(x): return m.g(x) + m.k\ndef change(i): m.k += 1"),
    "a module imported inside": (
        "import types, sys\nm = sys.modules['mine'] = types.ModuleType('mine'); m.k = 1.0\n"
        "def f(x):\n import mine\n return x * mine.k\ndef change(i): m.k += 1"),
    "a context variable": (
        "import contextvars\nc = contextvars.ContextVar('c', default=1.0)\n"
        "def f(x): return x * c.get()\ndef change(i): c.set(i + 2.0)"),
    "an object that is an array": (
        "class A:\n v = 1.0\n"
        " def __array__(self, dtype=None, copy=None): return np.full(3, self.v)\n"
        "a = A()\ndef f(x): return x * np.asarray(a)\ndef change(i): a.v += 1"),
    "a name that comes and goes": (
        "k = 1.0\ndef f(x):\n try: return x * k\n except NameError: return x * 7\n"
        "def change(i):\n global k\n if i % 2: k = 3.0\n else: del k"),
    "a builtin that is hidden": (
        "def f(x): return abs(x)\ndef change(i):\n global abs\n abs = lambda v: v * i"),
    "what it changes and reads": "n = [0]\ndef f(x):\n n[0] += 1\n return x * n[0]",
    "a counter that it reads": "n = 0\ndef f(x):\n global n\n n += 1\n return x * n",
    "a buffer": "b = np.zeros(3)\ndef f(x):\n b[0] += 1\n return x * b",
    "a cache": (
        "memo = {}\ndef f(x):\n if x.shape not in memo: memo[x.shape] = np.ones(3) * 2\n"
        " return x * memo[x.shape]"),
    "a random generator": "r = np.random.default_rng(0)\ndef f(x): return x * r.random(3)",
    "Python's random generator": (
        "import random\nr = random.Random(0)\ndef f(x): return x * r.random()"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_change_is_seen(state):
    f, change = made(STATES[state])
    found = outcomes(rg.jit(f), change)
    assert found == outcomes(*made(STATES[state]))


#: Where f itself changes what it reads.
CHANGING = {"what it changes and reads", "a counter that it reads", "a buffer",
            "a random generator", "Python's random generator"}


@pytest.mark.parametrize("state", STATES)
def test_what_stays_the_same_is_replayed(state):
    f, _ = made(STATES[state])
    fast = rg.jit(f)
    fast(X)
    assert (fast.program(X) is fast.program(X)) is (state not in CHANGING)


@pytest.mark.parametrize("body", [
    "ran.append(1)", "ran.extend([1])", "global n; n += 1", "calls[0] += 1", "log['n'] += 1",
    "m.calls += 1", "m.log.append(len(ran2))"])
def test_what_is_only_written_is_not_read(body):
    """A function may count how often it is traced."""
    f, _ = made("ran, ran2, n, calls, log = [], [], 0, [0], {'n': 0}\nclass M: pass\n"
                f"m = M(); m.calls, m.log = 0, []\ndef f(x):\n {body}\n return x * 2")
    fast = rg.jit(f)
    assert all(fast.program(X + i) is fast.program(X) for i in range(3))


@pytest.mark.parametrize("body", [
    "y = calls[0] + 1", "calls[0] = calls[1]", "w[0] = calls[0]", "w[calls[0]] += 1",
    "calls.append(calls[0])", "y = calls.append(1)", "print(calls.append)", "calls = calls + [1]",
    "g(calls)", "y = [calls]", "calls[0] += 1; y = calls", "if calls: y = 1"])
def test_what_is_read_is_known(body):
    names = {}
    exec(f"def f():\n global calls\n {body}", names)
    read = reads(names["f"].__code__).variables
    assert ("calls" in read) is (body != "calls = calls + [1]")


REFUSED = {
    "an iterator": (
        "it = iter([1.0, 2.0])\ndef f(x): return x * next(it)", "reads it, a list_iterator"),
    "a generator": (
        "it = (k for k in [1.0])\ndef f(x): return x * next(it)", "reads it, a generator"),
    "eval": ("k = 1.0\ndef f(x): return x * eval('k')", r"f uses eval\(\)"),
    "globals": ("k = 1.0\ndef f(x): return x * globals()['k']", r"f uses globals\(\)"),
    "a traced array in a list": ("L = []\ndef f(x):\n L.append(x)\n return x", "traced array in L"),
    "a traced array in a variable": (
        "last = None\ndef f(x):\n global last\n last = x\n return x", "traced array in last"),
    "a traced array in an attribute": (
        "class M: pass\nm = M()\ndef f(x):\n m.last = x\n return x", "traced array in m.last"),
    "a function of the result": (
        "def f(x): return lambda z: x * z", "returns a function that holds"),
    "vjp's pull": ("def f(x): return rg.vjp(np.sin, x)", r"returns a method.*pull of vjp"),
    "an object of the result": (
        "class A: pass\ndef f(x):\n a = A(); a.x = x\n return a", "returns a A that holds"),
    "a generator of the result": ("def f(x): return (v for v in x)", "returns a generator"),
    "what is no array": (
        "class A:\n def __array__(self, dtype=None, copy=None): raise ValueError('no')\na = A()\n"
        "def f(x): return x if a is None else -x", "a is a A, which cannot be compared.*says no"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compared_is_an_error_at_the_first_call(what):
    source, message = REFUSED[what]
    with pytest.raises(TypeError, match=f"jit: .*{message}"):
        rg.jit(made(source)[0])(X)


def test_arguments_that_change():
    with pytest.raises(TypeError, match="jit: f changes a list or a dict among its arguments"):
        rg.jit(made("def f(x, log): log.append(1); return x")[0])(X, [])

    class Model:
        k = 1.0

    fast, model = rg.jit(lambda m, x: np.sum(x * m.k)), Model()
    assert [fast(model, X), fast(model, X)] == [6, 6]
    model.k = 2.0
    assert fast(model, X) == 12
    other = Model()
    assert fast(other, X) == 6 and fast(model, X) == 12
    assert rg.jit(lambda x, s: x * len(s))(X, {1, 2})[0] == 2


def test_arrays_that_nobody_may_write_into_are_not_compared():
    W = np.ones(3)
    W.flags.writeable = False
    view = np.broadcast_to(np.ones(1), (3,))  # whose base can be written
    assert not Surroundings({"f": lambda x: x * W}).arrays
    assert Surroundings({"f": lambda x: x * view}).arrays


def test_what_libraries_read_is_left_to_them():
    assert not Surroundings({"np.median": np.median}).names
    f = rg.value_and_grad(lambda x: np.sum(x))
    assert [label for *_, label in Surroundings({"f": f}).names] == ["np"]


def test_a_warning_if_programs_are_written_again_and_again():
    fast = rg.jit(lambda x: np.sum(x) * float(x[0]))
    message = (r"jit: <lambda> was traced 16 times and replayed only 0 times.*"
               r"The reason for the last trace: a value that it branches on has changed "
               r"\(if repr\(.*\) != '1.0'\)")
    with pytest.warns(UserWarning, match=message) as told:
        for k in range(programs.OFTEN - 1):
            fast(X + k)
        assert not told
        for k in range(100, 103):
            fast(X + k)
    assert len(told) == 1 and told[0].filename == __file__
    count = [0]

    def counts(x):
        count[0] += 1
        return x * count[0]

    fast = rg.jit(counts)
    with pytest.warns(UserWarning, match="it changes count, which it reads"):
        for _ in range(programs.OFTEN):
            fast(X)


def test_a_fault_is_seen(monkeypatch):
    monkeypatch.setattr(Surroundings, "difference", lambda self: None)
    for state in ("an array and what is made of it", "an attribute", "a closure"):
        with pytest.raises(AssertionError):
            test_a_change_is_seen(state)
