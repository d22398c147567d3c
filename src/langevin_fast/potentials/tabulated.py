"""Tabulated: a cubic spline through energies on a uniform grid, in one or two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from ..math import floor, maximum, minimum, round, take, where
from .compiled import CompiledPotential

# What is outside of the table, as the parameters say it.
_OUTSIDE = {"clamp": 0.0, "periodic": 1.0, "harmonic": 2.0}
_LARGEST = 2**23  # parameters: their numbers must be exact in single precision


# --- the twin of cpp/potentials/tabulated.hpp -------------------------------------------------------------------------


def _cells(x: Any, p: Any, axis: int) -> Any:
    """The place in the table in cells, within a period."""
    t = (x - p[axis]) * p[axis + 1]
    if p[axis + 4] == 1.0:
        t = t - p[axis + 2] * floor(t * p[axis + 3])
    return t


def _inside(t: Any, p: Any, axis: int) -> Any:
    return where(t < 0.0, 0.0, where(t > p[axis + 2], p[axis + 2], t))


def _cell(inside: Any, p: Any, axis: int) -> Any:
    return minimum(maximum(round(inside - 0.5), 0.0), p[axis + 2] - 1.0)


def _slopes(below: Any) -> Any:
    above = 1.0 - below
    both = below * above
    return above * above, (both + both) + 1.0, below * below


def _slope(s: Any, b: Any) -> Any:
    return (s[0] * (b[1] - b[0]) + s[1] * (b[2] - b[1])) + s[2] * (b[3] - b[2])


def _weights(below: Any, s: Any, beyond: Any, p: Any, axis: int) -> Any:
    above = 1.0 - below
    w0, w1 = s[0] * above, 4.0 - (3.0 * s[2]) * (1.0 + above)
    w2, w3 = 4.0 - (3.0 * s[0]) * (1.0 + below), s[2] * below
    if p[axis + 4] == 2.0:
        d = 3.0 * beyond
        w0 = w0 - d * s[0]
        w1 = w1 + d * (s[0] - s[1])
        w2 = w2 + d * (s[1] - s[2])
        w3 = w3 + d * s[2]
    return w0, w1, w2, w3


def _value(w: Any, b: Any) -> Any:
    return ((w[0] * b[0] + w[1] * b[1]) + w[2] * b[2]) + w[3] * b[3]


def _end(slope: Any, t: Any, beyond: Any, p: Any, axis: int) -> Any:
    r = 3.0 * slope
    if p[axis + 4] == 0.0:
        r = where(t < 0.0, 0.0, where(t > p[axis + 2], 0.0, r))
    if p[axis + 4] == 2.0:
        r = r + p[axis + 5] * beyond
    return r * p[axis + 1]


def _wall(beyond: Any, p: Any, axis: int) -> Any:
    return (0.5 * p[axis + 5]) * (beyond * beyond)


def _coefficients(p: Any, i: Any) -> Any:
    return take(p, i), take(p, i + 1.0), take(p, i + 2.0), take(p, i + 3.0)


def _line_gradient(x: Any, g: Any, p: Any) -> None:
    t = _cells(x[0], p, 0)
    inside = _inside(t, p, 0)
    cell = _cell(inside, p, 0)
    g[0] = _end(_slope(_slopes(inside - cell), _coefficients(p, cell + 6.0)), t, t - inside, p, 0)


def _line_energy(x: Any, p: Any) -> Any:
    t = _cells(x[0], p, 0)
    inside = _inside(t, p, 0)
    cell = _cell(inside, p, 0)
    below, beyond = inside - cell, t - inside
    u = _value(_weights(below, _slopes(below), beyond, p, 0), _coefficients(p, cell + 6.0))
    if p[4] == 2.0:
        u = u + _wall(beyond, p, 0)
    return u


def _plane_gradient(x: Any, g: Any, p: Any) -> None:
    t, t2 = _cells(x[0], p, 0), _cells(x[1], p, 6)
    inside, inside2 = _inside(t, p, 0), _inside(t2, p, 6)
    cell, cell2 = _cell(inside, p, 0), _cell(inside2, p, 6)
    s, s2 = _slopes(inside - cell), _slopes(inside2 - cell2)
    w = _weights(inside - cell, s, t - inside, p, 0)
    w2 = _weights(inside2 - cell2, s2, t2 - inside2, p, 6)
    pitch = p[8] + 3.0
    i = (cell * pitch + cell2) + 12.0
    b0, b1 = _coefficients(p, i), _coefficients(p, i + pitch)
    b2, b3 = _coefficients(p, i + 2.0 * pitch), _coefficients(p, i + 3.0 * pitch)
    along = _value(w2, b0), _value(w2, b1), _value(w2, b2), _value(w2, b3)
    across = _slope(s2, b0), _slope(s2, b1), _slope(s2, b2), _slope(s2, b3)
    g[0] = _end(_slope(s, along), t, t - inside, p, 0)
    g[1] = _end(_value(w, across), t2, t2 - inside2, p, 6)


def _plane_energy(x: Any, p: Any) -> Any:
    t, t2 = _cells(x[0], p, 0), _cells(x[1], p, 6)
    inside, inside2 = _inside(t, p, 0), _inside(t2, p, 6)
    cell, cell2 = _cell(inside, p, 0), _cell(inside2, p, 6)
    w = _weights(inside - cell, _slopes(inside - cell), t - inside, p, 0)
    w2 = _weights(inside2 - cell2, _slopes(inside2 - cell2), t2 - inside2, p, 6)
    pitch = p[8] + 3.0
    i = (cell * pitch + cell2) + 12.0
    along = (
        _value(w2, _coefficients(p, i)),
        _value(w2, _coefficients(p, i + pitch)),
        _value(w2, _coefficients(p, i + 2.0 * pitch)),
        _value(w2, _coefficients(p, i + 3.0 * pitch)),
    )
    u = _value(w, along)
    if p[4] == 2.0:
        u = u + _wall(t - inside, p, 0)
    if p[10] == 2.0:
        u = u + _wall(t2 - inside2, p, 6)
    return u


# --- the coefficients -------------------------------------------------------------------------------------------------


def _tridiagonal(rhs: FloatArray) -> FloatArray:
    """Solve b[i - 1] + 4 b[i] + b[i + 1] = rhs[i] along the first axis, b being 0 beyond both ends."""
    b = rhs.copy()
    pivots = [4.0] * len(b)
    for i in range(1, len(b)):
        pivots[i] = 4.0 - 1.0 / pivots[i - 1]
        b[i] -= b[i - 1] / pivots[i - 1]
    for i in reversed(range(len(b))):
        b[i] = (b[i] - b[i + 1] if i + 1 < len(b) else b[i]) / pivots[i]
    return b


def _not_a_knot(f: FloatArray) -> FloatArray:
    """b[-1] to b[n + 1] of the spline through f[0] to f[n], whose first two and last two cells share a polynomial."""
    n = len(f) - 1
    b = np.empty((n + 3, *f.shape[1:]))
    inner = b[1:-1]  # those of the nodes
    # what a third derivative without a jump makes of the equations of the first three nodes
    inner[1] = (8.0 * f[1] - f[0] - f[2]) / 36.0
    inner[n - 1] = (8.0 * f[n - 1] - f[n] - f[n - 2]) / 36.0
    if n > 3:
        rhs = f[2 : n - 1].copy()
        rhs[0] -= inner[1]
        rhs[-1] -= inner[n - 1]
        inner[2 : n - 1] = _tridiagonal(rhs)
    inner[0] = f[1] - 4.0 * inner[1] - inner[2]
    inner[n] = f[n - 1] - 4.0 * inner[n - 1] - inner[n - 2]
    b[0] = f[0] - 4.0 * inner[0] - inner[1]
    b[n + 2] = f[n] - 4.0 * inner[n] - inner[n - 1]
    return b


def _periodic(f: FloatArray) -> FloatArray:
    """The same of the periodic spline; f[n], which repeats f[0], is not used."""
    n = len(f) - 1
    b = np.empty((n + 3, *f.shape[1:]))
    # everything but b[0], which couples to both ends, and then b[0]
    ends = np.zeros(n - 1)
    ends[0] -= 1.0
    ends[-1] -= 1.0
    response, rest = _tridiagonal(ends), _tridiagonal(f[1:n])
    b[1] = (f[0] - rest[0] - rest[-1]) / (4.0 + response[0] + response[-1])
    b[2 : n + 1] = rest + np.multiply.outer(response, b[1])
    b[0], b[n + 1], b[n + 2] = b[n], b[1], b[2]
    return b


_LINE, _PLANE = Functions(_line_gradient, _line_energy), Functions(_plane_gradient, _plane_energy)


class Tabulated(CompiledPotential):
    r"""A cubic spline through tabulated energies on a uniform grid, in one or two dimensions.

    U is twice continuously differentiable inside of the table and goes through every value; the gradient is the
    exact derivative of the spline. In a component that is not periodic the end conditions are *not-a-knot* (the
    third derivative is continuous at the last node but one, so that cubic polynomials are reproduced), in a periodic
    one the spline is periodic. In two dimensions it is the tensor product.

    Parameters
    ----------
    values : (n,) or (n, m) array
        Energies at the nodes, at least four along each axis.
    grid : (n,) array, or a pair of arrays (n,) and (m,)
        The nodes along each component: ascending and uniform to 1e-6 of their distance h, length.
    outside : {"clamp", "periodic", "harmonic"}, or a pair of them
        What U is outside of the table, for each component. Keyword only.

        "clamp"
            The value at the end: no force, so that particles diffuse freely there.
        "periodic"
            The table repeats. Its last value must be equal to the first one (to 1e-9 of the range of the values):
            both ends are the same place. Positions are not wrapped.
        "harmonic"
            The spline goes on along its tangent, plus a wall: U(end) + U'(end) d + k d²/2 at the distance d. The force
            is continuous.
    stiffness : float or pair, optional
        k of "harmonic" components, energy/length², >= 0; 0 goes on linearly. In a pair, None for a component of another
        kind. Keyword only.

    Notes
    -----
    Default start: the node with the lowest value (the first of them).

    A gradient reads four neighbouring coefficients in one dimension and sixteen in two, whatever the size of the
    table; tables that do not fit into the caches are slower.

    Raises
    ------
    TypeError, ValueError
        An entry is not a finite number or is masked, the shapes do not fit, there are fewer than four nodes along an
        axis or more than 2**23 in all, the grid is not ascending and uniform, `outside` is unknown, the values of a
        periodic component do not close, or `stiffness` is missing, negative or not wanted.

    Examples
    --------
    >>> import numpy as np
    >>> phi = np.linspace(-np.pi, np.pi, 37)
    >>> Tabulated(1.5 * np.cos(3.0 * phi), phi, outside="periodic")
    Tabulated(values=<array of shape (37,)>, grid=<array of shape (37,)>, outside='periodic')
    """

    kind = "Tabulated"
    values: FloatArray
    outside: str | tuple[str, str]
    stiffness: float | tuple[float | None, float | None] | None
    _nodes_0: FloatArray
    _nodes_1: FloatArray | None

    def __init__(
        self,
        values: npt.ArrayLike,
        grid: npt.ArrayLike | Sequence[npt.ArrayLike],
        *,
        outside: str | Sequence[str],
        stiffness: float | Sequence[float | None] | None = None,
    ) -> None:
        energies = _unmasked("values", values, ndim=(1, 2))
        dim = energies.ndim
        nodes = [_nodes(name, axis) for name, axis in _per_component("grid", grid, dim)]
        kinds = [
            checks.one_of(name, kind, tuple(_OUTSIDE))
            for name, kind in _per_component("outside", outside, dim, shared=isinstance(outside, str))
        ]
        shared = not isinstance(stiffness, (Sequence, np.ndarray))
        walls = [
            _wall_stiffness(name, k, kind, shared and "harmonic" in kinds)
            for (name, k), kind in zip(_per_component("stiffness", stiffness, dim, shared=shared), kinds, strict=True)
        ]
        shape = tuple(map(len, nodes))
        if energies.shape != shape:
            raise ValueError(f"values must have the shape of the grid, {shape}, got {energies.shape}")

        numbers: list[float] = []
        table = energies
        with np.errstate(all="ignore"):  # what overflows is found below
            for c, (axis, kind, k) in enumerate(zip(nodes, kinds, walls, strict=True)):
                n = len(axis) - 1
                h = _spacing(axis)
                numbers += [float(axis[0]), 1.0 / h, n, 1.0 / n, _OUTSIDE[kind], (0.0 if k is None else k * h) * h]
                if kind == "periodic":
                    _see_that_they_close(energies, c)
                solve = _periodic if kind == "periodic" else _not_a_knot
                table = np.moveaxis(solve(np.moveaxis(table, c, 0)), 0, c)
        if len(numbers) + table.size > _LARGEST:
            raise ValueError(f"values must have fewer than 2**23 entries, got the shape {energies.shape}")
        super().__init__(
            dim=dim,
            parameters=np.concatenate([numbers, table.reshape(-1)]),
            default_start=[
                axis[i] for axis, i in zip(nodes, np.unravel_index(int(np.argmin(energies)), shape), strict=True)
            ],
            arguments={
                "values": energies,
                "outside": kinds[0] if dim == 1 else tuple(kinds),
                "stiffness": walls[0] if dim == 1 else None if walls == [None, None] else tuple(walls),
            },
            functions=_LINE if dim == 1 else _PLANE,
            _nodes_0=nodes[0],
            _nodes_1=nodes[1] if dim == 2 else None,
        )

    def with_values(self, values: dict[str, Any]) -> Tabulated:
        """See :meth:`Potential.with_values`."""
        own = {name: getattr(self, name) for name in self._arguments}
        return Tabulated(grid=self.grid, **{**own, **values})

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        return Tabulated, {"grid": self.grid, **{name: getattr(self, name) for name in self._arguments}}

    @property
    def grid(self) -> FloatArray | tuple[FloatArray, FloatArray]:
        """The nodes: (n,), or a pair of (n,) and (m,) in two dimensions (read-only)."""
        return self._nodes_0 if self._nodes_1 is None else (self._nodes_0, self._nodes_1)

    def __repr__(self) -> str:
        grid = checks.shorten(self._nodes_0)
        if self._nodes_1 is not None:
            grid = f"({grid}, {checks.shorten(self._nodes_1)})"
        wall = "" if self.stiffness is None else f", stiffness={self.stiffness!r}"
        return f"Tabulated(values={checks.shorten(self.values)}, grid={grid}, outside={self.outside!r}{wall})"


# --- arguments --------------------------------------------------------------------------------------------------------


def _per_component(name: str, value: Any, dim: int, *, shared: bool = False) -> list[tuple[str, Any]]:
    """The argument of each component with its name; `shared` where it is one for all."""
    if dim == 1 or shared:
        return [(name, value)] * dim
    if not isinstance(value, (Sequence, np.ndarray)) or len(value) != dim:
        raise ValueError(f"{name} must have one entry for each of the two axes of values, got {checks.shorten(value)}")
    return [(f"{name}[{c}]", part) for c, part in enumerate(value)]


def _unmasked(name: str, value: Any, ndim: int | tuple[int, ...]) -> FloatArray:
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must have no masked entries, got {checks.shorten(value)}")
    return checks.finite_array(name, value, ndim=ndim)


def _spacing(nodes: FloatArray) -> float:
    return float((nodes[-1] - nodes[0]) / (len(nodes) - 1))


def _nodes(name: str, value: Any) -> FloatArray:
    """An ascending, uniform grid."""
    nodes = _unmasked(name, value, ndim=1)
    if len(nodes) < 4:
        raise ValueError(f"{name} must have at least 4 nodes, got {checks.shorten(value)}")
    with np.errstate(over="ignore", invalid="ignore"):
        h = _spacing(nodes)
        off = np.abs(nodes - (nodes[0] + h * np.arange(len(nodes))))
    if not (h > 0.0 and np.isfinite(h)):
        raise ValueError(f"{name} must be ascending and within the range of double precision, got {name}[0] = "
                         f"{float(nodes[0])!r} and {name}[-1] = {float(nodes[-1])!r}")  # fmt: skip
    i = int(np.argmax(off))
    if off[i] > 1e-6 * h:
        raise ValueError(
            f"{name} must be uniform to 1e-6 of the distance of its nodes ({h!r}), got {name}[{i}] = "
            f"{float(nodes[i])!r} where {float(nodes[0] + i * h)!r} should be: interpolate to a uniform grid first"
        )
    return nodes


def _wall_stiffness(name: str, value: Any, kind: str, shared: bool) -> float | None:
    if kind == "harmonic":
        if value is None:
            raise ValueError(f'{name} must be given where outside is "harmonic": a finite number >= 0')
        return checks.non_negative(name, value)
    if value is not None and not shared:
        raise ValueError(f'{name} must be None where outside is {kind!r} (only "harmonic" has one), got {value!r}')
    return None


def _see_that_they_close(values: FloatArray, axis: int) -> None:
    """That a periodic component has the same values at both ends."""
    first, last = np.take(values, 0, axis), np.take(values, -1, axis)
    gap = float(np.max(np.abs(last - first)))
    if not gap <= 1e-9 * float(np.max(values) - np.min(values)):
        raise ValueError(
            f"values must be the same at both ends of a periodic component, which are the same place; along axis "
            f"{axis} they differ by {gap!r}. Where the last value is missing, append the first one, and its node"
        )
