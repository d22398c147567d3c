"""From a text or a SymPy expression to a graph.

The text is read by Python's ``ast`` and rebuilt from what is allowed: numbers, names, arithmetic, comparisons inside
``where``, and known functions. It is never evaluated as Python.
"""

from __future__ import annotations

import ast
import keyword
import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from .graph import LARGEST_EXPONENT, BeyondExponent, Graph, Node, NotFinite

_LONGEST_TEXT = 100_000
_MOST_NODES = 100_000
_LARGEST_INTEGER = 2**53
_CONSTANTS = {"pi": math.pi, "e": math.e}

# name in the text -> (the graph's name, fewest and most arguments)
_FUNCTIONS = {
    **{
        name: (name, 1, 1)
        for name in (
            *("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan"),
            *("asinh", "acosh", "atanh", "sign", "floor", "ceil", "erf", "erfc", "gamma", "lgamma"),
        )
    },
    "abs": ("fabs", 1, 1),
    "atan2": ("atan2", 2, 2),
    "min": ("minimum", 2, 99),
    "max": ("maximum", 2, 99),
    "where": ("where", 3, 3),
}
_ALLOWED = "allowed are numbers, + - * / **, parentheses and the functions " + ", ".join(sorted(_FUNCTIONS))
_COMPARISON = "is not a comparison such as x > 0 (also 0 < x < 1, with and, or, not)"


def normal_name(kind: str, name: Any) -> str:
    """The name of a variable or parameter as Python reads it (µ has two forms in Unicode).

    Raises
    ------
    ValueError
        Nothing may be called so.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name[0] == "_":
        raise ValueError(f"{kind} {name!r} is not a name: letters, digits and _ are allowed, a letter first")
    name = unicodedata.normalize("NFKC", name)
    if name in _FUNCTIONS:
        raise ValueError(f"{kind} {name!r} has the name of a function")
    return name


# --- text -------------------------------------------------------------------------------------------------------------


def read_text(graph: Graph, text: str, symbols: dict[str, Node]) -> tuple[Node, set[str]]:
    """The energy that a text describes, and the names that occur in it.

    Raises
    ------
    ValueError
        The text is not an expression, or holds what is not allowed.
    """
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
    reader = _Reader(graph, text, symbols)
    try:
        return reader.read(tree.body), reader.names
    except RecursionError:
        raise ValueError(f"expression={_cut(text)} is nested too deeply") from None


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class _Reader:
    """Builds a graph from the nodes of the allowed kinds."""

    def __init__(self, graph: Graph, text: str, symbols: dict[str, Node]) -> None:
        self.graph = graph
        self.text = text
        self.symbols = symbols
        self.names: set[str] = set()

    def fail(self, node: ast.AST, reason: str) -> ValueError:
        part = ast.get_source_segment(self.text.strip(), node) or ""
        return ValueError(f"expression={_cut(self.text)}: {_cut(part)} {reason}")

    def read(self, node: ast.AST) -> Node:
        try:
            if isinstance(node, ast.Constant):
                return self.number(node)
            if isinstance(node, ast.Name):
                return self.name(node, node.id)
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                return self.name(node, f"{node.value.id}[{ast.unparse(node.slice)}]")
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
                operand = self.read(node.operand)
                return self.graph.negative(operand) if isinstance(node.op, ast.USub) else operand
            if isinstance(node, ast.BinOp):
                return self.binary(node)
            if isinstance(node, ast.Call):
                return self.call(node)
        except NotFinite:
            raise self.fail(node, "is not a finite real number in double precision") from None
        except BeyondExponent as error:
            raise self.fail(node, f"amounts to the exponent {error}, beyond {LARGEST_EXPONENT}") from None
        raise self.fail(node, f"is not allowed; {_ALLOWED}")

    def number(self, node: ast.Constant) -> Node:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(node, f"is not a real number; {_ALLOWED}")
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            raise self.fail(node, f"is beyond 2**53: write it as a decimal number such as {float(2**60):g}")
        if not math.isfinite(value):
            raise self.fail(node, "is beyond the range of double precision")
        return self.graph.number(value)

    def name(self, node: ast.AST, name: str) -> Node:
        self.names.add(name)
        if name in self.symbols:
            return self.symbols[name]
        if name in _CONSTANTS:
            return self.graph.number(_CONSTANTS[name])
        known = ", ".join(self.symbols)
        raise self.fail(node, f"is neither a variable nor a parameter (these are {known}) nor pi or e")

    def chain(self, node: ast.AST, kinds: tuple[type, ...]) -> list[tuple[type, ast.AST, ast.AST]]:
        """(operator, right operand, the whole) from the left; a long sum or product is a deep tree to the left."""
        parts: list[tuple[type, ast.AST, ast.AST]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
            parts.append((type(node.op), node.right, node))
            node = node.left
        parts.append((kinds[0], node, node))
        return parts[::-1]

    def binary(self, node: ast.BinOp) -> Node:
        graph = self.graph
        if isinstance(node.op, (ast.Add, ast.Sub)):
            terms = [(kind, self.read(right)) for kind, right, _ in self.chain(node, (ast.Add, ast.Sub))]
            return graph.sum(term if kind is ast.Add else graph.negative(term) for kind, term in terms)
        if isinstance(node.op, (ast.Mult, ast.Div)):
            result = graph.one
            for kind, right, whole in self.chain(node, (ast.Mult, ast.Div)):
                factor = self.read(right)
                if kind is ast.Div and factor is graph.zero:
                    raise self.fail(whole, "divides by zero")
                try:
                    result = graph.product(result, factor) if kind is ast.Mult else graph.divide(result, factor)
                except NotFinite:
                    raise self.fail(whole, "is beyond the range of double precision") from None
            return result
        if isinstance(node.op, ast.Pow):
            return self.power(node, self.read(node.left), self.read(node.right))
        raise self.fail(node, f"uses an operator that is not allowed; {_ALLOWED}")

    def power(self, node: ast.BinOp, base: Node, exponent: Node) -> Node:
        if exponent.op == "number":
            if abs(exponent.value) > LARGEST_EXPONENT:
                raise self.fail(node, f"has the exponent {exponent.value:g}, beyond {LARGEST_EXPONENT}")
            if base is self.graph.zero and exponent.value < 0.0:
                raise self.fail(node, "divides by zero")
        return self.graph.raised(base, exponent)

    def call(self, node: ast.Call) -> Node:
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
            raise self.fail(node, f"calls an unknown function; {_ALLOWED}")
        name, fewest, most = _FUNCTIONS[node.func.id]
        if node.keywords or not fewest <= len(node.args) <= most:
            takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise self.fail(node, f"has the wrong arguments: {node.func.id} takes {takes}")
        if name == "where":
            condition = self.condition(node.args[0])
            return self.graph.where(condition, self.read(node.args[1]), self.read(node.args[2]))
        return apply(self.graph, name, [self.read(argument) for argument in node.args])

    def condition(self, node: ast.AST) -> Node | bool:
        graph = self.graph
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return graph.invert(self.condition(node.operand))
        if isinstance(node, ast.BoolOp):
            join: Callable[..., Node | bool] = graph.both if isinstance(node.op, ast.And) else graph.either
            return _joined(join, [self.condition(part) for part in node.values])
        if not (isinstance(node, ast.Compare) and all(type(op) in _COMPARISONS for op in node.ops)):
            raise self.fail(node, _COMPARISON)
        operands = [self.read(operand) for operand in (node.left, *node.comparators)]
        pairs = zip(node.ops, operands, operands[1:], strict=False)
        return _joined(graph.both, [compare(graph, _COMPARISONS[type(op)], a, b) for op, a, b in pairs])


_COMPARISONS: dict[type, str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def compare(graph: Graph, relation: str, a: Node, b: Node) -> Node | bool:
    """The condition a < b (or >, <=, >=)."""
    return graph.less(*((a, b) if relation[0] == "<" else (b, a)), strict=len(relation) == 1)


def _joined(join: Callable[..., Node | bool], conditions: Sequence[Node | bool]) -> Node | bool:
    first, *rest = conditions
    for condition in rest:
        first = join(first, condition)
    return first


def apply(graph: Graph, name: str, args: Sequence[Node]) -> Node:
    """A function, by the graph's name; min and max of any number of arguments."""
    if name == "sqrt":
        return graph.power(args[0], 0.5)
    if name in ("minimum", "maximum"):
        first, *rest = args
        for argument in rest:
            first = graph.call(name, first, argument)
        return first
    return graph.call(name, *args)


# --- SymPy ------------------------------------------------------------------------------------------------------------

_OF_SYMPY = {
    **{
        name: name
        for name in (
            *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh"),
            *("atanh", "sign", "floor", "erf", "erfc", "gamma", "atan2"),
        )
    },
    **{"ceiling": "ceil", "loggamma": "lgamma", "Abs": "fabs", "Min": "minimum", "Max": "maximum"},
}


def read_sympy(graph: Graph, expression: Any, symbols: dict[str, Node]) -> tuple[Node, set[str]]:
    """The energy that a SymPy expression describes, and the names of its symbols.

    Raises
    ------
    ValueError
        A symbol is unknown, or there is no compiled form of something.
    """
    import sympy

    done: dict[Any, Any] = {}
    names = set()
    for e in sympy.postorder_traversal(expression):
        if e in done or isinstance(e, sympy.Tuple):
            continue
        if e.is_Symbol:
            name = unicodedata.normalize("NFKC", e.name)
            names.add(name)
            if name not in symbols:
                raise ValueError(
                    f"expression names {name!r}, which is neither a variable nor a parameter: {tuple(symbols)}"
                )
            done[e] = symbols[name]
            continue
        try:
            done[e] = _node(sympy, graph, e, done)
        except NotFinite:
            raise ValueError(f"expression: {e} is not a finite real number in double precision") from None
        except BeyondExponent as error:
            raise ValueError(f"expression: {e} amounts to the exponent {error}, beyond {LARGEST_EXPONENT}") from None
    return done[expression], names


def _node(sympy: Any, graph: Graph, e: Any, done: dict[Any, Any]) -> Any:
    if isinstance(e, (sympy.logic.boolalg.BooleanTrue, sympy.logic.boolalg.BooleanFalse)):
        return bool(e)
    if e.is_Number or e.is_NumberSymbol:
        return graph.number(float(e))
    if isinstance(e, sympy.functions.elementary.piecewise.ExprCondPair):
        return None  # the Piecewise takes its parts
    if isinstance(e, sympy.Piecewise):
        *pieces, (last, otherwise) = e.args
        if done[otherwise] is not True:
            raise ValueError(f"expression: {e} is not defined everywhere")
        result = done[last]
        for value, condition in reversed(pieces):
            result = graph.where(done[condition], done[value], result)
        return result
    args = [done[a] for a in e.args]
    if e.is_Add:
        return graph.sum(args)
    if e.is_Mul:
        result = graph.one
        for factor in args:
            result = graph.product(result, factor)
        return result
    if e.is_Pow:
        base, exponent = args
        if exponent.op == "number" and abs(exponent.value) > LARGEST_EXPONENT:
            raise BeyondExponent(f"{exponent.value:g}")
        return graph.raised(base, exponent)
    if isinstance(e, sympy.core.relational.Relational) and e.rel_op in _COMPARISONS.values():
        return compare(graph, e.rel_op, *args)
    if isinstance(e, (sympy.And, sympy.Or)):
        return _joined(graph.both if isinstance(e, sympy.And) else graph.either, args)
    if isinstance(e, sympy.Not):
        return graph.invert(args[0])
    name = type(e).__name__
    if name not in _OF_SYMPY:
        raise ValueError(f"expression: there is no compiled form of {name}, in {e}")
    return apply(graph, _OF_SYMPY[name], args)
