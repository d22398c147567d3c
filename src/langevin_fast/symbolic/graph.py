"""The graph of a formula: every different subexpression once, constants computed.

A node is made by the methods of :class:`Graph`, which return the same node for the same operation on the same
arguments. Arguments are made before what uses them, so the order of making (`index`) is an order of evaluation.
Parts without variables are *invariant*: numbers are computed at once, parts with parameters once per potential.
A product keeps its invariant factor in front, so that constants meet and are multiplied here and not in a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import math as lf_math

LARGEST_EXPONENT = 64

# Functions of numbers. Those of langevin_fast.math have the same bits everywhere, hence not Python's exp and log.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(lf_math, name)
        for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "fabs", "maximum", "minimum")
    },
    **{
        name: getattr(math, name)
        for name in (
            *("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2", "erf", "erfc", "floor", "ceil"),
            *("gamma", "lgamma"),
        )
    },
    "sign": lambda x: (x > 0.0) - (x < 0.0),
}
# Functions that are not real everywhere. Log, gamma and lgamma only for arguments that may be negative.
_OF_POSITIVE = {"log", "gamma", "lgamma"}
_RESTRICTED = {"asin", "acos", "acosh", "atanh"}


class NotFinite(ValueError):  # noqa: N818  always turned into an error that names the part
    """A number that is not finite or not real came out."""


class BeyondExponent(ValueError):  # noqa: N818
    """Powers of powers amount to too large an exponent."""


class Node:
    """A subexpression.

    Attributes
    ----------
    index : int
        Its place in the order of making.
    op : str
        number, variable, parameter, nan; sum, product, power (to a number), raised (to anything), where or a function;
        of conditions: less, less_equal, both, either, defined.
    args : tuple of Node
        What it is computed from.
    value : float or int or str or None
        The number; which variable; the name of the parameter; the exponent of a power.
    invariant : bool
        No variable occurs in it.
    restricted : bool
        It, or a part of it, is not real everywhere, as far as is seen.
    ends : bool
        So it is by itself.
    hides : bool
        It may be a number where a part of it is NaN.
    linear : bool
        It is a sum of variables with invariant coefficients.
    sign : int
        2: it is positive, 1: it is not negative (where it is real), 0: unknown.
    """

    invariant: bool
    restricted: bool
    ends: bool
    hides: bool
    linear: bool
    __slots__ = ("args", "ends", "hides", "index", "invariant", "linear", "op", "restricted", "sign", "value")

    def __init__(self, index: int, op: str, args: tuple[Node, ...], value: Any) -> None:
        self.index, self.op, self.args, self.value = index, op, args, value
        self.invariant = op not in ("variable", "nan") and all(a.invariant for a in args)
        self.ends = _ends(op, args, value)
        self.restricted = self.ends or any(a.restricted for a in args)
        self.hides = op in ("maximum", "minimum", "where", "sign") or any(a.hides for a in args)
        self.linear = op == "variable" or (
            (op == "sum" and all(a.linear or a.invariant for a in args))
            or (op == "product" and args[0].invariant and args[1].linear)
        )
        self.sign = _sign(op, args, value)

    @property
    def polynomial(self) -> bool:
        """Whether its own derivative is finite everywhere."""
        return self.op in ("variable", "sum", "product", "maximum", "minimum") or (
            self.op == "power" and self.value > 0 and self.value.is_integer()
        )


def _ends(op: str, args: tuple[Node, ...], value: Any) -> bool:
    if op in _OF_POSITIVE or op == "raised" or (op == "power" and not value.is_integer()):
        return args[0].sign == 0
    return op in _RESTRICTED


def _sign(op: str, args: tuple[Node, ...], value: Any) -> int:
    signs = [a.sign for a in args]
    if op == "number":
        return 2 if value > 0.0 else int(value == 0.0)
    if op in ("exp", "cosh", "erfc"):
        return 2
    if op == "sum":
        return max(signs) if min(signs) else 0
    if op in ("product", "minimum"):
        return min(signs)
    if op == "where":
        return min(signs[1:])
    if op == "maximum":
        return max(signs)
    if op in ("power", "raised"):
        even = op == "power" and value % 2.0 == 0.0
        return 2 if signs[0] == 2 else int(signs[0] == 1 or even or op == "raised" or not value.is_integer())
    return int(op == "fabs")


def integer_power(x: float, n: int) -> float:
    """x**n by squarings, whose bits do not depend on a library."""
    result, square = 1.0, x
    for bit in bin(abs(n))[:1:-1]:
        result, square = (result * square if bit == "1" else result), square * square
    return result if n >= 0 else 1.0 / result


def value_of(op: str, value: Any, arguments: Sequence[Any]) -> Any:
    """What an operation gives for numbers (a truth value for conditions); NaN where it is not real."""
    try:
        if op != "defined" and any(a != a for a in (arguments[:1] if op == "where" else arguments)):
            return math.nan
        if op == "sum":
            return math.fsum(arguments)
        if op == "product":
            return arguments[0] * arguments[1]
        if op == "power":
            base = arguments[0]
            if value.is_integer():
                return integer_power(base, int(value))
            whole, root = divmod(value, 1.0)
            if root == 0.5 and base >= 0.0:
                return integer_power(base, int(whole)) * math.sqrt(base)
            return float(lf_math.power(base, value))
        if op == "raised":
            return float(lf_math.power(*arguments))
        if op == "where":
            return arguments[1] if arguments[0] else arguments[2]
        if op in ("less", "less_equal"):
            return arguments[0] < arguments[1] if op == "less" else arguments[0] <= arguments[1]
        if op == "defined":
            return arguments[0] == arguments[0]
        if op in _OF_POSITIVE and arguments[0] < 0.0:
            return math.nan
        if op in ("both", "either"):
            return all(arguments) if op == "both" else any(arguments)
        return float(FUNCTIONS[op](*arguments))
    except (ArithmeticError, ValueError):
        return math.nan


class Graph:
    """Makes nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Node] = {}
        self.zero, self.one = self.number(0.0), self.number(1.0)
        self.nan = self._make("nan", ())

    def _make(self, op: str, args: tuple[Node, ...], value: Any = None) -> Node:
        key = (op, value, *(a.index for a in args))
        if key not in self._known:
            if args and all(a.op == "number" for a in args):
                return self.number(value_of(op, value, [a.value for a in args]))
            self._known[key] = Node(len(self.nodes), op, args, value)
            self.nodes.append(self._known[key])
        return self._known[key]

    def number(self, value: float) -> Node:
        """A constant.

        Raises
        ------
        NotFinite
            It is NaN or infinite.
        """
        if not math.isfinite(value):
            raise NotFinite
        return self._make("number", (), float(value) + 0.0)

    def variable(self, i: int) -> Node:
        """Component i of x."""
        return self._make("variable", (), i)

    def parameter(self, name: str) -> Node:
        """A parameter."""
        return self._make("parameter", (), name)

    def call(self, name: str, *args: Node) -> Node:
        """A function of FUNCTIONS."""
        return self._make(name, args)

    # --- sums and products --------------------------------------------------------------------------------------------

    def split(self, a: Node) -> tuple[Node, Node]:
        """Coefficient and rest: the invariant factor of what has variables, the number of what is invariant."""
        if a.op == "number" or (a.op == "product" and a.args[0].op == "number"):
            return (a, self.one) if a.op == "number" else (a.args[0], a.args[1])
        if a.op == "product" and a.args[0].invariant and not a.args[1].invariant:
            return a.args[0], a.args[1]
        return self.one, a

    def sum(self, terms: Iterable[Node]) -> Node:
        """The sum; like terms are gathered."""
        constants: list[float] = []
        invariants: dict[Node, list[Node]] = {}
        others: dict[Node, list[Node]] = {}
        for term in terms:
            if term.op == "number":
                constants.append(term.value)
                continue
            coefficient, rest = self.split(term)
            (invariants if term.invariant else others).setdefault(rest, []).append(coefficient)
        fixed = self._gather(invariants)
        if (constant := self.number(value_of("sum", None, constants))) is not self.zero:
            fixed.append(constant)
        parts = self._gather(others)
        if fixed:
            parts.append(fixed[0] if len(fixed) == 1 else self._make("sum", tuple(fixed)))
        if not parts:
            return self.zero
        return parts[0] if len(parts) == 1 else self._make("sum", tuple(parts))

    def _gather(self, terms: dict[Node, list[Node]]) -> list[Node]:
        gathered = []
        for rest in sorted(terms, key=lambda node: node.index):
            coefficients = terms[rest]
            coefficient = coefficients[0] if len(coefficients) == 1 else self.sum(coefficients)
            if (term := self.product(coefficient, rest)) is not self.zero:
                gathered.append(term)
        return gathered

    def negative(self, a: Node) -> Node:
        """-a."""
        return self.product(self.number(-1.0), a)

    def product(self, a: Node, b: Node) -> Node:
        """The product; invariant factors are multiplied with each other."""
        if a.op == b.op == "number":
            return self.number(a.value * b.value)
        if b.invariant and not a.invariant:
            a, b = b, a
        if a.invariant and not b.invariant:
            c, rest = self.split(b)
            return self._scaled(self.product(a, c), rest)
        (c, a), (d, b) = self.split(a), self.split(b)
        return self._scaled(self.product(c, d), self._times(a, b))

    def _scaled(self, c: Node, rest: Node) -> Node:
        if c is self.zero and not rest.restricted:
            return self.zero
        if c is self.one or rest is self.one:
            return rest if c is self.one else c
        # of an invariant rest the number alone stands in front
        return self._make("product", (c, rest))

    def _times(self, a: Node, b: Node) -> Node:
        """The product of two without coefficients."""
        if a is self.one or b is self.one:
            return b if a is self.one else a
        (base, n), (other, m) = _base_and_exponent(a), _base_and_exponent(b)
        whole = base is other and n.is_integer() and m.is_integer()
        if whole and abs(n + m) <= LARGEST_EXPONENT and (n + m or not base.restricted):
            return self.power(base, n + m)
        return self.times(a, b)

    def times(self, a: Node, b: Node) -> Node:
        """The product of two as they are: a factor that many products have stays whole."""
        return self._make("product", tuple(sorted((a, b), key=lambda n: (self.split(n)[0] is self.one, n.index))))

    def divide(self, a: Node, b: Node) -> Node:
        """a/b."""
        if b.op == "number":
            return self.number(a.value / b.value) if a.op == "number" else self.product(self.number(1 / b.value), a)
        return self.product(a, self.power(b, -1.0))

    # --- powers -------------------------------------------------------------------------------------------------------

    def power(self, base: Node, exponent: float) -> Node:
        """A power with a constant exponent.

        Raises
        ------
        BeyondExponent
            It is a power of a power, with a product of exponents beyond LARGEST_EXPONENT.
        """
        if exponent == 0.0 or exponent == 1.0:
            return self.one if exponent == 0.0 else base
        if base.op == "number":
            return self._make("power", (base,), exponent)
        whole = exponent.is_integer()
        coefficient, rest = self.split(base)
        if whole and coefficient is not self.one and not _is_extreme(coefficient):
            return self.product(self.power(coefficient, exponent), self.power(rest, exponent))
        if base.op == "power":
            inner, n = base.args[0], base.value
            if whole and n.is_integer():
                if abs(n * exponent) > LARGEST_EXPONENT + 1:  # a derivative has one more
                    raise BeyondExponent(f"{n * exponent:g}")
                return self.power(inner, n * exponent)
            if n % 2.0 == 0.0 and exponent % 1.0 == 0.5:  # sqrt(x**2) is abs(x)
                return self.power(self.call("fabs", inner), n * exponent)
        return self._make("power", (base,), exponent)

    def raised(self, base: Node, exponent: Node) -> Node:
        """A power with any exponent."""
        if exponent.op == "number":
            return self.power(base, exponent.value)
        if base.invariant and not exponent.invariant:
            logarithm = self.one if base.value == math.e else self.call("log", base)
            return self.call("exp", self.product(logarithm, exponent))
        return self._make("raised", (base, exponent))

    # --- conditions: nodes, or truth values where nothing is open -----------------------------------------------------

    def less(self, a: Node, b: Node, *, strict: bool = True) -> Node | bool:
        """A < b, or a <= b."""
        op = "less" if strict else "less_equal"
        if a.op == b.op == "number":
            return bool(value_of(op, None, (a.value, b.value)))
        return self._make(op, (a, b))

    def both(self, a: Node | bool, b: Node | bool) -> Node | bool:
        """A and b."""
        if isinstance(a, bool) or isinstance(b, bool):
            return (b if a else False) if isinstance(a, bool) else (a if b else False)
        return a if a is b else self._make("both", (a, b))

    def either(self, a: Node | bool, b: Node | bool) -> Node | bool:
        """A or b."""
        if isinstance(a, bool) or isinstance(b, bool):
            return (True if a else b) if isinstance(a, bool) else (True if b else a)
        return a if a is b else self._make("either", (a, b))

    def invert(self, a: Node | bool) -> Node | bool:
        """Not a, for numbers that are not NaN."""
        if isinstance(a, bool):
            return not a
        first, second = a.args
        if a.op in ("less", "less_equal"):
            return self.less(second, first, strict=a.op == "less_equal")
        join = self.either if a.op == "both" else self.both
        return join(self.invert(first), self.invert(second))

    def where(self, condition: Node | bool, a: Node, b: Node) -> Node:
        """A if the condition holds, else b."""
        if isinstance(condition, bool):
            return a if condition else b
        return a if a is b else self._make("where", (condition, a, b))

    def nan_where_undefined(self, a: Node) -> Node:
        """0 where a is a number, else NaN."""
        return self._make("where", (self._make("defined", (a,)), self.zero, self.nan))


def _base_and_exponent(a: Node) -> tuple[Node, float]:
    return (a.args[0], a.value) if a.op == "power" else (a, 1.0)


def _is_extreme(coefficient: Node) -> bool:
    """Whether a power of it may overflow."""
    return coefficient.op == "number" and not 1e-3 <= abs(coefficient.value) <= 1e3


def reachable(results: Iterable[Node]) -> list[Node]:
    """All nodes that the results need, in order of evaluation."""
    found, waiting = {}, list(results)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(node.args)
    return [found[i] for i in sorted(found)]


def evaluate(results: Sequence[Node], parameters: dict[str, float]) -> list[float]:
    """The values of invariant nodes; NaN where they are not real."""
    values: dict[Node, Any] = {}
    for node in reachable(results):
        if node.op in ("number", "parameter"):
            values[node] = node.value if node.op == "number" else parameters[node.value]
        else:
            values[node] = value_of(node.op, node.value, [values[a] for a in node.args])
    return [float(values[node]) for node in results]
