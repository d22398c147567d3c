"""From a graph to Python functions: statements on floats in the order of evaluation, what is used twice by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .graph import Graph, Node, reachable

_LONGEST = 100  # characters of a subexpression that is written into another; terms of a sum in one statement
_TERMS = 40

# Functions of Python's math module raise outside of their domain (and are C's in compiled code): they never see that.
_LIBRARY = {
    **dict.fromkeys(("atan", "asinh", "erf", "erfc"), "math.{name}({0})"),
    "atan2": "math.atan2({0}, {1})",
    "asin": "math.asin(where(fabs({0}) <= 1.0, {0}, nan))",
    "acos": "math.acos(where(fabs({0}) <= 1.0, {0}, nan))",
    "acosh": "math.acosh(where({0} >= 1.0, {0}, nan))",
    "atanh": "math.atanh(where(fabs({0}) < 1.0, {0}, nan))",
    # beyond 171.6 (1e305) they overflow
    "gamma": "math.gamma(where(({0} > 0.0) & ({0} < 171.6), {0}, nan))",
    "lgamma": "math.lgamma(where(({0} > 0.0) & ({0} < 1e305), {0}, nan))",
    # integers in Python, and none for NaN and infinity; numbers beyond 2**52 are whole. copysign makes a float again.
    "floor": "where(fabs({0}) < 4e15, copysign(math.floor(where(fabs({0}) < 4e15, {0}, 0.0)), {0}), {0})",
    "ceil": "where(fabs({0}) < 4e15, copysign(math.ceil(where(fabs({0}) < 4e15, {0}, 0.0)), {0}), {0})",
    "sign": "where({0} > 0.0, 1.0, where({0} < 0.0, -1.0, 0.0))",
}
_TWICE = frozenset(name for name, text in _LIBRARY.items() if text.count("{0}") > 1)
_CONDITIONS = {"less": "<", "less_equal": "<=", "both": "&", "either": "|"}


class Written(NamedTuple):
    """A subexpression as a product, above/below, perhaps negative; of a sum, `bare` is its text without parentheses."""

    above: tuple[str, ...]
    below: tuple[str, ...] = ()
    negative: bool = False
    bare: str = ""

    @property
    def magnitude(self) -> str:
        """The text without sign."""
        above = " * ".join(self.above) or "1.0"
        if not self.below:
            return above
        return f"{above} / {self.below[0]}" if len(self.below) == 1 else f"{above} / ({' * '.join(self.below)})"

    @property
    def text(self) -> str:
        """The text, fit for an argument."""
        return self.bare or f"{'-' if self.negative else ''}{self.magnitude}"


class Slots:
    """Invariant nodes with parameters: computed once per potential, and read from p."""

    def __init__(self) -> None:
        self.nodes: dict[Node, str] = {}

    def name(self, node: Node) -> str:
        """What it is called."""
        return self.nodes.setdefault(node, f"p{len(self.nodes)}")


class _Function:
    """The text of one function."""

    def __init__(self, graph: Graph, slots: Slots, results: Sequence[Node]) -> None:
        self.graph, self.slots = graph, slots
        self.lines: list[str] = []
        self.load: dict[str, str] = {}
        self.written: dict[Node, Written] = {}
        self._powers: dict[tuple[str, int], str] = {}
        needed = [n for n in reachable(results) if not n.invariant and n.op != "nan"]
        self.results = set(results)
        self.uses: Counter[Node] = Counter(results)
        self.reciprocals: Counter[Node] = Counter()
        for node in needed:
            for argument in node.args:
                # powers and some functions write their argument more than once
                several = node.op in _TWICE or node.op == "defined" or (node.op == "power" and node.value != 0.5)
                self.uses[argument] += 2 if several else 1
        for node in needed:
            if node.op == "power" and node.value < 0.0 and node.value.is_integer():
                self.reciprocals[node.args[0]] += self.uses[node]
        for node in needed:
            self.write(node)

    def write(self, node: Node) -> None:
        if node.op == "variable":
            name = f"x{node.value}"
            self.load[name] = f"{name} = x[{node.value}]"
            self.written[node] = Written((name,))
            return
        written = self.expression(node)
        is_name = len(written.above) == 1 and written.above[0].isidentifier() and not written.below
        long = len(written.magnitude) > _LONGEST and node not in self.results
        if (self.uses[node] > 1 or long) and (not is_name or written.negative):
            written = Written((self.define(written.text),))
        self.written[node] = written

    def define(self, text: str) -> str:
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def of(self, node: Node) -> Written:
        if node in self.written:
            return self.written[node]
        if node.op == "nan":
            return Written(("nan",))
        if node.op == "number":
            return Written((repr(abs(node.value)),), negative=node.value < 0.0)
        name = self.slots.name(node)
        self.load[name] = f"{name} = p[{name[1:]}]"
        if node.op in _CONDITIONS or node.op == "defined":  # p holds 1 or 0
            return Written((f"({name} > 0.5)",), bare=f"{name} > 0.5")
        return Written((name,))

    def expression(self, node: Node) -> Written:
        op, args = node.op, node.args
        if op == "sum":
            return self.sum(node)
        if op == "product":
            return self.product(*args)
        if op == "power":
            return self.power(args[0], node.value)
        if op == "defined":
            x = self.of(args[0]).text
            return Written((f"({x} == {x})",), bare=f"{x} == {x}")
        texts = [self.of(a).text for a in args]
        if op in _CONDITIONS:
            if op in ("both", "either"):
                texts = [text if text.isidentifier() else f"({text})" for text in texts]
            text = f"{texts[0]} {_CONDITIONS[op]} {texts[1]}"
            return Written((f"({text})",), bare=text)
        if op in _LIBRARY:
            return Written((_LIBRARY[op].format(*texts, name=op),))
        return Written((f"{'power' if op == 'raised' else op}({', '.join(texts)})",))

    def sum(self, node: Node) -> Written:
        terms = [self.of(a) for a in node.args]
        # the first positive one in front
        terms.sort(key=lambda t: t.negative)
        text = ""
        for i, term in enumerate(terms):
            if i and i % _TERMS == 0:
                text = self.define(text)
            if not text:
                text = term.text if term.negative or not term.bare else term.bare
            else:
                text += f" {'-' if term.negative else '+'} {term.magnitude}"
        return Written((f"({text})",), bare=text)

    def product(self, a: Node, b: Node) -> Written:
        first, second = self.of(a), self.of(b)
        if a.op == "number" and abs(a.value) == 1.0:
            first = first._replace(above=())
        return Written(first.above + second.above, first.below + second.below, first.negative != second.negative)

    def power(self, base: Node, exponent: float) -> Written:
        name = self.of(base).text
        n = math.floor(abs(exponent))
        if exponent.is_integer():
            if exponent > 0.0:
                return Written((self.integer_power(name, n),))
            if self.reciprocals[base] == 1:
                return Written((), (self.integer_power(name, n),))
            return Written((self.integer_power(self.reciprocal(name), n),))
        if abs(exponent) % 1.0 != 0.5:
            return Written((f"power({name}, {exponent!r})",))
        root = self.root(name)
        factors = (root,) if n == 0 else (self.integer_power(name, n), root)
        return Written(factors) if exponent > 0.0 else Written((), factors)

    def reciprocal(self, name: str) -> str:
        if (name, -1) not in self._powers:
            self._powers[name, -1] = self.define(f"1.0 / {name}")
        return self._powers[name, -1]

    def root(self, name: str) -> str:
        if not name.isidentifier():
            return f"sqrt({name})"
        if (name, 0) not in self._powers:
            self._powers[name, 0] = self.define(f"sqrt({name})")
        return self._powers[name, 0]

    def integer_power(self, name: str, n: int) -> str:
        if n == 1:
            return name
        if (name, n) not in self._powers:
            half = n // 2
            product = f"{self.integer_power(name, half)} * {self.integer_power(name, n - half)}"
            self._powers[name, n] = f"{name}_{n}"
            self.lines.append(f"{name}_{n} = {product}")
        return self._powers[name, n]

    def source(self, name: str, arguments: str, results: Sequence[Node], stores: Sequence[str]) -> str:
        """The whole function; one statement for each result."""
        ends = [store + self.of(result).text for store, result in zip(stores, results, strict=True)]
        body = [*self.load.values(), *self.lines, *ends]
        return f"def {name}({arguments}):\n" + "".join(f"    {line}\n" for line in body)


def write(graph: Graph, energy: Node, gradient: Sequence[Node]) -> tuple[str, list[Node]]:
    """The source of ``gradient(x, g, p)``, ``energy(x, p)`` and ``energy_gradient(x, g, p)``, and what p holds."""
    slots = Slots()
    stores = [f"g[{i}] = " for i in range(len(gradient))]

    def function(name: str, arguments: str, results: Sequence[Node], assign: Sequence[str]) -> str:
        return _Function(graph, slots, results).source(name, arguments, results, assign)

    source = "\n\n".join(
        (
            function("gradient", "x, g, p", gradient, stores),
            function("energy", "x, p", [energy], ["return "]),
            # the energy last: it is what is returned
            function("energy_gradient", "x, g, p", [*gradient, energy], [*stores, "return "]),
        )
    )
    return source, list(slots.nodes)
