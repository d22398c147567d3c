"""From the text of an energy to Python functions for it and its gradient, by way of SymPy.

SymPy's own parser evaluates Python code, so the text is read by Python's ``ast`` and rebuilt from what is allowed:
numbers, names, arithmetic, comparisons inside ``where``, and known functions.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from . import math as lf_math

LARGEST_EXPONENT = 64
_LONGEST_TEXT = 20_000
_MOST_NODES = 4_000
_LARGEST_INTEGER = 2**53
_CONSTANTS = {"pi": "pi", "e": "E"}

# name in the text -> (name in SymPy, fewest and most arguments)
_FUNCTIONS = {
    **{
        name: (name, 1, 1)
        for name in (
            *("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan"),
            *("asinh", "acosh", "atanh", "sign", "floor", "ceiling", "erf", "erfc", "gamma", "loggamma"),
        )
    },
    "abs": ("Abs", 1, 1),
    "ceil": ("ceiling", 1, 1),
    "lgamma": ("loggamma", 1, 1),
    "atan2": ("atan2", 2, 2),
    "min": ("Min", 2, 99),
    "max": ("Max", 2, 99),
    "where": ("where", 3, 3),
}
_ALLOWED = "allowed are numbers, + - * / **, parentheses and the functions " + ", ".join(sorted(_FUNCTIONS))

# SymPy's name -> the function to call. Those of langevin_fast.math are compiled for vectors of particles.
_CALLS = {
    **{name: name for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "Abs": "fabs",
    "Max": "maximum",
    "Min": "minimum",
    **{name: f"math.{name}" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc", "gamma")},
    "loggamma": "math.lgamma",
    "atan2": "math.atan2",
    "floor": "math.floor",
    "ceiling": "math.ceil",
}


class Generated(NamedTuple):
    """Python functions for an energy, and their text."""

    gradient: Callable[..., None]
    energy: Callable[..., Any]
    energy_gradient: Callable[..., Any]
    source: str


def import_sympy() -> Any:
    """SymPy, or an error that says how to get it."""
    try:
        import sympy
    except ImportError:
        raise ImportError(
            "Expression needs SymPy, which is not installed: pip install 'langevin-fast[expression]'"
        ) from None
    return sympy


# --- reading ----------------------------------------------------------------------------------------------------------


def parse(text: str, names: Sequence[str]) -> Any:
    """The SymPy expression of a text in which `names` are real symbols.

    Raises
    ------
    ValueError
        The text is not an expression, or holds what is not allowed.
    """
    sympy = import_sympy()
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"expression has {len(text)} characters; at most {_LONGEST_TEXT} are allowed")
    if "^" in text:
        raise ValueError(f"expression={_cut(text)}: write powers as ** (^ means something else in Python)")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise ValueError(f"expression={_cut(text)} is not an expression: {reason}") from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
        raise ValueError(f"expression={_cut(text)} is too long: more than {_MOST_NODES} operations")
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    try:
        return _Reader(sympy, text, symbols).read(tree.body)
    except RecursionError:
        raise ValueError(f"expression={_cut(text)} is nested too deeply") from None


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class _Reader:
    """Builds SymPy objects from the nodes of the allowed kinds."""

    def __init__(self, sympy: Any, text: str, symbols: dict[str, Any]) -> None:
        self.sympy = sympy
        self.text = text
        self.symbols = symbols

    def fail(self, node: ast.AST, reason: str) -> ValueError:
        part = ast.get_source_segment(self.text.strip(), node) or ""
        return ValueError(f"expression={_cut(self.text)}: {_cut(part)} {reason}")

    def read(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Constant):
            return self.number(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            operand = self.read(node.operand)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise self.fail(node, f"is not allowed; {_ALLOWED}")

    def number(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(node, f"is not a real number; {_ALLOWED}")
        if isinstance(value, int):
            if abs(value) > _LARGEST_INTEGER:
                raise self.fail(node, f"is beyond 2**53: write it as a decimal number such as {float(2**60):g}")
            return self.sympy.Integer(value)
        if not math.isfinite(value):
            raise self.fail(node, "is beyond the range of double precision")
        return self.sympy.Float(value)

    def name(self, node: ast.Name) -> Any:
        if node.id in self.symbols:
            return self.symbols[node.id]
        if node.id in _CONSTANTS:
            return getattr(self.sympy, _CONSTANTS[node.id])
        known = ", ".join(self.symbols)
        raise self.fail(node, f"is neither a variable nor a parameter (these are {known}) nor pi or e")

    def sum(self, node: ast.AST) -> Any:
        terms = []
        # a long sum is a deep tree to the left
        while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            term = self.read(node.right)
            terms.append(term if isinstance(node.op, ast.Add) else -term)
            node = node.left
        return self.sympy.Add(self.read(node), *reversed(terms))

    def binary(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return self.sum(node)
        a, b = self.read(node.left), self.read(node.right)
        if isinstance(node.op, ast.Mult):
            return a * b
        if isinstance(node.op, ast.Div):
            if b.is_zero:
                raise self.fail(node, "divides by zero")
            return a / b
        if isinstance(node.op, ast.Pow):
            return self.power(node, a, b)
        raise self.fail(node, f"uses an operator that is not allowed; {_ALLOWED}")

    def power(self, node: ast.BinOp, base: Any, exponent: Any) -> Any:
        if exponent.is_number:
            if not exponent.is_real:
                raise self.fail(node, "has an exponent that is not real")
            if abs(float(exponent)) > LARGEST_EXPONENT:
                raise self.fail(node, f"has the exponent {float(exponent):g}, beyond {LARGEST_EXPONENT}")
            if base.is_number:
                size = abs(float(base))
                if size == 0.0 and float(exponent) < 0.0:
                    raise self.fail(node, "divides by zero")
                if size and abs(math.log(size) * float(exponent)) > 700.0:
                    raise self.fail(node, "is beyond the range of double precision")
        result = base**exponent
        if isinstance(result, self.sympy.Pow) and result.exp.is_number and abs(result.exp) > LARGEST_EXPONENT:
            raise self.fail(node, f"amounts to the exponent {result.exp}, beyond {LARGEST_EXPONENT}")
        return result

    def call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
            raise self.fail(node, f"calls an unknown function; {_ALLOWED}")
        sympy_name, fewest, most = _FUNCTIONS[node.func.id]
        if node.keywords or not fewest <= len(node.args) <= most:
            raise self.fail(node, f"has the wrong arguments: {node.func.id} takes {fewest}")
        if sympy_name == "where":
            condition = self.condition(node.args[0])
            yes, no = self.read(node.args[1]), self.read(node.args[2])
            return self.sympy.Piecewise((yes, condition), (no, True))
        return getattr(self.sympy, sympy_name)(*(self.read(argument) for argument in node.args))

    def condition(self, node: ast.AST) -> Any:
        kinds = {ast.Lt: "Lt", ast.LtE: "Le", ast.Gt: "Gt", ast.GtE: "Ge"}
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in kinds):
            raise self.fail(node, "is not a comparison such as x > 0")
        compare = getattr(self.sympy, kinds[type(node.ops[0])])
        return compare(self.read(node.left), self.read(node.comparators[0]))


def check_name(kind: str, name: str) -> None:
    """See that a variable or parameter may be called so."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name[0] == "_":
        raise ValueError(f"{kind} {name!r} is not a name: letters, digits and _ are allowed, a letter first")
    if name in _FUNCTIONS:
        raise ValueError(f"{kind} {name!r} has the name of a function")


# --- writing ----------------------------------------------------------------------------------------------------------


class _Writer:
    """Turns SymPy expressions into statements on floats; equal powers are computed once."""

    def __init__(self, sympy: Any, names: dict[Any, str]) -> None:
        self.sympy = sympy
        self.names = dict(names)
        self.lines: list[str] = []
        self._powers: dict[tuple[str, int], str] = {}

    def define(self, symbol: Any, expression: Any) -> None:
        """Statement: a common subexpression."""
        name = f"t{len(self.names)}"
        self.lines.append(f"{name} = {self.write(expression)}")
        self.names[symbol] = name

    def write(self, e: Any) -> str:
        """An expression, in parentheses unless it is a name, a number or a call."""
        sympy = self.sympy
        if e in self.names:
            return self.names[e]
        if e.is_Symbol:
            raise ValueError(f"expression: {e} is neither a variable nor a parameter")
        if e.is_number and not e.atoms(sympy.Function) - e.atoms(sympy.exp, sympy.log):
            return self.literal(e)
        if e.is_Add:
            return self.add(e)
        if e.is_Mul:
            return self.multiply(e)
        if isinstance(e, sympy.exp):
            return f"exp({self.bare(e.args[0])})"
        if e.is_Pow:
            return self.power(e.base, e.exp)
        if isinstance(e, sympy.Piecewise):
            return self.piecewise(e)
        if isinstance(e, sympy.sign):
            x = self.bare(e.args[0])
            return f"where({x} > 0.0, 1.0, where({x} < 0.0, -1.0, 0.0))"
        if isinstance(e, sympy.Heaviside):
            x = self.bare(e.args[0])
            return f"where({x} > 0.0, 1.0, where({x} < 0.0, 0.0, 0.5))"
        if e.is_Boolean or e.is_Relational:
            return f"({self.condition(e)})"
        name = type(e).__name__
        if name in ("Max", "Min"):
            first, *rest = map(self.bare, e.args)
            for argument in rest:
                first = f"{_CALLS[name]}({first}, {argument})"
            return first
        if name in _CALLS:
            return f"{_CALLS[name]}({', '.join(map(self.bare, e.args))})"
        raise ValueError(f"expression: there is no compiled form of {name}, in {e}")

    def bare(self, e: Any) -> str:
        text = self.write(e)
        return text[1:-1] if text.startswith("(") and _closes_at_end(text) else text

    def literal(self, e: Any) -> str:
        value = complex(e)
        if value.imag or not math.isfinite(value.real):
            raise ValueError(f"expression: {e} is not a finite real number")
        text = repr(value.real)
        return f"({text})" if text.startswith("-") else text

    def add(self, e: Any) -> str:
        text = ""
        for term in e.as_ordered_terms():
            negative = term.could_extract_minus_sign()
            part = self.write(-term if negative else term)
            if not text:
                text = f"-{part}" if negative else part
            else:
                text += f" - {part}" if negative else f" + {part}"
        return f"({text})"

    def multiply(self, e: Any) -> str:
        coefficient, factors = e.as_coeff_mul()
        if coefficient.is_negative:
            return f"(-{self.write(-e)})"
        above = [] if coefficient == 1 else [self.literal(coefficient)]
        below = []
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if exponent.is_number and exponent.is_negative and not isinstance(factor, self.sympy.exp):
                below.append(self.power(base, -exponent))
            else:
                above.append(self.write(factor))
        numerator = " * ".join(above) or "1.0"
        if not below:
            return f"({numerator})" if len(above) > 1 else numerator
        denominator = " * ".join(below)
        return f"({numerator} / {denominator})" if len(below) == 1 else f"({numerator} / ({denominator}))"

    def power(self, base: Any, exponent: Any) -> str:
        if base.is_number and base.is_positive:  # a number to the power of something
            return f"exp({self.literal(self.sympy.log(base))} * {self.write(exponent)})"
        if exponent.is_Integer:
            n = int(exponent)
            if abs(n) > LARGEST_EXPONENT + 1:  # a derivative has one more
                raise ValueError(f"expression: the exponent {n} of {base} is beyond {LARGEST_EXPONENT}")
            text = self.integer_power(self.name_of(base), abs(n))
            return text if n > 0 else f"(1.0 / {text})"
        if exponent.is_Rational and exponent.q == 2:
            n = int(exponent.p)
            root = f"sqrt({self.bare(base)})"
            whole = (abs(n) - 1) // 2
            text = root if not whole else f"({self.integer_power(self.name_of(base), whole)} * {root})"
            return text if n > 0 else f"(1.0 / {text})"
        return f"power({self.bare(base)}, {self.bare(exponent)})"

    def name_of(self, e: Any) -> str:
        """A name for an expression, so that it can be written twice."""
        text = self.write(e)
        if text.isidentifier():
            return text
        name = f"b{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def integer_power(self, name: str, n: int) -> str:
        if n == 1:
            return name
        if (name, n) not in self._powers:
            half = n // 2
            product = f"{self.integer_power(name, half)} * {self.integer_power(name, n - half)}"
            power = f"{name}_{n}"
            self.lines.append(f"{power} = {product}")
            self._powers[name, n] = power
        return self._powers[name, n]

    def piecewise(self, e: Any) -> str:
        *pieces, (last, otherwise) = e.args
        if otherwise != True:  # noqa: E712  SymPy's true
            raise ValueError(f"expression: {e} is not defined everywhere")
        text = self.bare(last)
        for value, condition in reversed(pieces):
            text = f"where({self.condition(condition)}, {self.bare(value)}, {text})"
        return text

    def condition(self, c: Any) -> str:
        sympy = self.sympy
        if c in self.names:
            return self.names[c]
        if isinstance(c, (sympy.And, sympy.Or)):
            return (" & " if isinstance(c, sympy.And) else " | ").join(f"({self.condition(part)})" for part in c.args)
        if isinstance(c, sympy.core.relational.Relational):
            return f"{self.bare(c.lhs)} {c.rel_op} {self.bare(c.rhs)}"
        raise ValueError(f"expression: there is no compiled form of the condition {c}")


def _closes_at_end(text: str) -> bool:
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


@lru_cache(maxsize=256)
def generate(expression: Any, variables: tuple[str, ...], parameters: tuple[str, ...]) -> Generated:
    """Functions of (x, g, p) for an energy; the same object for the same arguments."""
    sympy = import_sympy()
    real = {name: sympy.Symbol(name, real=True) for name in (*variables, *parameters)}
    names = {real[name]: f"x{i}" for i, name in enumerate(variables)}
    names |= {real[name]: f"p{i}" for i, name in enumerate(parameters)}
    gradient = [sympy.diff(expression, real[name]) for name in variables]
    for component in gradient:
        unresolved = component.atoms(sympy.Derivative, sympy.Subs, sympy.DiracDelta)
        if unresolved:
            raise ValueError(
                f"expression: its gradient has {unresolved.pop()}, of which there is no compiled form: "
                "does the energy jump?"
            )
    load = [f"x{i} = x[{i}]" for i in range(len(variables))] + [f"p{i} = p[{i}]" for i in range(len(parameters))]

    def function(name: str, arguments: str, results: list[Any], assign: list[str]) -> str:
        writer = _Writer(sympy, names)
        common, reduced = sympy.cse(results, symbols=sympy.numbered_symbols("_t", real=True), list=True)
        for symbol, subexpression in common:
            writer.define(symbol, subexpression)
        for to, result in zip(assign, reduced, strict=True):
            text = writer.bare(result)
            writer.lines.append(f"{to}{text}")
        used = " ".join(writer.lines)
        body = [line for line in load if line.split(" ")[0] in identifiers(used)] + writer.lines
        return f"def {name}({arguments}):\n" + "".join(f"    {line}\n" for line in body)

    stores = [f"g[{i}] = " for i in range(len(variables))]
    source = "\n\n".join(
        (
            function("gradient", "x, g, p", gradient, stores),
            function("energy", "x, p", [expression], ["return "]),
            # the energy last: it is what is returned
            function("energy_gradient", "x, g, p", [*gradient, expression], [*stores, "return "]),
        )
    )
    namespace: dict[str, Any] = {name: getattr(lf_math, name) for name in lf_math.__all__} | {"math": math}
    exec(compile(source, "<expression>", "exec"), namespace)
    return Generated(namespace["gradient"], namespace["energy"], namespace["energy_gradient"], source)


def identifiers(code: str) -> set[str]:
    """The names in a text."""
    return set(re.findall(r"[A-Za-z_]\w*", code))
