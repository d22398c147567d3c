"""Sum: potentials with weights, added up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..functions import Functions, Room
from ..schedules import Schedule
from .base import Potential
from .batch import Batch
from .compiled import FunctionPotential
from .driven import Driven

# Up to here loops over components are written out: on a GPU the gradient then stays in registers.
_LARGEST_UNROLLED = 16
# The room for a term's gradient lies on the stack of a thread: 256 KiB with AVX-512.
_LARGEST_DIM = 4096


class _OfTerms(Potential):
    """What sums have in common, however they are computed."""

    terms: tuple[Potential, ...]
    weights: tuple[float, ...]

    @property
    def has_energy(self) -> bool:  # type: ignore[override]
        """Whether U is known of every term."""
        return all(term.has_energy for term in self.terms)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the components, where the terms that have names agree; else none."""
        names = {term.variables for term in self.terms if hasattr(term, "variables")}
        return names.pop() if len(names) == 1 else ()

    def is_alike(self, other: Potential) -> bool:
        """See :meth:`Potential.is_alike`."""
        return (
            isinstance(other, _OfTerms)
            and type(self) is type(other)
            and len(self.terms) == len(other.terms)
            and all(a.is_alike(b) for a, b in zip(self.terms, other.terms, strict=True))
        )

    def with_values(self, values: dict[str, Any]) -> Potential:
        """See :meth:`Potential.with_values`; "1.k" is the argument k of terms[1], "1.weight" its weight."""
        terms, weights = list(self.terms), list(self.weights)
        for i, own in _by_term(values).items():
            weights[i] = own.pop("weight", weights[i])
            terms[i] = terms[i].with_values(own) if own else terms[i]
        return Sum(terms, weights)

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        return Sum, {"terms": self.terms, "weights": self.weights}

    def __repr__(self) -> str:
        return _shown(self.terms, self.weights)

    def __reduce__(self) -> Any:
        return Sum, (self.terms, self.weights)


class Sum(_OfTerms, FunctionPotential):
    r"""A sum of potentials with weights, compiled as one.

    .. math::
        U(x) = w_0 U_0(x) + w_1 U_1(x) + \dots

    ``a + b``, ``a - b``, ``2.0 * a``, ``a / kT``, ``-a`` and ``sum([a, b, c])`` make one; sums of sums become one sum.
    U and each component of ∇U are added up from left to right, each term times its weight (1 as well).

    Parameters
    ----------
    terms : sequence of potentials
        With one number of components. `Batch` and what else Numba does not compile are allowed: the sum is then
        computed for all particles at once, on ``backend="batch"``.
    weights : sequence of float or Schedule, optional
        One for each term. Default: 1. A number and a `Schedule` may both be factors of one term, two schedules not.

    Attributes
    ----------
    terms : tuple of Potential
    weights : tuple of float
    variables : tuple of str
        Names of the components, where the terms that have names (`Expression`) agree on them.

    Notes
    -----
    Default start: that of the first term. There is an energy where every term has one. A term may change in time (hold
    a `Schedule`); :meth:`langevin_fast.Simulation.update` knows the arguments of a term by its index:
    ``{"1.k": 2.0, "1.weight": 0.5}``. Other values of parameters and weights compile nothing anew.

    Raises
    ------
    TypeError
        A term is no potential, or a weight no number.
    ValueError
        There are no terms or not as many weights, the terms differ in their number of components, there are more than
        4096 of those in a sum of several terms, a weight is not finite, two schedules meet, or a sum with a term that
        is not compiled is to change in time.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> bias = lf.potentials.Expression("k*(x - x0)**2/2", variables="x y", k=100.0, x0=-0.5)
    >>> lf.potentials.MullerBrown() + 2.0 * bias
    MullerBrown(scale=1.0) + 2.0 * Expression('k*(x - x0)**2/2', variables=('x', 'y'), k=100.0, x0=-0.5)
    """

    def __new__(cls, terms: Sequence[Potential], weights: Sequence[float | Schedule] | None = None) -> Potential:  # type: ignore[misc]
        """See how it is to be computed: compiled, for all particles at once, or with numbers that change in time."""
        flat, factors = _flat(terms, weights)
        foreign = next((i for i, term in enumerate(flat) if "numba" not in term.backends), None)
        if any(isinstance(part, (Driven, Schedule)) for part in (*flat, *factors)):
            if foreign is not None:
                raise ValueError(
                    f"terms[{foreign}] is {flat[foreign]!r}, which is not compiled: a sum with it cannot change in time"
                )
            return DrivenSum.of_terms(flat, factors)
        return BatchSum(flat, factors) if foreign is not None else object.__new__(cls)

    def __init__(self, terms: Sequence[Potential], weights: Sequence[float | Schedule] | None = None) -> None:
        flat, factors = _flat(terms, weights)
        dim, sizes = flat[0].dim, tuple(len(term.parameters) for term in flat)
        if len(flat) > 1 and dim > _LARGEST_DIM:
            raise ValueError(f"terms have {dim} components; a sum of several has at most {_LARGEST_DIM}")
        super().__init__(
            dim=dim,
            parameters=np.concatenate(
                [part for w, u in zip(factors, flat, strict=True) for part in ([w], u.parameters)]
            ),
            infinite_parameters=True,  # the terms have looked at theirs
            default_start=flat[0].default_start,
            arguments=_arguments(flat, factors),
            terms=flat,
            weights=factors,
            functions=_bind(tuple(term.functions for term in flat), sizes, dim),
        )

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Potential.parameters_of`."""
        m, given = len(next(iter(values.values()))), _by_term(values)
        columns = []
        for i, (term, weight) in enumerate(zip(self.terms, self.weights, strict=True)):
            own = given.get(i, {})
            columns.append(np.broadcast_to(np.reshape(own.pop("weight", weight), (-1, 1)), (m, 1)))
            columns.append(term.parameters_of(own) if own else np.tile(term.parameters, (m, 1)))
        return np.concatenate(columns, axis=1)


class BatchSum(_OfTerms, Batch):
    """A sum with terms that are not compiled: each computes its part for all particles at once."""

    kind = "Sum"

    @property
    def type_name(self) -> str:
        """What messages say that it is."""
        foreign = next(term for term in self.terms if "numba" not in term.backends)
        return f"a Sum with {foreign.type_name}"

    def __init__(self, terms: tuple[Potential, ...], weights: tuple[float, ...]) -> None:
        Potential.__init__(
            self,
            dim=terms[0].dim,
            default_start=terms[0].default_start,
            arguments=_arguments(terms, weights),
            terms=terms,
            weights=weights,
        )

    def batch_gradient(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Batch`."""
        return self._added([term.gradient(x) for term in self.terms])

    def batch_energy(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Batch`."""
        return self._added([term.energy(x) for term in self.terms])

    def batch_energy_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Batch`."""
        pairs = [
            term.batch_energy_gradient(x) if isinstance(term, Batch) else (term.energy(x), term.gradient(x))
            for term in self.terms
        ]
        return self._added([u for u, _ in pairs]), self._added([g for _, g in pairs])

    def _added(self, parts: list[npt.NDArray[Any]]) -> np.ndarray:
        total = self.weights[0] * parts[0]
        for weight, part in zip(self.weights[1:], parts[1:], strict=True):
            total += weight * part
        return total


class DrivenSum(Driven):
    """A sum some of whose numbers change in time."""

    _first: Sum

    @classmethod
    def of_terms(cls, terms: tuple[Potential, ...], weights: tuple[float | Schedule, ...]) -> DrivenSum:
        """From terms and weights, schedules among them."""
        schedules = {f"{i}.weight": weight for i, weight in enumerate(weights) if isinstance(weight, Schedule)}
        for i, term in enumerate(terms):
            if isinstance(term, Driven):
                schedules |= {f"{i}.{name}": schedule for name, schedule in term.schedules.items()}
        first = Sum(
            [term.first if isinstance(term, Driven) else term for term in terms],
            [float(w.values[0]) if isinstance(w, Schedule) else w for w in weights],
        )
        return cls(first, schedules)

    @property
    def terms(self) -> tuple[Potential, ...]:
        """The terms, some of which may change in time."""
        given = _by_term(self._schedules)
        own = [{k: v for k, v in given.get(i, {}).items() if k != "weight"} for i in range(len(self._first.terms))]
        return tuple(Driven(u, changing) if changing else u for u, changing in zip(self._first.terms, own, strict=True))

    @property
    def weights(self) -> tuple[float | Schedule, ...]:
        """The weights, some of which may change in time."""
        return tuple(self._schedules.get(f"{i}.weight", weight) for i, weight in enumerate(self._first.weights))

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        return Sum, {"terms": self.terms, "weights": self.weights}

    def __repr__(self) -> str:
        return _shown(self.terms, self.weights)


# --- terms and weights ------------------------------------------------------------------------------------------------


def _flat(terms: Any, weights: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Checked terms, none of which is a sum, and their weights."""
    if isinstance(terms, (Potential, str)) or not isinstance(terms, Sequence):
        raise TypeError(f"terms must be a sequence of potentials; got {checks.shorten(terms)}")
    if not terms:
        raise ValueError("terms is empty; a sum has one term or more")
    for i, term in enumerate(terms):
        if not isinstance(term, Potential):
            raise TypeError(f"terms[{i}] must be a langevin_fast potential; got {checks.shorten(term)}")
        if term.dim != terms[0].dim:
            raise ValueError(
                "terms must have one number of components; "
                f"got {terms[0].dim} of {terms[0]!r} and {term.dim} of {term!r}"
            )
    factors = [1.0] * len(terms) if weights is None else list(weights)
    if len(factors) != len(terms):
        raise ValueError(f"weights must hold one for each of {len(terms)} terms; got {checks.shorten(weights)}")
    factors = [_weight(i, weight) for i, weight in enumerate(factors)]
    flat: list[Potential] = []
    together: list[float | Schedule] = []
    for term, factor in zip(terms, factors, strict=True):
        inner = (term.terms, term.weights) if isinstance(term, (_OfTerms, DrivenSum)) else ((term,), (1.0,))
        flat += inner[0]
        together += [_product(factor, weight) for weight in inner[1]]
    return tuple(flat), tuple(together)


def _weight(i: int, weight: Any) -> float | Schedule:
    if not isinstance(weight, Schedule):
        return checks.finite(f"weights[{i}]", weight)
    if weight.values.ndim != 1:
        raise ValueError(f"weights[{i}] must be one number at each time; got {weight!r}")
    return weight


def _product(a: float | Schedule, b: float | Schedule) -> float | Schedule:
    if isinstance(a, Schedule) and isinstance(b, Schedule):
        raise ValueError(f"weights: one term has two that change in time, {a!r} and {b!r}; give their product")
    if isinstance(a, Schedule):
        a, b = b, a
    assert not isinstance(a, Schedule)
    if isinstance(b, Schedule):
        return Schedule(b.times, a * b.values)
    return checks.finite("weights: their product", a * b)


def _arguments(terms: tuple[Potential, ...], weights: tuple[float, ...]) -> dict[str, Any]:
    """Everything that can be changed, by index and name."""
    found: dict[str, Any] = {}
    for i, (term, weight) in enumerate(zip(terms, weights, strict=True)):
        found |= {f"{i}.weight": weight, **{f"{i}.{name}": getattr(term, name) for name in term._arguments}}
    return found


def _by_term(values: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Values of arguments of a sum, for each term by their own names."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        index, _, own = name.partition(".")
        found.setdefault(int(index), {})[own] = value
    return found


def _shown(terms: Sequence[Potential], weights: Sequence[float | Schedule]) -> str:
    text = ""
    for term, weight in zip(terms, weights, strict=True):
        negative = not isinstance(weight, Schedule) and weight < 0.0
        size = -weight if negative else weight  # type: ignore[operator]
        sign = ("- " if negative else "+ ") if text else "-" if negative else ""
        text += f"{' ' if text else ''}{sign}{'' if size == 1.0 else f'{size!r} * '}{term!r}"
    return text


# --- functions --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _bind(terms: tuple[Functions, ...], sizes: tuple[int, ...], dim: int) -> Functions:
    """The functions of (x, g, p), where p holds for each term its weight and its parameters.

    The same object for the same functions, so that sums that differ in numbers share their code.
    """
    numbers = {functions: i for i, functions in enumerate(dict.fromkeys(terms))}
    begins = [sum(sizes[:i]) + i for i in range(len(sizes))]
    places = [
        (str(numbers[functions]), f"p[{begin}]", f"p[{begin + 1}:{begin + 1 + size}]", functions)
        for functions, begin, size in zip(terms, begins, sizes, strict=True)
    ]
    namespace: dict[str, Any] = {"room": Room(dim)}
    for functions, i in numbers.items():
        namespace |= {f"{which}_{i}": function for which, function in functions._asdict().items()}

    def each_component(line: str) -> list[str]:
        if dim > _LARGEST_UNROLLED:
            return [f"for c in range({dim}):", "    " + line.format(c="c")]
        return [line.format(c=c) for c in range(dim)]

    def gradient(*, energy: bool) -> list[str]:
        lines = ["h = room(g)"] if len(terms) > 1 else []
        for i, (number, weight, parameters, functions) in enumerate(places):
            into = "h" if i else "g"
            before = f"u + {weight}" if i else weight
            if energy and functions.energy_gradient is not None:
                lines.append(f"u = {before} * energy_gradient_{number}(x, {into}, {parameters})")
            else:
                lines.append(f"gradient_{number}(x, {into}, {parameters})")
                if energy:
                    lines.append(f"u = {before} * energy_{number}(x, {parameters})")
            lines += each_component(
                f"g[{{c}}] = g[{{c}}] + {weight} * h[{{c}}]" if i else f"g[{{c}}] = {weight} * g[{{c}}]"
            )
        return [*lines, "return u"] if energy else lines

    def function(head: str, lines: list[str]) -> Any:
        exec(f"def {head}:\n" + "".join(f"    {line}\n" for line in lines), namespace)
        return namespace[head.partition("(")[0]]

    if any(functions.energy is None for functions in terms):
        return Functions(function("gradient(x, g, p)", gradient(energy=False)))
    energy = [f"u = {'u + ' if i else ''}{w} * energy_{n}(x, {p})" for i, (n, w, p, _) in enumerate(places)]
    return Functions(
        function("gradient(x, g, p)", gradient(energy=False)),
        function("energy(x, p)", [*energy, "return u"]),
        function("energy_gradient(x, g, p)", gradient(energy=True)),
    )
