"""Custom: a potential given by Python functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..functions import Functions
from .base import dimension, start_or_origin
from .compiled import FunctionPotential
from .gradient_check import check_gradient


class Custom(FunctionPotential):
    """A potential given by plain Python functions of one point; Numba compiles them.

    Parameters
    ----------
    gradient : callable
        ``gradient(x, out)`` writes ∇U(x) to out; x and out have length dim. Names of `parameters` follow.
    energy : callable, optional
        ``energy(x)`` returns U(x). Without it there are no energies and no MALA.
    dim : int
        Number of components, >= 1.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.
    check : bool, default True
        See that energy and gradient are finite at `start`, and compare the gradient with finite differences of the
        energy near it, along random directions (without an energy: only see that every component is written and
        finite). It takes at most about a second, or as long as compiling the functions; where finite differences are
        too inaccurate to tell, nothing is said.
    **parameters : float or array
        Passed by name to those functions that have an argument of that name. :meth:`replace` changes their values
        without compiling anew.

    Notes
    -----
    The functions may do arithmetic, loop over components, call ``lf.math`` (or ``math``, or NumPy's elementary
    functions) and other plain Python functions of this kind. They are compiled for a vector of particles at once; one
    that branches on x (``if x[0] > 0``) is compiled for one particle at a time, which is slower: use
    ``lf.math.where(condition, a, b)``. Python numbers take the precision of the run. A function that raises makes the
    particle diverge at that step.

    Raises
    ------
    TypeError
        An argument is not what it should be, a function returns or writes something else than described here, or
        Numba cannot compile it (said at its first use, of `x` and `out` taken as a whole at construction).
    ValueError
        The gradient does not belong to the energy (the message names the component and both numbers), it does not
        write every component, or one of them is not finite at `start`, or nowhere near it.

    Examples
    --------
    >>> def energy(x, k):
    ...     return 0.5 * k * (x[0] * x[0] + x[1] * x[1])
    >>> def gradient(x, out, k):
    ...     out[0] = k * x[0]
    ...     out[1] = k * x[1]
    >>> Custom(energy=energy, gradient=gradient, dim=2, k=3.0)
    Custom(gradient=gradient, energy=energy, dim=2, k=3.0)
    """

    _user: tuple[Callable[..., None], Callable[..., Any] | None]

    def __init__(
        self,
        *,
        gradient: Callable[..., None],
        energy: Callable[..., Any] | None = None,
        dim: int,
        start: npt.ArrayLike | None = None,
        check: bool = True,
        **parameters: npt.ArrayLike,
    ) -> None:
        dim = dimension("dim", dim)
        gradient = _plain("gradient", gradient)
        energy = None if energy is None else _plain("energy", energy)
        self._check_parameter_names(parameters)
        values = {name: checks.finite_array(name, value) for name, value in parameters.items()}
        layout = tuple((name, value.shape) for name, value in values.items())
        functions = _bind(gradient, energy, layout)
        super().__init__(
            dim=dim,
            parameters=np.concatenate([np.zeros(0), *(value.reshape(-1) for value in values.values())]),
            default_start=start_or_origin(start, dim),
            arguments={name: checks.plain(value) for name, value in values.items()},
        )
        self.__dict__.update(functions=functions, _user=(gradient, energy))
        if check:
            check_gradient(self)

    def replace(self, **parameters: npt.ArrayLike) -> Custom:
        """The same potential with other values of some parameters; nothing is compiled anew.

        Parameters
        ----------
        **parameters : float or array
            Of the same names and shapes as at construction.
        """
        unknown = sorted(set(parameters) - set(self._arguments))
        if unknown:
            raise TypeError(f"{unknown[0]} is not a parameter of {self!r}; it has {list(self._arguments)}")
        values = {name: parameters.get(name, getattr(self, name)) for name in self._arguments}
        for name, value in values.items():
            if np.shape(value) != np.shape(getattr(self, name)):
                raise ValueError(f"{name} must keep the shape {np.shape(getattr(self, name))}; got {np.shape(value)}")
        return Custom(
            gradient=self.gradient_function,
            energy=self.energy_function,
            dim=self.dim,
            start=self.default_start,
            check=False,
            **values,
        )

    def with_values(self, values: dict[str, Any]) -> Custom:
        """See :meth:`Potential.with_values`."""
        return self.replace(**values)

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Potential.parameters_of`."""
        rows = self.rows_of(values)
        return np.concatenate([row.reshape(len(row), -1) for row in rows.values()], axis=1)

    @property
    def gradient_function(self) -> Callable[..., None]:
        """The user's function."""
        return self._user[0]

    @property
    def energy_function(self) -> Callable[..., Any] | None:
        """The user's function, if there is one."""
        return self._user[1]

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        functions = {"gradient": self.gradient_function, "energy": self.energy_function}
        parameters = {name: getattr(self, name) for name in self._arguments}
        return Custom, {**functions, "dim": self.dim, "start": self.default_start, "check": False, **parameters}

    def __repr__(self) -> str:
        energy = "" if self.energy_function is None else f"energy={self.energy_function.__name__}, "
        shown = "".join(f", {name}={checks.shorten(getattr(self, name))}" for name in self._arguments)
        return f"Custom(gradient={self.gradient_function.__name__}, {energy}dim={self.dim}{shown})"

    def __reduce__(self) -> Any:
        return _remake, (
            self.gradient_function,
            self.energy_function,
            self.dim,
            self.default_start,
            {name: getattr(self, name) for name in self._arguments},
        )


def _remake(gradient: Any, energy: Any, dim: int, start: Any, parameters: dict[str, Any]) -> Custom:
    return Custom(gradient=gradient, energy=energy, dim=dim, start=start, check=False, **parameters)


def _plain(name: str, function: Any) -> Callable[..., Any]:
    function = getattr(function, "py_func", function)  # of numba.njit
    if not inspect.isfunction(function):
        raise TypeError(
            f"{name} must be a plain Python function (or one decorated with numba.njit); got {checks.shorten(function)}"
        )
    return function


@lru_cache(maxsize=256)
def _bind(
    gradient: Callable[..., None], energy: Callable[..., Any] | None, layout: tuple[tuple[str, tuple[int, ...]], ...]
) -> Functions:
    """The functions of (x, g, p), which read their parameters from p. The same object for the same functions."""
    wanted = {"gradient": _parameter_names("gradient", gradient, 2)}
    if energy is not None:
        wanted["energy"] = _parameter_names("energy", energy, 1)
    given = [name for name, _ in layout]
    for function, names in wanted.items():
        for name, required in names.items():
            if required and name not in given:
                raise TypeError(f"{function} wants the parameter {name!r}, which is not among those given: {given}")
    for name in given:
        if not any(name in names for names in wanted.values()):
            raise TypeError(f"{name} is not an argument of {' or '.join(wanted)}")

    place, offset = {}, 0
    for name, shape in layout:
        size = int(np.prod(shape))
        part = f"p[{offset}:{offset + size}]"
        place[name] = f"p[{offset}]" if not shape else part if len(shape) == 1 else f"{part}.reshape({shape})"
        offset += size

    def arguments(function: str) -> str:
        return "".join(f", {place[name]}" for name in wanted[function] if name in place)

    namespace: dict[str, Any] = {"user_gradient": gradient, "user_energy": energy}
    # what the gradient returns is looked at by its check alone
    source = f"def gradient(x, g, p):\n    return user_gradient(x, g{arguments('gradient')})\n"
    if energy is not None:
        source += f"def energy(x, p):\n    return user_energy(x{arguments('energy')})\n"
    exec(source, namespace)
    return Functions(namespace["gradient"], namespace.get("energy"))


def _parameter_names(which: str, function: Callable[..., Any], n_fixed: int) -> dict[str, bool]:
    """The arguments after x (and out), in order, and whether they have no default."""
    arguments = list(inspect.signature(function).parameters.values())
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    if len(positional) != len(arguments) or len(positional) < n_fixed:
        form = "gradient(x, out, ...)" if n_fixed == 2 else "energy(x, ...)"
        raise TypeError(f"{which} must be a function {form}; got {function.__name__}{inspect.signature(function)}")
    return {a.name: a.default is a.empty for a in positional[n_fixed:]}
