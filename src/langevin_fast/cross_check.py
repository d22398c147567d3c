"""Run every backend from the same seed and compare them, with each other and with a textbook implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import backends, checks
from . import potentials as u
from .errors import DivergenceError
from .noise import PRECISIONS, noise
from .potentials.base import Potential
from .potentials.batch import Batch
from .reference import Reference, normal
from .sampling import sample
from .schemes import BAOAB, MALA, ULA, LeimkuhlerMatthews, Scheme, Splitting
from .simulation import Simulation
from .trajectory import Trajectory

__all__ = ["BackendReport", "CrossCheck", "cross_check"]

# These promise the same bits.
_EXACT = ("cpp", "numba", "batch")
# A step may differ from the textbook's by this many units in the last place of its terms.
_TOLERANCE = 64.0
_SIGMAS = 5.0


@dataclass(frozen=True)
class BackendReport:
    """What was found about one backend.

    Attributes
    ----------
    name : str
        Of the backend.
    unavailable : str or None
        Why it did not run.
    first_difference : int or None
        The first step after which it differs from the first backend that ran.
    largest_ulp : float
        The largest such difference up to there and beyond, in units in the last place.
    step_error : float
        The largest deviation of a single step from the textbook's, in units in the last place of the step's terms.
    mean_square, mean_square_error : float
        The mean of x . x over particles after the longer run, and its standard error.
    moments_z : float
        The largest deviation, over components, of the means of x and x^2 from those of the first choice for the
        potential with another seed, in standard errors.
    """

    name: str
    unavailable: str | None = None
    first_difference: int | None = None
    largest_ulp: float = 0.0
    step_error: float = 0.0
    mean_square: float = float("nan")
    mean_square_error: float = float("nan")
    moments_z: float = 0.0


@dataclass(frozen=True)
class CrossCheck:
    """The report of :func:`cross_check`; ``print`` it.

    Attributes
    ----------
    title : str
        What was run.
    backends : tuple of BackendReport
        One for each backend that the potential allows.
    problems : tuple of str
        Every disagreement, in words; empty if all agree.
    """

    title: str
    backends: tuple[BackendReport, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.problems

    def __str__(self) -> str:
        lines = [
            self.title,
            "  backend  first difference  largest [ulp]  step error [ulp]  mean of x.x            moments [sigma]",
        ]
        for b in self.backends:
            if b.unavailable is not None:
                lines.append(f"  {b.name:7s}  unavailable: {b.unavailable}")
                continue
            first = "none" if b.first_difference is None else f"step {b.first_difference}"
            square = f"{b.mean_square:.5g} +- {b.mean_square_error:.2g}"
            lines.append(
                f"  {b.name:7s}  {first:16s}  {b.largest_ulp:13.3g}  {b.step_error:16.3g}  {square:21s}"
                f"  {b.moments_z:15.2f}"
            )
        lines += [f"  PROBLEM: {problem}" for problem in self.problems] or ["  all agree"]
        return "\n".join(lines)


def cross_check(
    potential: Potential,
    scheme: Scheme,
    *,
    n_particles: int = 16,
    n_steps: int = 24,
    moment_steps: int = 500,
    initial: ArrayLike | None = None,
    mass: ArrayLike = 1.0,
    seed: int = 0,
    precision: str = "double",
) -> CrossCheck:
    """Check the backends against each other and against a textbook implementation.

    Four comparisons, each independent of how chaotic the dynamics are:

    - the noise: against a Philox generator and a Box-Muller transform of its own;
    - the gradient: against finite differences of the energy, where there is one;
    - every step: started from the backend's own state before it, the textbook's step must arrive where the backend
      did, to rounding (64 units in the last place of the terms, the rounding errors of the gradient included);
      for MALA every decision must be the textbook's, ties aside;
    - the law: means of x and x^2 of 40 times as many particles after `moment_steps` steps, from another seed for
      each backend, within 5 standard errors.

    The backends "cpp", "numba" and "batch" must agree with each other to the bit.

    Parameters
    ----------
    potential : Potential
        Any. A built-in potential also runs on the "batch" backend, around its own gradient.
    scheme : Scheme
        Without values per particle.
    n_particles, n_steps : int
        How much is compared step by step.
    moment_steps : int
        Length of the runs whose means are compared; 0 leaves that out.
    initial : array_like, optional
        As for :func:`langevin_fast.sample`.
    mass : float or array_like
        As for :func:`langevin_fast.sample`.
    seed : int
        Of the runs.
    precision : {"double", "single"}
        Of the runs; the reference computes in double.

    Returns
    -------
    CrossCheck
        ``.ok`` says whether all agree, ``.problems`` what does not.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    checks.one_of("precision", precision, tuple(PRECISIONS))
    n_particles = checks.integer("n_particles", n_particles, 2)
    n_steps = checks.integer("n_steps", n_steps, 1)
    moment_steps = checks.integer("moment_steps", moment_steps, 0)
    seed = checks.integer("seed", seed, 0, 2**64 - 10)
    run = _Check(potential, scheme, n_particles, n_steps, moment_steps, initial, mass, seed, precision)
    return run.report()


class _Check:
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        n: int,
        n_steps: int,
        moment_steps: int,
        initial: Any,
        mass: Any,
        seed: int,
        precision: str,
    ) -> None:
        self.potential, self.scheme, self.n, self.n_steps = potential, scheme, n, n_steps
        self.moment_steps = moment_steps
        self.initial, self.mass, self.seed, self.precision = initial, mass, seed, precision
        self.dtype = PRECISIONS[precision]
        self.eps = float(np.finfo(self.dtype).eps)
        self.gradient, self.energy = _plain_functions(potential, self.dtype)
        self.problems: list[str] = []

    def report(self) -> CrossCheck:
        self.check_noise()
        runs: dict[str, Trajectory] = {}
        reports: list[BackendReport] = []
        for name, (potential, reason) in self.candidates().items():
            if reason is not None:
                reports.append(BackendReport(name, unavailable=reason))
                continue
            try:
                runs[name] = self.sample(name, potential, self.n, self.seed, self.n_steps, stride=1)
            except DivergenceError as error:
                self.problems.append(f"{name}: {error}")
                reports.append(BackendReport(name, unavailable="it diverged"))
                continue
            reports.append(self.compare(name, potential, runs))
        if runs:
            self.check_gradient(next(iter(runs.values())))
        title = f"{self.potential!r}, {self.scheme!r}, {self.precision}"
        return CrossCheck(title, tuple(reports), tuple(self.problems))

    def candidates(self) -> dict[str, tuple[Potential, str | None]]:
        found: dict[str, tuple[Potential, str | None]] = {
            name: (self.potential, reason) for name, reason in backends.available(self.potential).items()
        }
        if "batch" not in found:
            p = self.potential
            energy = p.energy if p.has_energy else None
            found["batch"] = (Batch(gradient=p.gradient, energy=energy, dim=p.dim, start=p.default_start), None)
        return found

    def sample(
        self, backend: str, potential: Potential, n: int, seed: int, n_steps: int, stride: int | None
    ) -> Trajectory:
        mass = {} if self.scheme.overdamped else {"mass": self.mass}
        return sample(
            potential,
            self.scheme,
            n_steps=n_steps,
            n_particles=n,
            initial=self.initial,
            seed=seed,
            stride=stride,
            precision=self.precision,
            backend=backend,
            **mass,
        )

    # --- noise

    def check_noise(self) -> None:
        for stream in (0, 3, 2**32 + 5, 2**56 - 1):
            for start in (0, 7, 2**33 + 1):
                got = noise(self.seed, stream, start, 8, self.precision)
                want = [normal(self.seed, stream, start + i, self.precision) for i in range(8)]
                error = np.abs(got - want) / (self.eps * np.maximum(np.abs(want), 1.0))
                if not (error < 16).all():
                    i = int(np.flatnonzero(~(error < 16))[0])
                    self.problems.append(
                        f"noise: number {start + i} of stream {stream} is {float(got[i])!r}, the reference "
                        f"has {want[i]!r}"
                    )
                    return

    # --- gradient

    def check_gradient(self, run: Trajectory) -> None:
        energy = self.energy
        if energy is None:
            return
        x = run.final.positions[:8].astype(float)
        g = self.gradient(x)
        for c in range(x.shape[1]):
            h = 1e-4 * np.maximum(np.abs(x[:, c]), 1.0)

            def slope(h: np.ndarray, c: int = c) -> np.ndarray:
                up, down = x.copy(), x.copy()
                up[:, c] += h
                down[:, c] -= h
                return (energy(up) - energy(down)) / (up[:, c] - down[:, c])

            coarse, fine = slope(h), slope(h / 2)
            best = (4.0 * fine - coarse) / 3.0
            rounding = 2e-16 * 64 * (np.abs(energy(x)) + np.abs(g[:, c])) / h
            allowed = 10.0 * np.abs(best - fine) + rounding + 1e-9 * np.abs(g).max(axis=1)
            bad = np.flatnonzero(np.abs(best - g[:, c]) > allowed)
            if len(bad):
                i = bad[0]
                self.problems.append(
                    f"gradient: component {c} is {g[i, c]:.12g}, but finite differences of the energy give "
                    f"{best[i]:.12g}, at x={x[i].tolist()}"
                )
                return

    # --- steps

    def compare(self, name: str, potential: Potential, runs: dict[str, Trajectory]) -> BackendReport:
        first_name = next(iter(runs))
        run, first = runs[name], runs[first_name]
        a, b = _states(run), _states(first)
        differs = np.flatnonzero((a != b).any(axis=(1, 2)))
        first_difference = int(differs[0]) + 1 if len(differs) else None
        with np.errstate(invalid="ignore"):
            ulp = np.abs(a.astype(float) - b) / np.spacing(np.maximum(np.abs(a), np.abs(b))).astype(float)
        if first_difference is not None and name in _EXACT and first_name in _EXACT:
            self.problems.append(
                f"{name} and {first_name} differ after step {first_difference}; they promise equal bits"
            )
        error = self.check_steps(name, run)
        moments = self.check_moments(name, potential) if self.moment_steps else (float("nan"),) * 3
        return BackendReport(name, None, first_difference, float(np.nanmax(ulp)), error, *moments)

    def check_steps(self, name: str, run: Trajectory) -> float:
        start = self.sample_start(run)
        mass = np.ones((1, 1)) if self.scheme.overdamped else _mass(self.mass)
        reference = Reference(self.scheme, self.gradient, self.energy, mass, self.seed, run.streams, self.precision)
        worst, told = 0.0, False
        for i in range(self.n_steps):
            x, v = (
                start if i == 0 else (run.positions[i - 1], None if run.velocities is None else run.velocities[i - 1])
            )
            before = (x.astype(float), None if v is None else v.astype(float))
            after = _join(run.positions[i], None if run.velocities is None else run.velocities[i])
            if isinstance(self.scheme, MALA):
                error, text = self.compare_mala(reference, i, before[0], after)
            else:
                error, text = self.compare_plain(reference, i, before, after)
            worst = max(worst, error)
            if text and not told:
                self.problems.append(f"{name}: step {i + 1}, {text}")
                told = True
        return worst

    def sample_start(self, run: Trajectory) -> tuple[np.ndarray, np.ndarray | None]:
        mass = {} if self.scheme.overdamped else {"mass": self.mass}
        simulation = Simulation(
            self.potential,
            self.scheme,
            n_particles=self.n,
            initial=self.initial,
            seed=self.seed,
            precision=self.precision,
            **mass,
        )
        return simulation.positions, simulation.velocities

    def compare_plain(
        self, reference: Reference, i: int, before: tuple[np.ndarray, np.ndarray | None], after: np.ndarray
    ) -> tuple[float, str]:
        x, v = before
        want = _join(*reference.step(i, x, v)[:2])
        still = _join(*reference.step(i, x, v, noise=0.0)[:2])
        free = _join(*reference.step(i, x, v, force=0.0)[:2])
        noise_term, force_term = want - still, want - free
        # What rounding does to a step: to each of its terms, and to the argument of the gradient.
        scale = np.abs(_join(x, v)) + np.abs(want) + np.abs(noise_term) + np.abs(force_term)
        if v is not None:  # x and v feed each other
            scale = scale + np.abs(_join(v, x)) * np.broadcast_to(reference.h, (len(x), 1))
        for sign in (1.0, -1.0):
            nudge = 1.0 + sign * self.eps * np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)
            scale = scale + np.abs(_join(*reference.step(i, x * nudge, v)[:2]) - want) / self.eps
        error = np.abs(after - want) / (self.eps * scale + np.finfo(self.dtype).tiny)
        worst = float(error.max())
        if worst <= _TOLERANCE:
            return worst, ""
        particle, component = np.unravel_index(int(np.argmax(error)), error.shape)
        what = _explain(after - want, noise_term, force_term)
        got, expected = float(after[particle, component]), float(want[particle, component])
        return worst, (
            f"particle {particle}: component {component} of the state is {got!r}, a textbook step gives "
            f"{expected!r} ({worst:.3g} units of rounding, {_TOLERANCE:g} allowed). {what}"
        )

    def compare_mala(self, reference: Reference, i: int, x: np.ndarray, after: np.ndarray) -> tuple[float, str]:
        proposal, _, margin = reference.step(i, x, None)
        assert margin is not None and self.energy is not None
        accepted = np.any(after != x, axis=1)
        # decisions within rounding may go either way
        size = np.abs(self.energy(x)) + np.abs(self.energy(proposal))
        doubt = 1e3 * self.eps * (1.0 + size / reference.kT[:, 0] + np.abs(margin))
        moved = np.abs(proposal - x).max(axis=1) > 64 * self.eps * np.abs(x).max(axis=1)
        wrong = np.flatnonzero((accepted != (margin > 0)) & (np.abs(margin) > doubt) & moved)
        if len(wrong):
            p = wrong[0]
            did, should = ("accepted", "rejected") if accepted[p] else ("rejected", "accepted")
            return 0.0, (
                f"particle {p}: the proposal was {did}, the textbook's acceptance test has it {should} "
                f"(log ratio - log u = {margin[p]:.6g})"
            )
        drift = np.abs(x - proposal)
        scale = np.abs(x) + np.abs(proposal) + drift
        for sign in (1.0, -1.0):
            g = self.gradient(x * (1.0 + sign * self.eps * np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)))
            scale = scale + np.abs(g - self.gradient(x)) * reference.h / self.scheme.drag / self.eps  # type: ignore[attr-defined]
        error = np.where(accepted[:, np.newaxis], np.abs(after - proposal), 0.0) / (self.eps * scale)
        worst = float(error.max())
        if worst <= _TOLERANCE:
            return worst, ""
        particle = int(np.unravel_index(int(np.argmax(error)), error.shape)[0])
        xi = reference.normals(i, x.shape[1]) * accepted[:, np.newaxis]
        force = self.gradient(x) * accepted[:, np.newaxis]
        what = _explain((after - proposal) * accepted[:, np.newaxis], xi, force)
        return worst, f"particle {particle}: the accepted proposal is not the textbook's ({worst:.3g} units). {what}"

    # --- law

    def check_moments(self, name: str, potential: Potential) -> tuple[float, float, float]:
        n = 40 * self.n
        offset = 1 + backends.NAMES.index(name)

        def positions(backend: str, potential: Potential, seed: int) -> np.ndarray:
            run = self.sample(backend, potential, n, seed, self.moment_steps, None)
            return run.final.positions.astype(float)

        try:
            mine = positions(name, potential, self.seed + offset)
            other = positions(backends.choose("auto", self.potential)[0], self.potential, self.seed + 9)
        except DivergenceError as error:
            self.problems.append(f"{name}: {error}")
            return (float("nan"),) * 3
        worst = 0.0
        for power in (1, 2):
            a, b = mine**power, other**power
            spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / n)
            difference = np.abs(a.mean(axis=0) - b.mean(axis=0))
            z = difference / np.maximum(spread, 64 * self.eps * (np.abs(a).mean(axis=0) + 1e-300))
            worst = max(worst, float(z.max()))
        if worst > _SIGMAS:
            self.problems.append(
                f"{name}: means of x or x^2 after {self.moment_steps} steps are off by {worst:.1f} sigma"
            )
        squares = np.square(mine).sum(axis=1)
        return float(squares.mean()), float(squares.std() / np.sqrt(n)), worst


def _join(x: np.ndarray, v: np.ndarray | None) -> np.ndarray:
    return x if v is None else np.concatenate([x, v], axis=1)


def _states(run: Trajectory) -> np.ndarray:
    if run.velocities is None:
        return run.positions
    return np.concatenate([run.positions, run.velocities], axis=2)


def _mass(mass: Any) -> np.ndarray:
    array = np.asarray(mass, float)
    return array if array.ndim == 2 else array.reshape(1, -1)


def _explain(deviation: np.ndarray, noise_term: np.ndarray, force_term: np.ndarray) -> str:
    """Which term of a step a deviation looks like."""
    terms = np.stack([noise_term.reshape(-1), force_term.reshape(-1)], axis=1).astype(float)
    deviation = deviation.reshape(-1).astype(float)
    (noise_share, force_share), *_ = np.linalg.lstsq(terms, deviation, rcond=None)
    left = deviation - terms @ np.array([noise_share, force_share])
    if np.square(left).sum() > 0.1 * np.square(deviation).sum():
        return "The deviation follows neither term: are the numbers of the noise the right ones?"
    parts = np.abs([noise_share * terms[:, 0], force_share * terms[:, 1]]).sum(axis=1)
    if parts[0] > parts[1]:
        return f"It looks like the coefficient of the noise: too large by a factor of 1 + {noise_share:.3g}."
    return f"It looks like the gradient or its coefficient: too large by a factor of 1 + {force_share:.3g}."


def _plain_functions(potential: Potential, dtype: Any) -> tuple[Callable[[np.ndarray], Any], Callable[..., Any] | None]:
    """Gradient and energy of (n, dim) arrays in double precision, by plain Python where the potential has it."""
    functions = getattr(potential, "functions", None)
    if functions is None:
        return potential.gradient, potential.energy if potential.has_energy else None
    # the parameters that the run has
    p = potential.parameters.astype(dtype).astype(float)

    def gradient(x: np.ndarray) -> np.ndarray:
        g = np.empty(x.shape)
        with np.errstate(all="ignore"):
            for point, out in zip(x, g, strict=True):
                functions.gradient(point, out, p)
        return g

    def energy(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.array([float(functions.energy(point, p)) for point in x])

    return gradient, energy if functions.energy is not None else None


def standard_problems() -> list[tuple[Potential, float, float, float]]:
    """A small instance of every kind of built-in potential, with step sizes for plain schemes, MALA and splittings."""
    features = [[1.0, -0.5], [0.25, 2.0], [-1.5, 0.5], [0.75, 1.0], [-0.25, -1.0]]
    return [
        (u.Free(2), 0.1, 0.1, 0.1),
        (u.Harmonic([1.0, 4.0]), 0.1, 0.2, 0.2),
        (u.Gaussian([0.5, -1.0], [[2.0, 0.5], [0.5, 1.0]]), 0.1, 0.3, 0.2),
        (u.DoubleWell(2.0, tilt=0.25), 0.02, 0.1, 0.1),
        (u.Prinz(), 0.001, 0.01, 0.01),
        (u.MullerBrown(scale=0.125), 0.0005, 0.002, 0.02),
        (u.Rosenbrock(scale=0.0625), 0.005, 0.02, 0.05),
        (u.HybridRosenbrock(3, 2, a=0.5, b=1.0, mu=0.75), 0.005, 0.02, 0.05),
        (u.NealFunnel(3), 0.01, 0.1, 0.05),
        (u.GaussianMixture([1, 3], [[-1.0, 0.0], [1.0, 1.0]], [0.5, 1.0]), 0.05, 0.3, 0.2),
        (u.Ring(radius=1.5, width=0.5), 0.02, 0.2, 0.1),
        (u.LennardJonesCluster(3, wall=2.0), 0.0001, 0.001, 0.005),
        (u.LogisticRegression(features, [1, 0, 0, 1, 1], prior_scale=2.0), 0.05, 0.5, 0.2),
    ]


def check_installation(
    *,
    names: Sequence[str] | None = None,
    precisions: Sequence[str] = ("double", "single"),
    seed: int = 0,
    n_steps: int = 12,
    moment_steps: int = 500,
) -> Iterator[CrossCheck]:
    """Cross-check built-in potentials with five schemes each, one after the other.

    Parameters
    ----------
    names : sequence of str, optional
        Names of potentials; default: all.
    precisions : sequence of str
        "double", "single" or both.
    seed, n_steps, moment_steps : int
        As for :func:`cross_check`.

    Yields
    ------
    CrossCheck
    """
    for potential, plain, metropolis, underdamped in standard_problems():
        if names is not None and potential.kind not in names:
            continue
        schemes = (
            ULA(plain),
            LeimkuhlerMatthews(plain),
            MALA(metropolis),
            BAOAB(underdamped, friction=0.5),
            Splitting("OBABO", underdamped, drag=0.5),
        )
        for precision in precisions:
            for scheme in schemes:
                yield cross_check(
                    potential,
                    scheme,
                    n_particles=8,
                    n_steps=n_steps,
                    moment_steps=moment_steps,
                    seed=seed,
                    precision=precision,
                )
