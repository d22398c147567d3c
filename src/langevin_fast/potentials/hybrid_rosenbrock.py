"""HybridRosenbrock: Rosenbrock chains in many dimensions, with known moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from .base import check_size
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    length = int(p[2])
    d = x[0] - p[1]
    ad = p[0] * d
    g[0] = ad + ad
    for start in range(1, len(x), length):
        for i in range(start, start + length):
            previous = 0 if i == start else i - 1
            bt = p[3 + i - 1] * (x[i] - x[previous] * x[previous])
            g[i] = bt + bt
            g[previous] = g[previous] - 4.0 * (x[previous] * bt)


def _energy(x: Any, p: Any) -> Any:
    length = int(p[2])
    d = x[0] - p[1]
    total = (p[0] * d) * d
    for start in range(1, len(x), length):
        for i in range(start, start + length):
            previous = 0 if i == start else i - 1
            t = x[i] - x[previous] * x[previous]
            total = total + (p[3 + i - 1] * t) * t
    return total


class HybridRosenbrock(CompiledPotential):
    r"""A Rosenbrock density in many dimensions, with known moments: blocks of curved chains that share x_1.

    .. math::
        U(x) = a (x_1 - \mu)^2 + \sum_{j=1}^{n_2} \sum_{i=2}^{n_1}
            b_{j,i} \left(x_{j,i} - x_{j,i-1}^2\right)^2, \qquad x_{j,1} = x_1

    The components are (x_1, x_{1,2}, ..., x_{1,n1}, x_{2,2}, ..., x_{n2,n1}): dim = (n1 - 1) n2 + 1. At kT =
    1, x_1 is normal with mean μ and variance 1/(2a), and x_{j,i} given the one before is normal with mean
    x_{j,i-1}² and variance 1/(2 b_{j,i}).

    Parameters
    ----------
    n1 : int
        Length of a block, the shared x_1 included, >= 2.
    n2 : int
        Number of blocks, >= 1.
    a : float
        Stiffness of the shared component, > 0.
    b : float or (n2, n1 - 1) array
        Stiffness of the curved links, > 0.
    mu : float, default 1
        Mean of the shared component.

    Notes
    -----
    Default start: the minimum, x_1 = μ and every x_{j,i} = x_{j,i-1}².

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above, `b` has another shape, or the
        minimum lies outside the range of double precision (a large μ squared n1 - 1 times).

    References
    ----------
    Pagani, Wiegand, Nadarajah: An n-dimensional Rosenbrock distribution for Markov chain Monte Carlo testing.
    Scand. J. Stat. 49, 657-680 (2022).

    Examples
    --------
    >>> HybridRosenbrock(3, 2, a=0.05, b=5.0)
    HybridRosenbrock(n1=3, n2=2, a=0.05, b=[[5.0, 5.0], [5.0, 5.0]], mu=1.0)
    """

    kind = "HybridRosenbrock"
    functions = Functions(_gradient, _energy)
    n1: int
    n2: int
    a: float
    b: FloatArray
    mu: float

    def __init__(self, n1: int, n2: int, a: float, b: npt.ArrayLike, mu: float = 1.0) -> None:
        n1 = checks.integer("n1", n1, minimum=2)
        n2 = checks.integer("n2", n2, minimum=1)
        check_size(f"n1={n1}, n2={n2}", (n1 - 1) * n2 + 1)
        a = checks.positive("a", a)
        links = checks.positive_array("b", b, shape=None if np.ndim(b) == 0 else (n2, n1 - 1))
        links = np.zeros((n2, n1 - 1)) + links
        mu = checks.finite("mu", mu)
        start = np.empty((n2, n1 - 1))
        value = mu
        for i in range(n1 - 1):
            value = value * value
            start[:, i] = value
            if value * value == value or value == math.inf:  # as all that follow
                start[:, i:] = value
                break
        super().__init__(
            dim=(n1 - 1) * n2 + 1,
            parameters=np.concatenate([[a, mu, n1 - 1], links.reshape(-1)]),
            default_start=np.concatenate([[mu], start.reshape(-1)]),
            arguments={"n1": n1, "n2": n2, "a": a, "b": links, "mu": mu},
        )
