"""The gradient of an energy on its graph, by one sweep from the result to the variables.

The derivative with respect to a node is kept as a sum of products w * inner: w is a factor that all variables below
share (the derivative of a function at its argument), inner what the linear and polynomial parts below make of it. So
w multiplies the finished sum: w * (2*a*x + b*y), not w*2*a*x + w*b*y.

Derivatives in a branch of ``where``, ``min`` and ``max`` are kept apart by the *path* that leads into it and chosen
at the end: a branch that is not taken may be infinite or NaN, which no factor 0 takes away.

Where the derivative is real in a larger domain than the function (that of log is 1/x), it is made NaN outside.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from .graph import Graph, Node, reachable


class Path(NamedTuple):
    """Which branches lead to a node: first those of `parent`, then the condition holds or does not."""

    parent: int
    condition: Node
    taken: bool
    depth: int
    mask: Node | bool


_ROOT = 0
Factors = dict[Node, list[Node]]


class _Sweep:
    """One derivative; see the module."""

    def __init__(self, graph: Graph, energy: Node) -> None:
        self.graph = graph
        self.derivatives: dict[int, dict[int, Factors]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.of_variable: dict[int, Node] = {}
        self.checks: list[Node] = []
        self._required: set[tuple[int, Node]] = set()
        self._paths: list[Path | None] = [None]
        self._known: dict[tuple[int, Node, bool], int] = {}
        self.derivatives[energy.index][_ROOT][graph.one].append(graph.one)
        for node in reversed(reachable([energy])):
            if not node.invariant and node.index in self.derivatives:
                self.visit(node, self.derivatives.pop(node.index))

    def path(self, parent: int, condition: Node, taken: bool) -> int:
        key = (parent, condition, taken)
        if key not in self._known:
            above = self._paths[parent]
            here = condition if taken else self.graph.invert(condition)
            mask = here if above is None else self.graph.both(above.mask, here)
            self._known[key] = len(self._paths)
            self._paths.append(Path(parent, condition, taken, above.depth + 1 if above else 1, mask))
        return self._known[key]

    def total(self, factors: Factors) -> Node:
        return self.graph.sum(self.joined(w, self.graph.sum(inner)) for w, inner in factors.items())

    def joined(self, w: Node, inner: Node) -> Node:
        """The product w * inner; inner's coefficient goes to w, which others have as well."""
        graph = self.graph
        if w.invariant or inner.invariant:
            return self.scaled(inner, w) if inner.invariant else graph.product(w, inner)
        coefficient, rest = graph.split(inner)
        return graph.times(self.scaled(coefficient, w), rest)

    def scaled(self, coefficient: Node, a: Node) -> Node:
        """The product, inside of a sum whose terms have coefficients anyway."""
        graph = self.graph
        if a.op == "sum" and coefficient.op == "number" and all(graph.split(t)[0] is not graph.one for t in a.args):
            return graph.sum(graph.product(coefficient, t) for t in a.args)
        return graph.product(coefficient, a)

    def visit(self, node: Node, paths: dict[int, Factors]) -> None:
        """Hand the derivative on from a node to its arguments."""
        graph = self.graph
        if len(paths) > 1:
            self.join_branches(paths)
        # 0 times the derivative of a polynomial is 0: one path is enough below
        if (len(paths) > 1 and node.polynomial) or node.op == "variable":
            whole = [self.only_on(p, self.total(f)) for p, f in paths.items()]
            if node.op == "variable":
                self.of_variable[node.value] = graph.sum(whole)
                return
            paths = {_ROOT: {graph.one: [graph.sum(whole)]}}
        for path, factors in paths.items():
            if len(factors) > 1:
                w, inner = self.total(factors), graph.one
            else:
                ((w, terms),) = factors.items()
                inner = graph.sum(terms)
            if inner is not graph.zero:
                self.hand_on(node, path, w, inner)

    def join_branches(self, paths: dict[int, Factors]) -> None:
        """Where both branches of a condition lead here, choose between them and go on as before the condition."""
        graph = self.graph
        for p in sorted(paths, key=lambda p: -self._depth(p)):
            branch = self._paths[p]
            other = self._known.get((branch.parent, branch.condition, not branch.taken)) if branch else None
            if branch is None or p not in paths or other not in paths:
                continue
            a, b = self.total(paths.pop(p)), self.total(paths.pop(other))
            chosen = graph.where(branch.condition, *((a, b) if branch.taken else (b, a)))
            paths.setdefault(branch.parent, {}).setdefault(graph.one, []).append(chosen)

    def _depth(self, p: int) -> int:
        path = self._paths[p]
        return path.depth if path else 0

    def only_on(self, p: int, a: Node) -> Node:
        """The node a where the path is taken, else 0."""
        path, zero = self._paths[p], self.graph.zero
        if path is None:
            return a
        if path.parent == _ROOT:  # the condition as it is, which others use as well
            return self.graph.where(path.condition, *((a, zero) if path.taken else (zero, a)))
        return self.graph.where(path.mask, a, zero)

    def add(self, node: Node, path: int, w: Node, inner: Node) -> None:
        if not node.invariant:
            self.derivatives[node.index][path][w].append(inner)

    def through(self, node: Node, path: int, w: Node, inner: Node) -> None:
        """As add, but what multiplies a nonlinear node is a factor for all that is below."""
        if node.linear or node.op == "number":
            self.add(node, path, w, inner)
            return
        whole = self.joined(w, inner)
        self.add(node, path, *((self.graph.one, whole) if whole.invariant else (whole, self.graph.one)))

    def require(self, path: int, *nodes: Node) -> None:
        """Let the gradient be NaN where one of these is not real, though its derivative is not used."""
        waiting = [(path, node) for node in nodes]
        while waiting:
            place = path, node = waiting.pop()
            if not node.restricted or place in self._required:
                continue
            self._required.add(place)
            if node.ends or not node.hides:
                self.checks.append(self.only_on(path, self.graph.nan_where_undefined(node)))
            if node.op == "where":
                condition, a, b = node.args
                waiting += [(path, operand) for operand in _operands(condition)]
                waiting += [(self.path(path, condition, True), a), (self.path(path, condition, False), b)]
            elif node.hides:
                waiting += [(path, argument) for argument in node.args]

    def hand_on(self, node: Node, path: int, w: Node, inner: Node) -> None:
        graph, op, args = self.graph, node.op, node.args
        if op == "sum":
            for term in args:
                self.add(term, path, w, inner)
        elif op == "product":
            a, b = args
            self.through(a, path, w, graph.product(inner, b))
            if a is graph.zero:
                self.require(path, b)
            elif a.invariant:
                self.add(b, path, w, graph.product(inner, a))
            else:
                self.through(b, path, w, graph.product(inner, a))
        elif op == "power":
            slope = self.scaled(graph.number(node.value), inner)
            self.through(args[0], path, w, graph.product(slope, graph.power(args[0], node.value - 1.0)))
        elif op == "where":
            condition, a, b = args
            self.require(path, *_operands(condition))
            self.add(a, self.path(path, condition, True), w, inner)
            self.add(b, self.path(path, condition, False), w, inner)
        elif op in ("maximum", "minimum"):
            a, b = args
            self.require(path, a, b)  # where one is NaN, the other may be taken
            first = graph.less(b, a) if op == "maximum" else graph.less(a, b)
            assert isinstance(first, Node)
            self.add(a, self.path(path, first, True), w, inner)
            self.add(b, self.path(path, first, False), w, inner)
        elif op in ("floor", "ceil", "sign"):
            self.require(path, *args)
        else:
            whole = self.joined(w, inner)
            for argument, slope in zip(args, slopes(graph, node), strict=True):
                if not argument.invariant:
                    self.through(argument, path, graph.one, graph.product(whole, slope))


def _operands(condition: Node) -> Iterator[Node]:
    for argument in condition.args:
        if condition.op in ("both", "either"):
            yield from _operands(argument)
        else:
            yield argument


def gradient(graph: Graph, energy: Node, n_variables: int) -> list[Node]:
    """The partial derivatives of an energy."""
    sweep = _Sweep(graph, energy)
    result = [sweep.of_variable.get(i, graph.zero) for i in range(n_variables)]
    result[0] = graph.sum([result[0], *sweep.checks])
    return result


def slopes(graph: Graph, node: Node) -> tuple[Node, ...]:
    """The derivatives of a function with respect to its arguments."""
    x, op = node.args[0], node.op
    one, number, minus = graph.one, graph.number, graph.negative

    def inverse(a: Node) -> Node:
        return graph.power(a, -1.0)

    def times(*factors: Node) -> Node:
        result = one
        for factor in factors:
            result = graph.product(result, factor)
        return result

    def plus(a: Node, b: float) -> Node:
        return graph.sum([a, number(b)])

    def only_where(condition: Node | bool, a: Node) -> Node:
        return graph.where(condition, a, graph.nan)

    below, above = plus(minus(x), 1.0), plus(x, 1.0)  # 1 - x, 1 + x
    square = graph.power(x, 2.0)
    if op == "raised":
        exponent = node.args[1]
        at_x = graph.raised(x, plus(exponent, -1.0))
        return times(exponent, at_x), times(node, graph.call("log", x))
    if op == "atan2":
        y, x = x, node.args[1]
        radius = graph.sum([graph.power(x, 2.0), graph.power(y, 2.0)])
        return graph.divide(x, radius), minus(graph.divide(y, radius))
    if op == "log":
        slope = inverse(x) if x.sign else only_where(graph.less(graph.zero, x), inverse(x))
    elif op in ("gamma", "lgamma"):
        slope = digamma(graph, x) if op == "lgamma" else times(node, digamma(graph, x))
    elif op == "acosh":
        root = graph.power(times(plus(x, -1.0), above), -0.5)
        slope = only_where(graph.less(one, x, strict=False), root)
    elif op == "atanh":
        slope = only_where(graph.less(graph.call("fabs", x), one), inverse(times(below, above)))
    else:
        slope = {
            "exp": lambda: node,
            "sin": lambda: graph.call("cos", x),
            "cos": lambda: minus(graph.call("sin", x)),
            "tan": lambda: plus(graph.power(node, 2.0), 1.0),
            "sinh": lambda: graph.call("cosh", x),
            "cosh": lambda: graph.call("sinh", x),
            "tanh": lambda: plus(minus(graph.power(node, 2.0)), 1.0),
            "asin": lambda: graph.power(times(below, above), -0.5),
            "acos": lambda: minus(graph.power(times(below, above), -0.5)),
            "atan": lambda: inverse(plus(square, 1.0)),
            "asinh": lambda: graph.power(plus(square, 1.0), -0.5),
            "erf": lambda: times(number(2.0 / math.sqrt(math.pi)), graph.call("exp", minus(square))),
            "erfc": lambda: times(number(-2.0 / math.sqrt(math.pi)), graph.call("exp", minus(square))),
            "fabs": lambda: graph.call("sign", x),
        }[op]()
    return (slope,)


# B(2k) / 2k of the asymptotic series log z - 1/(2z) - sum B(2k) / (2k z^2k)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160, 43867 / 14364)


def digamma(graph: Graph, x: Node) -> Node:
    """The derivative of lgamma for x > 0: the asymptotic series at x + 8, and the eight steps down from there."""
    z = graph.sum([x, graph.number(8.0)])
    u = graph.power(z, -2.0)
    series = graph.number(_DIGAMMA[-1])
    for b in _DIGAMMA[-2::-1]:
        series = graph.sum([graph.product(series, u), graph.number(b)])
    # 1/(x + k) + 1/(x + 7 - k) = (2x + 7) / (x (x + 7) + k (7 - k))
    t = graph.product(x, graph.sum([x, graph.number(7.0)]))
    steps = graph.sum(graph.power(graph.sum([t, graph.number(k * (7.0 - k))]), -1.0) for k in range(4))
    terms = [
        graph.call("log", z),
        graph.product(graph.number(-0.5), graph.power(z, -1.0)),
        graph.negative(graph.product(series, u)),
        graph.negative(graph.product(graph.sum([graph.product(graph.number(2.0), x), graph.number(7.0)]), steps)),
    ]
    return graph.where(graph.less(graph.zero, x), graph.sum(terms), graph.nan)
