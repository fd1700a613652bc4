"""Random programs with control flow, as source text.

They branch on numbers, loop until a condition holds, catch errors, write in place, and take
Python's numbers.  A program is a function ``f(x, y, c, n)`` of two arrays, a float and an int,
inside ``make()``, which owns the state that f reads, and also returns ``change(step)``: what
happens to the state between two calls.
"""

import numpy as np

STATE = """
class Settings:
    scale = 0.5

    def __init__(self):
        self.shift, self.limits = 0.25, [0.5, 1.5]

    def scaled(self, a):
        return a * self.scale + self.shift


def make():
    w, k, matrix = np.array([0.5, -1.0, 1.5]), 0.75, np.eye(3) + 0.25
    table, options = [np.ones(3), np.arange(3.0)], {"r": 0.5, "on": True}
    settings, count = Settings(), 0

    def helper(a, r=0.5):
        return np.tanh(a * w) * r

    def f(x, y, c, n):
        nonlocal count
        a, b, s, t = x * 1.0, y * 1.0, np.sum(x * y), np.sum(x) * 0.5
"""
#: What happens to the state between two calls.
CHANGES = [
    "w[step % 3] *= -1.5", "w = w + 0.25", "k += 0.5", "k = -k",
    "table.append(np.full(3, 0.5 * step))", "table[0] = table[0] + 1", "table[1][step % 3] = 2.0",
    "options['r'] = 0.25 * step", "options['on'] = step % 2 == 0", "settings.scale = 0.5 + step",
    "settings.shift -= 0.5", "settings.limits[0] = -0.5 * step", "Settings.scale = 0.125 * step",
    "matrix[0] = matrix[1] * 2", "settings = Settings()", "pass", "pass"]
ARRAYS = [
    "np.sin({a})", "np.tanh({a} * {b})", "{a} + {b}", "{a} - 0.5 * {b}", "{a} * c",
    "c / (1 + {a} * {a})", "np.sort({a})", "{a}[::-1]", "np.where({a} > {b}, {a}, {b})",
    "np.maximum({a}, c)", "{a} ** 2 - {s}", "np.cumsum({a}) / 3", "{a}[np.argsort({b})]",
    "np.clip({a}, -1.0, 1.0)", "np.abs({a}) * k", "{a} * w", "np.roll({a}, n)", "{a} @ matrix",
    "np.concatenate([{a}[1:], {b}[:1]])", "helper({a})", "helper({a}, c)",
    "np.linalg.solve(3 * np.eye(3) + np.outer({a}, {a}), {b})", "table[-1] * {a}",
    "settings.scaled({a})", "{a} * options['r']", "np.exp(-{a} * {a}) * n", "{a} * {s}",
    "np.full(3, c) * {a}", "np.stack([{s}, {t}, {a}[0]])", "np.minimum(np.max({a}), {b})",
    "np.take({a}, [0, 2, 1])", "np.prod({a}) + {b}", "nn.softmax({a}, -1)", "nn.relu({a} - {b})",
    "np.compress({a} != 0.25, {a}, axis=0) * {a}", "({a}[:, None] * {b}[None]).sum(0)",
    "np.mean({a}) - {b}", "np.sqrt(1 + {a} * {a})", "custom_square({a}) * 0.25"]
NUMBERS = [
    "np.sum({a} * {b})", "np.max({a})", "{a}[1]", "np.dot({a}, {b})", "np.mean({a})",
    "np.median({a})", "np.linalg.norm({a})", "{s} * c", "np.mean({a}[:n + 1])",
    "{a}[:n].sum() * {a}[:n].size",
    "np.sum({a}[np.argmax({b}):]) * len({a}[n:])", "np.mean({a}[{a} > {b}][:1]) if n else {s}",
    "2 ** n * {s} * 0.1", "(c * c + 0.5) ** n * {s} * 0.2",
    "np.sum(np.reshape({a}[:2], (-1, n % 2 + 1))[0])", "{s} - {t}", "np.tanh({s})",
    "{s} * 0.5 + n", "np.sum({a}[{a} > {b}])", "k * {s}", "{a}[np.argmax({b})]",
    "np.sum(np.delete({a}, int(np.argmin({b}))))", "np.logaddexp({s}, {t})", "max({s}, {t})",
    "{a}[np.nonzero({a} > 0)].sum()",
    "np.linalg.slogdet(np.eye(3) * 2 + np.outer({a}, {b}) / 9)[1]",
    "np.sum(np.extract({b} > 0, {a}))", "sum({a})", "nn.mse_loss({a}, {b})", "np.ptp({a})",
    "np.var({a})"]
CONDITIONS = [
    "{s} > 0.25", "{a}[0] > {a}[1]", "np.sum({a}) < {t}", "np.all({a} > -0.5)", "c > 0.5",
    "n % 2 == 0", "n > 1", "k > 0", "options['on']", "int(np.argmax({a})) == 1",
    "len(np.flatnonzero({a} > 0)) > 1", "-1 < {s} < 1", "np.any({a} > {b}) and c < 1",
    "settings.limits[0] > 0", "{s} > settings.limits[1] or n == 0", "len(table) > 2",
    "isinstance(c, float)", "isinstance({a}, np.ndarray)", "c * n > 0.5", "not {s}",
    "np.count_nonzero({a} > 0) == 2"]
#: For programs that are not differentiated: numbers leave for Python.
LEAVING = [
    "float({s}) > 0.25", "int(np.floor({s})) > 0", "f'{{{s}:.0f}}' == '0'", "str(n) == '2'",
    "round({s}) == 0", "'{{:.1f}}'.format(c) == '0.5'", "math.floor(c) == 0", "{s}.item() < 0.5",
    "f'{{c}}' == '0.5'"]


class Draft:
    """Draws statements; `lines` are what is written so far."""

    def __init__(self, rng, differentiated):
        self.rng, self.lines = rng, []
        self.conditions = CONDITIONS if differentiated else CONDITIONS + LEAVING
        self.statements = [
            self.array, self.array, self.number, self.branch, self.branch, self.loop, self.until,
            self.stopping, self.factor, self.division, self.raised, self.index, self.write,
            self.write, self.mask, self.buffer, self.overflow, self.out, self.plain_number,
            self.inner, self.collected, self.early]
        self.statements += [] if differentiated else [self.leaves, self.counts]

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def filled(self, text):
        return text.format(a=self.one("ab"), b=self.one("ab"), s=self.one("st"), t=self.one("st"))

    def say(self, depth, *lines):
        self.lines += ["    " * (depth + 2) + line for line in lines]

    def block(self, depth, length):
        for _ in range(length):
            simple = [self.array, self.number, self.write, self.plain_number]
            self.one(self.statements if depth < 2 else simple)(depth)

    def array(self, depth):
        self.say(depth, f"{self.one('ab')} = {self.filled(self.one(ARRAYS))}")

    def number(self, depth):
        self.say(depth, f"{self.one('st')} = {self.filled(self.one(NUMBERS))}")

    def plain_number(self, depth):
        self.say(depth, self.one(["c = c * 0.5 + 0.25", "c = 1 - c", "n = n + 1 if n < 4 else 1",
                                  "c = c * c / (n + 1)", "c, n = c + n % 2, n // 2"]))

    def branch(self, depth):
        self.say(depth, f"if {self.filled(self.one(self.conditions))}:")
        self.block(depth + 1, self.rng.integers(1, 3))
        if self.rng.random() < 0.5:
            self.say(depth, "else:")
            self.block(depth + 1, 1)

    def loop(self, depth):
        times = self.one(["n", "2", "len(table)", "min(n, 2)"])
        self.say(depth, f"for i{depth} in range({times}):")
        if self.rng.random() < 0.3:
            self.say(depth + 1, f"if {self.filled(self.one(self.conditions))}: continue")
        self.block(depth + 1, 1)
        self.say(depth + 1, f"a = np.tanh(a) + 0.1 * i{depth}")

    def until(self, depth):
        i, condition = f"i{depth}", self.one(["s < 1", "np.max(np.abs(a)) > 0.2", "c < 2"])
        self.say(depth, f"{i} = 0", f"while {condition} and {i} < 4:")
        self.block(depth + 1, 1)
        self.say(depth + 1, f"{i}, s, a, c = {i} + 1, s * 0.5 + 0.5, a * 0.5, c + 0.5")

    def stopping(self, depth):
        self.say(depth, "for i in range(5):", "    a = a * 0.5 + 0.1 * b",
                 f"    if {self.filled(self.one(self.conditions))}:", "        break",
                 "else:", "    b = b + 1")

    def factor(self, depth):
        what = self.one(["np.linalg.cholesky(np.outer(a, b) + c * np.eye(3))",
                         "np.linalg.inv(np.diag(np.maximum(a, 0)))"])
        into = self.one(["", "a = a + 0.1 * ", "b = "])
        self.say(depth, "try:", f"    {into}{what}{self.one(['', '[0]'])}", "    s = s + 1",
                 "except np.linalg.LinAlgError:", "    s = s - 1",
                 "a, b = a * np.ones(3), np.sum(np.atleast_2d(b), axis=0)",
                 "a = np.sum(np.atleast_2d(a), axis=0)")

    def division(self, depth):
        what = self.one(["c / (n - 1)", "c // n", "n % int(c)", "2 ** (c / n)"])
        self.say(depth, "try:", f"    c = {what}", "except ZeroDivisionError:", "    c = 0.5",
                 "c = min(max(c, -2.0), 2.0)")

    def raised(self, depth):
        self.say(depth, "try:", f"    if {self.filled(self.one(self.conditions))}:",
                 "        raise ValueError", f"    a = {self.filled(self.one(ARRAYS))}",
                 f"except {self.one(['ValueError', 'Exception'])}:",
                 f"    b = {self.filled(self.one(ARRAYS))}", "finally:", "    t = t + 0.5")

    def index(self, depth):
        what = self.one(["a[n]", "table[n][0]", "a[np.argmax(b) + 1]", "w[n]"])
        self.say(depth, "try:", f"    s = s * {what}", "except IndexError:",
                 f"    s = {self.filled(self.one(NUMBERS))}")

    def overflow(self, depth):
        kind = self.one(["divide", "invalid", "all"])
        what = self.one(["1 / np.maximum(a, 0)", "np.log(a)", "np.sqrt(a)"])
        self.say(depth, f"with np.errstate({kind}='raise', under='ignore'):", "    try:",
                 f"        {self.one(['', 'b = '])}{what}", "        s = s * 0.5",
                 "    except FloatingPointError:", "        s = s + 0.25",
                 "b = np.tanh(np.nan_to_num(b))")

    def inner(self, depth):
        self.say(depth, "def g(v, r=c):",
                 f"    return v * {self.one(['r', 's', 'k', 'w'])} + a * 0.5",
                 f"{self.one('ab')} = g({self.one('ab')}) + g(w, 0.5)")

    def collected(self, depth):
        self.say(depth, f"parts = [v * {self.one(['c', 's', '0.5'])} for v in a]",
                 f"if {self.filled(self.one(self.conditions))}:", "    parts.append(t)",
                 "s = sum(parts) / len(parts)", f"a = {self.one(['np.stack(parts[:3])', 'a * s'])}")

    def early(self, depth):
        condition = self.filled(self.one(self.conditions))
        self.say(depth, f"if {condition} and {self.one(['c < 0.3', 'n > 2'])}:",
                 "    return np.sum(a * b) + s")

    def write(self, depth):
        one = self.filled(self.one(NUMBERS))
        self.say(depth, "h = np.copy(a)", *self.one([
            [f"h[1] = {one}"], ["h[h > b] = c"], ["h += b", "h *= 0.5"], ["h[1:] *= b[:2]"],
            ["v = h[:2]", "v -= s"], ["h[[0, 2]] = b[:2]"], ["h[n % 3] += s", "h.sort()"],
            ["h[::-1] = h * b"], ["g = h", "g[0] = c", "s = s + h[0]"], ["h[np.argmax(b)] = t"],
            ["h.fill(c)"], ["np.add.at(h, [0, 0], s)"], ["h[h < 0] = 0.0", "h -= h.mean()"]]),
            f"{self.one('ab')} = h")

    def mask(self, depth):
        self.say(depth, f"m = a > {self.one(['0', 's', 'c'])}",
                 f"m {self.one(['|=', '&=', '^='])} b > 0",
                 f"{self.one('ab')} = np.where(m, a, {self.one(['b', 'c', '0.0'])})",
                 self.one(["s = s + np.sum(b[np.where(m)])", "s = s + np.sum(m)",
                           "t = t + np.sum(b[m])"]))

    def buffer(self, depth):
        self.say(depth, "e = np.zeros(3)", "for i in range(3):", "    e[i] = i + 1",
                 "    s = s + np.sum(a * e) * 0.1",
                 f"    {self.one(['e[i] = 0', 'e *= 0.5', 'e[:i] = -1'])}")

    def out(self, depth):
        self.say(depth, "h = np.zeros(3, like=a)", f"np.multiply(a, {self.one('bc')}, out=h)",
                 "np.tanh(h, out=h)", "a = h + a")

    def leaves(self, depth):
        self.say(depth, self.filled(self.one([
            "a = a * float({s})", "s = s + float(format({t}, '.2f'))", "a = a * math.sin(c)",
            "b = np.round(b, 1)", "s = s + round({t}, 1)", "t = t + complex({s}).real",
            "a = a[: int(abs({s})) % 3 + 1] * np.ones((3, 1))[0]",
            "a = np.array([float(v) for v in a]) * 0.5", "s = s + sum({a}.tolist())",
            "s = s + {{0.5: 1.0}}.get(c, 2.0)",
            "b = np.bincount(np.argsort({a}), minlength=3)[:3] * b"])))

    def counts(self, depth):
        self.say(depth, self.one(["count += 1", "count += 1", "count += 1; s = s + count",
                                  "table.append(w * 0.5)"]))


def program(seed, differentiated):
    """The source of a program."""
    rng = np.random.default_rng(seed)
    draft = Draft(rng, differentiated)
    draft.block(0, rng.integers(3, 8))
    if differentiated:
        result = "np.sum(a * np.sin(b)) + np.tanh(s) * 0.5 + np.tanh(t) + c * np.sum(a)"
    else:
        result = draft.one(["np.sum(a) + s", "(a, b, s)", "{'a': a, 'c': c, 'n': n}", "c",
                            "[s, t, n, 'text']", "np.sum(b) * c",
                            "a * np.float32(0.5), c * n, a > b"])
    draft.say(0, f"return {result}")
    changes = [draft.one(CHANGES) for _ in range(3)]
    tail = ["", "    def change(step):", "        nonlocal w, k, settings",
            *(f"        if step % 3 == {i}: {c}" for i, c in enumerate(changes)), "",
            "    return f, change", ""]
    return STATE + "\n".join(draft.lines + tail)


def made(source, scope):
    """(f, change) with a state of their own."""
    names = dict(scope)
    exec(compile(source, "<random program>", "exec"), names)
    return names["make"]()
