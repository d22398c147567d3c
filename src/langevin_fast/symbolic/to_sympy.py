"""From a graph to a SymPy expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .graph import Node, reachable


def import_sympy() -> Any:
    """SymPy, or an error that says how to get it."""
    try:
        import sympy
    except ImportError:
        raise ImportError("this needs SymPy, which is not installed: pip install 'langevin-fast[expression]'") from None
    return sympy


def to_sympy(energy: Node, variables: Sequence[str]) -> Any:
    """The expression, with constants as they were computed."""
    sympy = import_sympy()
    names = {"fabs": "Abs", "ceil": "ceiling", "lgamma": "loggamma", "power": "Pow", "raised": "Pow"}
    done: dict[Node, Any] = {}
    for node in reachable([energy]):
        args = [done[a] for a in node.args]
        if node.op == "number":
            done[node] = sympy.Integer(int(node.value)) if node.value.is_integer() else sympy.Float(node.value)
        elif node.op in ("variable", "parameter"):
            name = variables[node.value] if node.op == "variable" else node.value
            done[node] = sympy.Symbol(name, real=True)
        elif node.op == "sum":
            done[node] = sympy.Add(*args)
        elif node.op == "product":
            done[node] = sympy.Mul(*args)
        elif node.op == "power":
            exponent = sympy.nsimplify(node.value) if (2.0 * node.value).is_integer() else sympy.Float(node.value)
            done[node] = sympy.Pow(args[0], exponent)
        elif node.op in ("less", "less_equal"):
            done[node] = sympy.Lt(*args) if node.op == "less" else sympy.Le(*args)
        elif node.op in ("both", "either"):
            done[node] = sympy.And(*args) if node.op == "both" else sympy.Or(*args)
        elif node.op == "where":
            done[node] = sympy.Piecewise((args[1], args[0]), (args[2], True))
        elif node.op in ("minimum", "maximum"):
            # SymPy compares every argument with every other
            done[node] = (sympy.Min if node.op == "minimum" else sympy.Max)(*args, evaluate=False)
        else:
            done[node] = getattr(sympy, names.get(node.op, node.op))(*args)
    return done[energy]
