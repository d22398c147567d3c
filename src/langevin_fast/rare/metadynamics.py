"""Well-tempered metadynamics: walkers that fill the wells they are in, on one grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import arguments, checks
from ..backends.problem import Problem, Recording, Table
from ..boundaries import Boundary
from ..errors import Interrupted
from ..keywords import hinting
from ..memory import check_memory
from ..potentials.base import Potential
from ..potentials.sum import Sum
from ..progress import Progress
from ..schemes import Scheme
from ..stepping import Stepper
from .bias import Bias, Coordinates
from .grid import Grid, Spline
from .hills import Deposit, Hills, MetadynamicsResult
from .walkers import one_temperature


class _Now(NamedTuple):
    """After the deposit of a step: the spline, what the kernels read, and how many deposits there are."""

    step: int
    coefficients: np.ndarray
    table: Table
    n_deposits: int


class _Depositing:
    """The seam at which hills are deposited, and the numbers that steps use between two of them.

    Everything that a deposit changes is replaced by one assignment, so Ctrl-C comes before it or after it; one that was
    missed is made up for when the run goes on.
    """

    most_steps = 2**60
    recordings: Sequence[Recording] = ()

    def __init__(self, hills: Hills, beginning: arguments.Beginning) -> None:
        self.hills = hills
        self.problem = dataclasses.replace(beginning.problem, changes=self)
        self.stepper = Stepper.of(beginning._replace(problem=self.problem))
        self.deposits: list[Deposit] = []
        nothing = np.zeros(hills.grid.shape)
        self.now = _Now(0, nothing, self._table(nothing), 0)

    def _table(self, coefficients: np.ndarray) -> Table:
        """The bias is the last term of the sum, and its table comes last there."""
        numbers = self.hills.grid.parameters(coefficients)[len(self.hills.grid.numbers) :]
        parameters = self.problem.parameters.copy()
        parameters[0, parameters.shape[1] - len(numbers) :] = numbers
        return Table(parameters, self.problem.program, None)

    def table(self, problem: Problem, first_step: int, n: int) -> Table:
        """See :class:`langevin_fast.backends.problem.Rows`."""
        return self.now.table

    def potential_after(self, problem: Problem, step: int) -> Potential:
        """See :class:`langevin_fast.backends.problem.Rows`."""
        potential = problem.potential
        assert isinstance(potential, Sum)
        return potential.with_values({f"{len(potential.terms) - 1}.coefficients": self.now.coefficients})

    def next_step(self, step: int) -> int:
        """See :class:`langevin_fast.stepping.Seam`."""
        return (step // self.hills.stride + 1) * self.hills.stride

    def reached(self) -> None:
        """Deposit where it is due."""
        state = self.stepper.state
        if state.step % self.hills.stride or state.step == self.now.step:
            return
        _, coefficients, _, n = self.now
        deposit = self.hills.deposit(state.shown(self.problem.walls).positions, coefficients)
        coefficients = coefficients + self.hills.coefficients(deposit)
        del self.deposits[n:]
        self.deposits.append(deposit)
        self.stepper.recent.clear()  # steps before were made with other numbers
        self.now = _Now(state.step, coefficients, self._table(coefficients), n + 1)


class Metadynamics:
    """Well-tempered metadynamics (A. Barducci, G. Bussi, M. Parrinello, Phys. Rev. Lett. 100 (2008) 020603).

    After every `stride`-th step, each walker adds a Gaussian to a bias V(q), where it stands. Its height is ``height *
    exp(-V/(kT (bias_factor - 1)))``, so that in the end V = -(1 - 1/bias_factor) F + constant: walkers move in q as if
    the free energy F were divided by `bias_factor`. All walkers feel and build one bias (P. Raiteri et al., J. Phys.
    Chem. B 110 (2006) 3533).

    Parameters
    ----------
    potential : Potential
        Compiled, without schedules.
    scheme : Scheme
        With one kT.
    coordinate : str, or sequence of two
        Formulas such as ``"x[0]"``, as for observers. Their gradients are found.
    grid : (n,) array, or pair of arrays
        Nodes for each coordinate, ascending and uniform. Walkers beyond it deposit nothing, and the bias has no force
        there: make it wider than where they go.
    height : float
        Of a hill where there is no bias, energy, > 0.
    width : float, or one for each coordinate
        Standard deviation of a hill, in units of the coordinate; not less than the distance of the nodes.
    bias_factor : float
        γ = (T + ΔT)/T, > 1. ``inf``: metadynamics as it was, with hills that stay as high.
    stride : int
        Steps between deposits.
    n_walkers : int, default 1
    periodic : bool, or one for each coordinate
        Whether the last node of the grid is the first one.
    initial : (dim,) or (n_walkers, dim) array, optional
        Where walkers begin, in length units. Default: the potential's documented start.
    seed : int, optional
        Default: a new one, which ``.seed`` reports. Walker i has the stream i.
    mass, backend, precision, threads, boundary
        As for :class:`langevin_fast.Simulation`; not ``"batch"``.

    Notes
    -----
    The bias is a term of the potential, compiled with it as one: a cubic spline, to whose coefficients the hills are
    added. Between two deposits all steps are made in the compiled loop. ``run(a); run(b)`` gives the bits of ``run(a +
    b)``, for any number of threads. Pickles go on to the same bits.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import numpy as np, langevin_fast as lf
    >>> filling = lf.rare.Metadynamics(lf.potentials.DoubleWell(8.0), lf.ULA(0.001), "x", grid=np.linspace(-2, 2, 81),
    ...                                height=0.2, width=0.1, bias_factor=8.0, stride=100, n_walkers=4, seed=1)
    >>> result = filling.run(10_000)
    >>> result.heights.shape
    (100, 4)
    """

    @hinting
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        coordinate: str | Sequence[str],
        *,
        grid: ArrayLike | Sequence[ArrayLike],
        height: float,
        width: float | Sequence[float],
        bias_factor: float,
        stride: int,
        n_walkers: int = 1,
        periodic: bool | Sequence[bool] = False,
        initial: ArrayLike | None = None,
        seed: int | None = None,
        mass: ArrayLike = 1.0,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        boundary: Boundary | Sequence[Boundary] | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            "initial": initial,
            "n_particles": checks.integer("n_walkers", n_walkers, 1),
            "mass": mass,
            "seed": seed,
            "precision": precision,
            "threads": threads,
            "boundary": boundary,
        }
        arguments.begin([potential], [scheme], **settings)  # what is wrong is said of the arguments as they are
        kT = one_temperature(potential, scheme)
        if "numba" not in potential.backends:
            raise ValueError(f"potential: {potential!r} is not compiled, so nothing can be added to it")
        coordinates = Coordinates.of(coordinate, potential, 2)
        m = len(coordinates)
        nodes = Grid(grid, periodic, m)
        widths = checks.positive_array("width", width, ndim=(0, 1))
        if widths.shape not in ((), (m,)):
            raise ValueError(f"width must be one number, or one for each of {m} coordinates; got {width!r}")
        widths = np.broadcast_to(widths, (m,))
        for axis, one in zip(nodes.axes, widths.tolist(), strict=True):
            if one < axis.spacing:
                raise ValueError(f"width={one!r} must be at least the distance of the nodes of grid, {axis.spacing!r}")
        if bias_factor != np.inf and not checks.finite("bias_factor", bias_factor) > 1.0:
            raise ValueError(f"bias_factor={bias_factor!r} must be > 1, or inf")
        hills = Hills(
            coordinates=coordinates,
            grid=nodes,
            widths=tuple(widths.tolist()),
            height=checks.positive("height", height),
            bias_factor=float(bias_factor),
            stride=checks.integer("stride", stride, 1),
            kT=kT,
        )
        total = potential + Bias(Spline(nodes, np.zeros(nodes.shape)), coordinates)
        beginning = arguments.begin([total], [scheme], backend=backend, **settings)
        self._depositing = _Depositing(hills, beginning)
        self._stepper = self._depositing.stepper
        self._potential = potential

    def __repr__(self) -> str:
        n = self.n_walkers
        return f"<Metadynamics of {n} walker{'s' if n > 1 else ''} at step {self.step}: {self._potential!r}>"

    @property
    def step(self) -> int:
        """How many steps were made."""
        return self._stepper.state.step

    @property
    def seed(self) -> int:
        """Of the noise."""
        return self._depositing.problem.seed

    @property
    def n_walkers(self) -> int:
        """How many there are."""
        return len(self._depositing.problem.streams)

    @property
    def positions(self) -> np.ndarray:
        """Where the walkers are, (n_walkers, dim), in length units."""
        return self._stepper.state.shown(self._depositing.problem.walls).positions

    @property
    def velocities(self) -> np.ndarray | None:
        """In length/time; None for overdamped schemes."""
        return self._stepper.state.shown(self._depositing.problem.walls).velocities

    @property
    def result(self) -> MetadynamicsResult:
        """What was deposited so far, and what follows from it."""
        _, coefficients, _, n = self._depositing.now
        hills = self._depositing.hills
        like = hills.deposit(self.positions, coefficients)
        return MetadynamicsResult.of(hills, self._depositing.deposits[:n], like, self.seed, coefficients)

    @hinting
    def run(self, n_steps: int, *, progress: bool | Progress | None = None) -> MetadynamicsResult:
        """Make `n_steps` steps, and the deposits that fall among them.

        Ctrl-C raises :class:`langevin_fast.Interrupted`, whose ``.result`` is that so far, and leaves the walkers at a
        complete step, from which another `run` goes on.

        Parameters
        ----------
        n_steps : int
            >= 0.
        progress : bool or Progress, optional
            As for :meth:`langevin_fast.Simulation.run`.

        Returns
        -------
        MetadynamicsResult
            Of all runs so far.

        Raises
        ------
        DivergenceError
            If a walker is no longer finite; they then stand at the step before.
        MemoryError
            If what is deposited would not fit into memory.
        """
        n_steps = checks.integer("n_steps", n_steps, 0, arguments.MOST_STEPS)
        self._stepper.check_steps("n_steps", n_steps)
        numbers = self.n_walkers * (self._potential.dim + len(self._depositing.hills.coordinates) + 2)
        check_memory(8 * numbers * (n_steps // self._depositing.hills.stride), "what is deposited")
        try:
            self._depositing.reached()  # where the last run was interrupted
            with Progress.of(progress, n_steps) as bar:
                self._stepper.advance(n_steps, [], bar, [self._depositing])
        except KeyboardInterrupt:
            raise Interrupted(None, step=self.step, result=self.result) from None
        return self.result
