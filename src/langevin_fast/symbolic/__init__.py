"""From the formula of an energy to Python functions for it and its gradient.

A text or a SymPy expression becomes a graph (reading.py, graph.py), the graph is differentiated (gradient.py) and
written as Python (writing.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from .. import math as lf_math
from .gradient import gradient
from .graph import Graph, Node, NotFinite, evaluate
from .reading import normal_name, read_sympy, read_text
from .to_sympy import import_sympy, to_sympy
from .writing import write

__all__ = ["Generated", "generate", "import_sympy", "normal_name", "to_sympy"]


class Generated(NamedTuple):
    """Python functions for an energy, and their text.

    Attributes
    ----------
    gradient, energy, energy_gradient : callable
        Functions of (x, g, p); see :class:`langevin_fast.functions.Functions`.
    source : str
        Their text.
    formula : Node
        The energy as a graph.
    names : frozenset of str
        The names that occur in it.
    slots : tuple of Node
        What p holds: parts of the formula and its gradient without variables.
    """

    gradient: Callable[..., None]
    energy: Callable[..., Any]
    energy_gradient: Callable[..., Any]
    source: str
    formula: Node
    names: frozenset[str]
    slots: tuple[Node, ...]

    def parameters(self, values: dict[str, float]) -> list[float]:
        """The p of these values of the parameters; NaN where a part is not a finite real number."""
        return [v if math.isfinite(v) else math.nan for v in evaluate(self.slots, values)]


@lru_cache(maxsize=256)
def generate(expression: Any, variables: tuple[str | tuple[str, ...], ...], parameters: tuple[str, ...]) -> Generated:
    """Functions of (x, g, p) for an energy, a text or a SymPy expression; the same object for the same arguments.

    A variable may have several names.

    Raises
    ------
    ValueError
        The expression is not allowed.
    """
    graph = Graph()
    symbols: dict[str, Node] = {}
    for i, names in enumerate(variables):
        symbols |= dict.fromkeys([names] if isinstance(names, str) else names, graph.variable(i))
    symbols |= {name: graph.parameter(name) for name in parameters}
    formula, used = (read_text if isinstance(expression, str) else read_sympy)(graph, expression, symbols)
    try:
        source, slots = write(graph, formula, gradient(graph, formula, len(variables)))
    except NotFinite:
        raise ValueError("expression: a number in its gradient is beyond the range of double precision") from None
    namespace: dict[str, Any] = {name: getattr(lf_math, name) for name in lf_math.__all__}
    namespace |= {"math": math, "nan": math.nan}
    exec(compile(source, "<expression>", "exec"), namespace)
    gradient_, energy, both = (namespace[name] for name in ("gradient", "energy", "energy_gradient"))
    return Generated(gradient_, energy, both, source, formula, frozenset(used), tuple(slots))
