"""What observers look at: from a formula, a Python function or a name to the sources that the loops read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .. import checks, symbolic
from .. import math as lf_math
from ..backends.problem import Problem, Source
from ..fingerprints import fingerprint
from ..functions import Functions
from ..regions import Region
from .intervals import interval

_COMPONENT = re.compile(r"([xv])\s*\[\s*(\d+)\s*\]")


class Function:
    """A number that is computed of a particle; compiled when it is first used.

    Parameters
    ----------
    given : str or callable
        A formula, or a function of x, of (x, v) or of (x, v, energy).
    dim : int
    names : tuple of str
        Those of the potential's variables.
    output : int or None
        Which number of those that it returns; None: it returns one.
    condition : bool
        Whether it is a condition: the number is then 1 or 0.
    """

    def __init__(self, given: Any, dim: int, names: tuple[str, ...], output: int | None, *, condition: bool) -> None:
        self._made_of = given, dim, names, output, condition
        self.functions, self.reads_velocities, self.reads_energy = _functions(*self._made_of)
        self.of_positions = not (self.reads_velocities or self.reads_energy)
        self._dim = dim

    @property
    def key(self) -> Any:
        """What makes it this one."""
        return self._made_of

    @cached_property
    def identity(self) -> Any:
        """What is the same where it is this one, in another process too."""
        given, *rest = self._made_of
        return given if isinstance(given, str) else fingerprint(given), *rest

    def __reduce__(self) -> Any:
        *made_of, condition = self._made_of
        return _remake, (*made_of, condition)

    def addresses(self, dtype: Any) -> tuple[int, int]:
        """See :class:`langevin_fast.backends.problem.Evaluated`."""
        from ..jit import groups

        n = self._dim if self.of_positions else 2 * self._dim + 1
        name, lanes = np.dtype(dtype).name, groups.vector_lanes(dtype)
        code = [groups.compile_group(self.functions, "energy", n, 0, name, width) for width in (lanes, 1)]
        self.__dict__.setdefault("_code", {})[name] = code  # kept alive
        return code[0].address, code[1].address


def _remake(given: Any, dim: int, names: tuple[str, ...], output: int | None, condition: bool) -> Function:
    return Function(given, dim, names, output, condition=condition)


@lru_cache(maxsize=256)
def _functions(
    given: Any, dim: int, names: tuple[str, ...], output: int | None, condition: bool
) -> tuple[Functions, bool, bool]:
    """The function as an energy of numbers z, which are x, or x, v and U; and whether it reads v, and U."""
    if isinstance(given, str):
        return _of_formula(given, dim, names, condition=condition)
    count = n_arguments("f", given)
    where = lf_math.where
    end = 2 * dim

    if count == 1:

        def call(z):  # type: ignore[no-untyped-def]
            return given(z)
    elif count == 2:

        def call(z):  # type: ignore[no-untyped-def]
            return given(z[:dim], z[dim:end])
    else:

        def call(z):  # type: ignore[no-untyped-def]
            return given(z[:dim], z[dim:end], z[end])

    if condition:

        def energy(z, p):  # type: ignore[no-untyped-def]
            return where(call(z), 1.0, 0.0)
    elif output is None:

        def energy(z, p):  # type: ignore[no-untyped-def]
            return call(z)
    else:

        def energy(z, p):  # type: ignore[no-untyped-def]
            return call(z)[output]

    return Functions(_no_gradient, energy), count == 2, count > 2


def _no_gradient(z: Any, g: Any, p: Any) -> None:
    raise NotImplementedError


def _of_formula(text: str, dim: int, names: tuple[str, ...], *, condition: bool) -> tuple[Functions, bool, bool]:
    variables = names_of_components(dim, names)
    taken = {name for several in variables for name in several}
    for c in range(dim):
        variables.append((f"v[{c}]", "v") if dim == 1 and "v" not in taken else (f"v[{c}]",))
    variables.append(("energy",) if "energy" not in taken else ("U",))
    text = tidy(text)
    generated = symbolic.generate(f"where({text}, 1, 0)" if condition else text, tuple(variables), ())
    velocities = {name for several in variables[dim:-1] for name in several}
    used = generated.names
    return Functions(_no_gradient, generated.energy), bool(used & velocities), bool(used & set(variables[-1]))


def names_of_components(dim: int, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What formulas may call each component; `names`: those of the potential's variables."""
    bare = ("x",) if dim == 1 and names[:1] != ("x",) else ()
    return [(f"x[{c}]", *bare, *names[c : c + 1]) for c in range(dim)]


def tidy(text: str) -> str:
    """A formula whose components are written as they are known."""
    return _COMPONENT.sub(r"\1[\2]", text)


def n_arguments(name: str, function: Callable[..., Any]) -> int:
    """How many arguments a function has that are to be given."""
    function = getattr(function, "py_func", function)
    parameters = inspect.signature(function).parameters.values()
    n = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)
    if not 1 <= n <= 3:
        raise TypeError(f"{name}={function!r} must take x, (x, v) or (x, v, energy); it takes {n} arguments")
    return n


def sources(name: str, given: Any, problem: Problem, *, condition: bool = False) -> tuple[Source, ...]:
    """What an argument `name` of an observer asks for; several where it is a list or returns several numbers.

    Raises
    ------
    TypeError, ValueError
        If it is not allowed for this potential and scheme.
    """
    if isinstance(given, (list, tuple)):
        if not given:
            raise ValueError(f"{name} is empty")
        return tuple(source for one in given for source in sources(name, one, problem, condition=condition))
    potential = problem.potential
    dim = potential.dim
    names = tuple(getattr(potential, "variables", ()))
    formula = given.formula(dim) if isinstance(given, Region) else given
    if (
        condition
        and isinstance(formula, str)
        and (inside := interval(given, _components(dim, names), dim, problem.dtype))
    ):
        return (inside,)
    given = formula
    if isinstance(given, str):
        source = None if condition else _named(given, dim, names)
        try:
            found = [source or Source("function", function=Function(given, dim, names, None, condition=condition))]
        except ValueError as error:
            raise ValueError(_renamed(str(error), name, given, condition=condition)) from None
    elif callable(given):
        outputs = _outputs(name, given, potential.default_start)
        if condition:
            outputs = [None]
        found = [
            Source("function", function=Function(given, dim, names, output, condition=condition)) for output in outputs
        ]
    else:
        kinds = "a formula or a function" + (", or one of lf.regions" if condition else "")
        raise TypeError(f"{name} must be {kinds}; got {checks.shorten(given)}")
    for source in found:
        _check(name, given, source, problem)
    return tuple(found)


def _components(dim: int, names: tuple[str, ...]) -> dict[str, int]:
    """The number of each component by what formulas call it."""
    found = {f"x[{c}]": c for c in range(dim)} | {name: c for c, name in enumerate(names)}
    return {"x": 0, **found} if dim == 1 else found


def _renamed(message: str, name: str, text: str, *, condition: bool) -> str:
    if condition:
        message = message.replace(repr(f"where({text}, 1, 0)"), repr(text))
    return re.sub(r"^expression", name, message)


def _named(text: str, dim: int, names: tuple[str, ...]) -> Source | None:
    """What needs no formula: a component or the energy."""
    stripped = text.strip()
    if match := _COMPONENT.fullmatch(stripped):
        component = int(match[2])
        if component < dim:
            return Source("position" if match[1] == "x" else "velocity", component)
        return None
    if stripped in names:
        return Source("position", names.index(stripped))
    if dim == 1 and stripped in ("x", "v"):
        return Source("position" if stripped == "x" else "velocity")
    return Source("energy") if stripped == "energy" else None


def _outputs(name: str, function: Callable[..., Any], start: np.ndarray) -> Sequence[int | None]:
    plain = getattr(function, "py_func", function)
    arguments = (start.copy(), np.zeros_like(start), 0.0)[: n_arguments(name, function)]
    try:
        with np.errstate(all="ignore"):
            result = plain(*arguments)
    except (ArithmeticError, ValueError):  # it is not defined there
        return [None]
    except Exception as error:
        raise TypeError(f"{name}={function!r} fails at x={start.tolist()}: {error}") from error
    if isinstance(result, (tuple, list)):
        return range(len(result))
    if np.ndim(result) != 0:
        raise TypeError(
            f"{name}={function!r} must return a number, or a tuple of numbers; it returned {checks.shorten(result)}"
        )
    return [None]


def _check(name: str, given: Any, source: Source, problem: Problem) -> None:
    velocities = "uses_velocities" in problem.program.properties
    reads = source.quantity == "velocity" or (
        isinstance(source.function, Function) and source.function.reads_velocities
    )
    if reads and not velocities:
        raise ValueError(f"{name}={checks.shorten(given)} reads velocities, which an overdamped scheme does not have")
    if source.reads_energy and not problem.potential.has_energy:
        raise ValueError(f"{name}={checks.shorten(given)} reads the energy, which {problem.potential!r} does not have")
