"""Expression: a potential given by the formula of its energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks, symbolic
from ..functions import Functions
from .compiled import FunctionPotential


class Expression(FunctionPotential):
    """A potential given by a formula; SymPy differentiates it.

    Parameters
    ----------
    expression : str or SymPy expression
        U. A text may hold numbers, the names of variables and parameters, ``pi`` and ``e``, ``+ - * / **``, and the
        functions exp, log, sqrt, abs, sin, cos, tan, sinh, cosh, tanh, asin, acos, atan, atan2, asinh, acosh, atanh,
        sign, min, max, floor, ceil, erf, erfc, gamma, lgamma and ``where(x > 0, a, b)``. It is not evaluated as Python
        code. Symbols of a SymPy expression are known by their names and taken as real.
    variables : sequence of str, or one str with spaces
        The components of x, in order.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.
    **parameters : float
        Everything else that the formula names. :meth:`replace` changes their values without compiling anew.

    Attributes
    ----------
    expression : SymPy expression
        U.
    source : str
        The Python functions that were generated from it.

    Raises
    ------
    ImportError
        SymPy is not installed (extra ``expression``).
    ValueError
        The expression is not allowed (the message shows the part), or a name is unknown, unused or taken; or U or its
        gradient is not finite at `start`.

    Examples
    --------
    >>> Expression("(1 - x)**2 + a * (y - x**2)**2", variables=("x", "y"), a=100.0)
    Expression('(1 - x)**2 + a * (y - x**2)**2', variables=('x', 'y'), a=100.0)
    """

    expression: Any
    source: str
    variables: tuple[str, ...]
    _text: Any

    def __init__(
        self,
        expression: Any,
        *,
        variables: str | Sequence[str],
        start: npt.ArrayLike | None = None,
        **parameters: float,
    ) -> None:
        sympy = symbolic.import_sympy()
        variables = tuple(variables.split() if isinstance(variables, str) else variables)
        if not variables:
            raise ValueError("variables is empty; it names the components of x")
        names = (*variables, *parameters)
        for i, name in enumerate(names):
            symbolic.check_name("variable" if i < len(variables) else "parameter", name)
            if name in names[:i]:
                raise ValueError(f"the name {name!r} is given twice")
        self._check_parameter_names(parameters)
        values = {name: checks.finite(name, value) for name, value in parameters.items()}
        if isinstance(expression, str):
            formula = symbolic.parse(expression, names)
        elif isinstance(expression, sympy.Expr):
            formula = expression.xreplace({s: sympy.Symbol(s.name, real=True) for s in expression.free_symbols})
        else:
            raise TypeError(f"expression must be a string or a SymPy expression; got {checks.shorten(expression)}")
        used = {symbol.name for symbol in formula.free_symbols}
        if unknown := sorted(used - set(names)):
            raise ValueError(f"expression names {unknown[0]!r}, which is neither a variable nor a parameter: {names}")
        if isinstance(expression, str):
            used |= {name for name in parameters if name in symbolic.identifiers(expression)}
        if unused := [name for name in parameters if name not in used]:
            raise ValueError(f"the parameter {unused[0]!r} does not occur in the expression")
        generated = symbolic.generate(formula, variables, tuple(parameters))
        dim = len(variables)
        super().__init__(
            dim=dim,
            parameters=list(values.values()),
            default_start=np.zeros(dim) if start is None else checks.finite_array("start", start, shape=(dim,)),
            arguments=values,
        )
        functions = Functions(generated.gradient, generated.energy, generated.energy_gradient)
        self.__dict__.update(
            expression=formula, variables=variables, source=generated.source, functions=functions, _text=expression
        )
        self._check_start()

    def replace(self, **parameters: float) -> Expression:
        """The same formula with other values of some parameters; nothing is compiled anew.

        Parameters
        ----------
        **parameters : float
            Of the names given at construction.
        """
        unknown = sorted(set(parameters) - set(self._arguments))
        if unknown:
            raise TypeError(f"{unknown[0]} is not a parameter of {self!r}; it has {list(self._arguments)}")
        values = {name: parameters.get(name, getattr(self, name)) for name in self._arguments}
        return Expression(self._text, variables=self.variables, start=self.default_start, **values)

    def _check_start(self) -> None:
        g = np.full(self.dim, np.nan)
        try:
            with np.errstate(all="ignore"):
                u = self.functions.energy_gradient(self.default_start, g, self.parameters)  # type: ignore[misc]
            finite = np.isfinite(u) and np.isfinite(g).all()
        except (ArithmeticError, ValueError):  # Python's own math functions raise where NumPy gives NaN
            finite = False
        if not finite:
            raise ValueError(
                f"expression: the energy or gradient is not finite at {self.default_start.tolist()}; give start=, a "
                "point where both are"
            )

    def __repr__(self) -> str:
        shown = "".join(f", {name}={getattr(self, name)!r}" for name in self._arguments)
        text = self._text if isinstance(self._text, str) else str(self._text)
        return f"Expression({text!r}, variables={self.variables!r}{shown})"

    def __reduce__(self) -> Any:
        parameters = {name: getattr(self, name) for name in self._arguments}
        return _remake, (self._text, self.variables, self.default_start, parameters)


def _remake(expression: Any, variables: tuple[str, ...], start: Any, parameters: dict[str, float]) -> Expression:
    return Expression(expression, variables=variables, start=start, **parameters)
