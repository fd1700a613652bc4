"""The words and signs of an expression; paper's signs are put in Python's, or refused with a
hint."""

from __future__ import annotations

import keyword
import re
import unicodedata

_TOKEN = re.compile(r"""\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
                            |(?P<name>[^\W\d]\w*)|(?P<string>"[^"]*")
                            |(?P<sign>\*\*|[<>=!]=|\S))""", re.VERBOSE)
_SIGNS = {"+", "-", "*", "/", "@", "**", "<", ">", "<=", ">=", "==", "!=", "(", ")", "[", "]", ",",
          ".", ":", "="}
_INSTEAD = {"^": "** for a power", "²": "**2", "³": "**3", "·": "@ (matrix product) or *", "×": "*",
            "⊙": "*", "∘": "*", "−": "-", "⊗": "kron(A, B)", "′": "' or .T", "ᵀ": "' or .T",
            "⊤": "' or .T", "|": "abs(x), det(A) or norm(x)", "∑": "sum(x)", "√": "sqrt(x)"}
_AFTER_CARET = {r"\s*[{(]?\s*(T|top)\b": "X' or X.T for a transpose, x' or x.T of a vector",
                r"\s*[{(]?\s*-\s*1\b": "inv(X) for an inverse, 1 / x entry by entry",
                r"\s*[{(]?\s*-\s*T\b": "inv(X)' for the transpose of an inverse"}
_CLOSING = {"(": ")", "[": "]"}


class ExpressionError(ValueError):
    """A wrong expression: what is wrong, and a caret under the character where it is."""

    def __init__(self, text, column, message, advice=""):
        shown = [message, "    " + text, "    " + " " * column + "^"]
        super().__init__("\n".join([*shown, advice] if advice else shown))
        self.text, self.column, self.message = text, column, message


def as_python(text):
    """The text with .T for each prime, and the column in the text of each of its characters."""
    program, columns, opened = "", [], []
    position, kind, token, transposed = 0, "sign", "", False

    def fail(message, column):
        raise ExpressionError(text, column, message)

    while position < len(text):
        # What stands before this is an operand.
        complete = kind != "sign" or token in (")", "]", "'")
        callable_ = kind == "name" and not transposed
        match = _TOKEN.match(text, position)
        before, kind, token, start = (token, match.lastgroup, match.group(match.lastgroup),
                                      match.start(match.lastgroup))
        if token == "'" and not complete:
            if text.find("'", start + 1) < 0:
                fail("a prime stands behind what it transposes", start)
            kind, token = "string", text[start:text.find("'", start + 1) + 1]
        if kind == "string" and "\\" in token:
            fail(_meaningless("\\"), start + token.index("\\"))
        if kind == "name":
            _check_name(token, start, fail)
        elif kind == "sign" and token != "'":
            _check_sign(token, start, opened, fail, text[start + 1:])
            if not complete and token not in ("+", "-", ":", ",", *"()[]"):
                fail(f"an operand is missing before this {token}", start)
        if complete and (kind != "sign" or token == "(" and not callable_):
            fail("an operator is missing here: @ for a matrix product, * entry by entry", start)
        transposed = before == "." and token == "T"
        position = start + len(token)
        program += (".T" if token == "'" else token) + " "
        columns += [start, start, position] if token == "'" else range(start, position + 1)
    if opened:
        fail(f"this {opened[-1][0]} is never closed", opened[-1][1])
    if kind == "sign" and token not in (")", "]", "'"):
        fail("an operand is missing at the end", len(text))
    return program, [*columns, len(text)]


def _check_name(name, start, fail):
    for k, c in enumerate(name):
        if not f"x{c}".isidentifier() or unicodedata.normalize("NFKC", c) != c:
            fail(_meaningless(c), start + k)
    if name.startswith("_"):
        fail("a name starts with a letter", start)
    if keyword.iskeyword(name) and name not in ("None", "True", "False"):
        fail(f"{name} is a word of Python's that has no place here"
             + ("; call the array lam or lambda_" if name == "lambda" else ""), start)


def _check_sign(sign, start, opened, fail, follows):
    if sign not in _SIGNS:
        fail(_meaningless(sign, follows), start)
    if sign in _CLOSING:
        opened.append((sign, start))
    elif sign in _CLOSING.values() and not (opened and _CLOSING[opened.pop()[0]] == sign):
        fail(f"nothing is open that this {sign} closes", start)
    elif sign == "=" and not opened:
        fail("an assignment: write the right-hand side alone", start)


def _meaningless(character, follows=""):
    instead = next((advice for begin, advice in _AFTER_CARET.items()
                    if character == "^" and re.match(begin, follows)),
                   _INSTEAD.get(character))
    return f"{character} has no meaning here" + (f"; write {instead}" if instead else "")
