"""Expression: a potential given by the formula of its energy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks, symbolic
from ..functions import Functions
from .compiled import FunctionPotential


class Expression(FunctionPotential):
    """A potential given by a formula, which is differentiated and compiled.

    Parameters
    ----------
    expression : str or SymPy expression
        U. A text may hold numbers, the names of variables and parameters, ``pi`` and ``e``, ``+ - * / **``, and the
        functions exp, log, sqrt, abs, sin, cos, tan, sinh, cosh, tanh, asin, acos, atan, atan2, asinh, acosh, atanh,
        sign, min, max, floor, ceil, erf, erfc, gamma and lgamma (of positive numbers), and ``where(condition, a, b)``
        with a condition such as ``x > 0``, ``0 < x < 1`` or ``x > 0 and not y > 0``. It is not evaluated as Python
        code. Symbols of a SymPy expression are known by their names and taken as real.

        Parts without variables are computed once, in double precision. Where U is not a real number, ∇U is NaN: a
        particle that leaves the domain of U diverges. The jumps of sign, floor, ceil and ``where`` give no force.
    variables : sequence of str, or one str with spaces or commas
        The components of x, in order. U does not depend on one that the formula does not name.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.
    **parameters : float
        Everything else that the formula names. :meth:`replace` changes their values without compiling anew.

    Attributes
    ----------
    expression : SymPy expression
        U, with its constants as they were computed. Needs SymPy (extra ``expression``).
    source : str
        The Python functions that were generated from it.

    Raises
    ------
    TypeError
        The expression is neither a text nor a SymPy expression.
    ValueError
        The expression is not allowed (the message shows the part), a name is unknown or taken, a parameter does not
        occur in it, or U or its gradient is not finite at `start`.

    Examples
    --------
    >>> Expression("(1 - x)**2 + a * (y - x**2)**2", variables=("x", "y"), a=100.0)
    Expression('(1 - x)**2 + a * (y - x**2)**2', variables=('x', 'y'), a=100.0)
    """

    source: str
    variables: tuple[str, ...]
    _text: Any
    _formula: Any
    _generated: symbolic.Generated

    def __init__(
        self,
        expression: Any,
        *,
        variables: str | Sequence[str],
        start: npt.ArrayLike | None = None,
        **parameters: float,
    ) -> None:
        if isinstance(variables, str):
            variables = variables.replace(",", " ").split()
        variables = tuple(symbolic.normal_name("variable", name) for name in variables)
        if not variables:
            raise ValueError("variables is empty; it names the components of x")
        values = {symbolic.normal_name("parameter", name): value for name, value in parameters.items()}
        names = (*variables, *values)
        for i, name in enumerate(names):
            if name in names[:i] or len(names) < len(variables) + len(parameters):
                raise ValueError(f"the name {name!r} is given twice")
        self._check_parameter_names(values)
        values = {name: checks.finite(name, value) for name, value in values.items()}
        if not isinstance(expression, str) and not _is_sympy(expression):
            raise TypeError(f"expression must be a string or a SymPy expression; got {checks.shorten(expression)}")
        generated = symbolic.generate(expression, variables, tuple(values))
        if unused := [name for name in values if name not in generated.names]:
            raise ValueError(f"the parameter {unused[0]!r} does not occur in the expression")
        dim = len(variables)
        super().__init__(
            dim=dim,
            parameters=generated.parameters(values),
            infinite_parameters=True,  # NaN in a part that is not used is allowed; the check at the start sees others
            default_start=np.zeros(dim) if start is None else checks.finite_array("start", start, shape=(dim,)),
            arguments=values,
        )
        functions = Functions(generated.gradient, generated.energy, generated.energy_gradient)
        self.__dict__.update(
            variables=variables,
            source=generated.source,
            functions=functions,
            _text=expression,
            _generated=generated,
            _formula=generated.formula,
        )
        self._check_start()

    @cached_property
    def expression(self) -> Any:
        """U as a SymPy expression (extra ``expression``)."""
        return symbolic.to_sympy(self._formula, self.variables)

    def replace(self, **parameters: float) -> Expression:
        """The same formula with other values of some parameters; nothing is compiled anew.

        Parameters
        ----------
        **parameters : float
            Of the names given at construction.
        """
        parameters = {symbolic.normal_name("parameter", name): value for name, value in parameters.items()}
        unknown = sorted(set(parameters) - set(self._arguments))
        if unknown:
            raise TypeError(f"{unknown[0]} is not a parameter of {self!r}; it has {list(self._arguments)}")
        values = {name: parameters.get(name, getattr(self, name)) for name in self._arguments}
        return Expression(self._text, variables=self.variables, start=self.default_start, **values)

    def with_values(self, values: dict[str, Any]) -> Expression:
        """See :meth:`Potential.with_values`."""
        return self.replace(**values)

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        parameters = {name: getattr(self, name) for name in self._arguments}
        named = {"expression": self._text, "variables": self.variables, "start": self.default_start}
        return Expression, {**named, **parameters}

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Potential.parameters_of`."""
        columns = self.rows_of(values)
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return np.array([self._generated.parameters(dict(zip(columns, row, strict=True))) for row in rows])

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


def _is_sympy(expression: Any) -> bool:
    sympy = sys.modules.get("sympy")  # who has such an expression has imported it
    return sympy is not None and isinstance(expression, sympy.Expr)


def _remake(expression: Any, variables: tuple[str, ...], start: Any, parameters: dict[str, float]) -> Expression:
    return Expression(expression, variables=variables, start=start, **parameters)
