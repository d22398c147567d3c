"""Potentials of collective coordinates: a spring, or a grid, in q(x)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import checks, symbolic
from ..functions import Functions, Room
from ..observers.values import names_of_components, tidy
from ..potentials.base import Potential
from ..potentials.compiled import CompiledPotential, FunctionPotential

# Up to here loops over components are written out.
_LARGEST_UNROLLED = 16


class Coordinates:
    """Formulas of the positions, which can be differentiated.

    Parameters
    ----------
    formulas : tuple of str
    dim : int
        Of the positions.
    names : tuple of str
        Of their components, where the potential names them.

    Raises
    ------
    ValueError
        If a formula is not allowed.
    """

    def __init__(self, formulas: tuple[str, ...], dim: int, names: tuple[str, ...]) -> None:
        self.formulas, self.dim, self.names = formulas, dim, names
        variables = tuple(names_of_components(dim, names))
        self.generated = []
        for formula in formulas:
            try:
                self.generated.append(symbolic.generate(tidy(formula), variables, ()))
            except ValueError as error:
                raise ValueError(str(error).replace("expression", "coordinate", 1)) from None
        self.parameters = [np.array(generated.parameters({})) for generated in self.generated]

    @classmethod
    def of(cls, coordinate: str | Sequence[str], potential: Potential, most: int) -> Coordinates:
        """Those that a user gives, at most so many.

        Raises
        ------
        TypeError, ValueError
            If they are not formulas, or too many.
        """
        formulas = (coordinate,) if isinstance(coordinate, str) else coordinate
        if not isinstance(formulas, (list, tuple)) or not all(isinstance(f, str) for f in formulas):
            raise TypeError(
                "coordinate must be a formula such as 'x[0] - x[1]', whose gradient is the force of a bias; "
                f"got {checks.shorten(coordinate)}"
            )
        if not 1 <= len(formulas) <= most:
            allowed = "one formula" if most == 1 else f"one to {most} formulas"
            raise ValueError(f"coordinate must be {allowed}; got {checks.shorten(coordinate)}")
        return cls(tuple(formulas), potential.dim, tuple(getattr(potential, "variables", ())))

    def __len__(self) -> int:
        return len(self.formulas)

    def __reduce__(self) -> Any:
        return Coordinates, (self.formulas, self.dim, self.names)

    def values(self, x: np.ndarray) -> np.ndarray:
        """The coordinates of positions (..., dim), in double precision, (n_coordinates, ...)."""
        components = np.moveaxis(np.asarray(x, np.float64), -1, 0)
        with np.errstate(all="ignore"):
            values = [g.energy(components, p) for g, p in zip(self.generated, self.parameters, strict=True)]
        return np.array([np.broadcast_to(value, components.shape[1:]) for value in values])


class Bias(FunctionPotential):
    """A potential of one or two coordinates, as one of the positions: U(q(x)).

    Parameters
    ----------
    of : Potential
        Of the coordinates; built in.
    coordinates : Coordinates

    Notes
    -----
    ``potential + bias`` is compiled as one. Values of the arguments of `of` change without compiling anew.
    """

    of: CompiledPotential
    coordinates: Coordinates

    def __init__(self, of: CompiledPotential, coordinates: Coordinates) -> None:
        sizes = tuple(map(len, coordinates.parameters))
        both = tuple(Functions(*generated[:3]) for generated in coordinates.generated)
        super().__init__(
            dim=coordinates.dim,
            parameters=np.concatenate([*coordinates.parameters, of.parameters]),
            default_start=np.zeros(coordinates.dim),
            arguments={name: getattr(of, name) for name in of._arguments},
            of=of,
            coordinates=coordinates,
            functions=_bind(of.functions, both, sizes, coordinates.dim),
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the components, where the potential that is biased has names."""
        return self.coordinates.names

    def is_alike(self, other: Potential) -> bool:
        """See :meth:`Potential.is_alike`."""
        return isinstance(other, Bias) and self.functions == other.functions and self.of.is_alike(other.of)

    def with_values(self, values: dict[str, Any]) -> Bias:
        """See :meth:`Potential.with_values`."""
        of = self.of.with_values(values)
        assert isinstance(of, CompiledPotential)
        return Bias(of, self.coordinates)

    def made_by(self) -> None:
        """See :meth:`Potential.made_by`: it is given again."""

    def __repr__(self) -> str:
        formulas = self.coordinates.formulas
        return f"Bias({self.of!r}, {formulas[0] if len(formulas) == 1 else formulas!r})"

    def __reduce__(self) -> Any:
        return Bias, (self.of, self.coordinates)


@lru_cache(maxsize=256)
def _bind(of: Functions, coordinates: tuple[Functions, ...], sizes: tuple[int, ...], dim: int) -> Functions:
    """The functions of (x, g, p), where p holds the numbers of the coordinates, and then those of the potential."""
    ends = np.cumsum(sizes).tolist()
    own = [f"p[{end - size}:{end}]" for end, size in zip(ends, sizes, strict=True)]
    m = len(coordinates)
    names: dict[str, Any] = {"room": Room(dim), "few": Room(m), "of_gradient": of.gradient, "of_energy": of.energy}
    for i, functions in enumerate(coordinates):
        names |= {f"value_{i}": functions.energy, f"both_{i}": functions.energy_gradient}

    values = ["q = few(x)", *(f"q[{i}] = value_{i}(x, {own[i]})" for i in range(m))]
    slopes = ["q, s = few(x), few(x)"]
    for i in range(m):
        slopes += [f"d{i} = {'room(g)' if i else 'g'}", f"q[{i}] = both_{i}(x, d{i}, {own[i]})"]
    slopes.append(f"of_gradient(q, s, p[{ends[-1]}:])")
    total = " + ".join(f"s[{i}] * d{i}[{{c}}]" for i in range(m))
    if dim > _LARGEST_UNROLLED:
        slopes += [f"for c in range({dim}):", f"    g[c] = {total.format(c='c')}"]
    else:
        slopes += [f"g[{c}] = {total.format(c=c)}" for c in range(dim)]

    def function(head: str, lines: list[str]) -> Any:
        exec(f"def {head}:\n" + "".join(f"    {line}\n" for line in lines), names)
        return names[head.partition("(")[0]]

    return Functions(
        function("gradient(x, g, p)", slopes),
        function("energy(x, p)", [*values, f"return of_energy(q, p[{ends[-1]}:])"]),
        function("energy_gradient(x, g, p)", [*slopes, f"return of_energy(q, p[{ends[-1]}:])"]),
    )
