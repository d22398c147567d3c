"""What a good NumPy user would write: the other side of every comparison.

Arrays are (dim, n_particles), so that NumPy works on long contiguous rows whatever the dimension; the random numbers
come from ``Generator(SFC64)``, NumPy's fastest generator, straight into their array; work is in place. Every
loop works in the precision of the positions that it is given, changes them and returns them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from langevin_fast import potentials as p

Array = np.ndarray
Energy = Callable[[Array], Array]  # (dim, n) -> (n,)
Gradient = Callable[[Array, Array], None]  # (dim, n), written to the second argument


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


# --- the loops --------------------------------------------------------------------------------------------------------


def ula(x: Array, gradient: Gradient, rng: np.random.Generator, n_steps: int, h: float, kT: float = 1.0) -> Array:
    g, xi = np.empty_like(x), np.empty_like(x)
    noise = float(np.sqrt(2.0 * kT * h))
    for _ in range(n_steps):
        gradient(x, g)
        g *= h
        x -= g
        rng.standard_normal(out=xi, dtype=x.dtype.type)
        xi *= noise
        x += xi
    return x


def leimkuhler_matthews(
    x: Array, gradient: Gradient, rng: np.random.Generator, n_steps: int, h: float, kT: float = 1.0
) -> Array:
    g = np.empty_like(x)
    noise = float(np.sqrt(0.5 * kT * h))
    # held already multiplied: x += noise (xi + next_xi)
    old, new = noise * rng.standard_normal(x.shape, dtype=x.dtype.type), np.empty_like(x)
    for _ in range(n_steps):
        gradient(x, g)
        g *= h
        x -= g
        x += old
        rng.standard_normal(out=new, dtype=x.dtype.type)
        new *= noise
        x += new
        old, new = new, old
    return x


def mala(
    x: Array, energy: Energy, gradient: Gradient, rng: np.random.Generator, n_steps: int, h: float, kT: float = 1.0
) -> Array:
    noise = float(np.sqrt(2.0 * kT * h))
    g, y, gy = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    xi, work, uniform = np.empty_like(x), np.empty_like(x), np.empty_like(x[0])
    u = energy(x)
    gradient(x, g)
    for _ in range(n_steps):
        rng.standard_normal(out=xi, dtype=x.dtype.type)
        np.multiply(xi, noise, out=xi)
        np.multiply(g, h, out=y)
        np.subtract(x, y, out=y)
        y += xi
        uy = energy(y)
        gradient(y, gy)
        # |x - y + h gy|^2 - |y - x + h g|^2; the second is the noise
        np.multiply(gy, h, out=work)
        work += x
        work -= y
        log_ratio = np.einsum("dn,dn->n", xi, xi)
        log_ratio -= np.einsum("dn,dn->n", work, work)
        log_ratio *= 0.25 / h
        log_ratio += u
        log_ratio -= uy
        log_ratio *= 1.0 / kT
        rng.random(out=uniform, dtype=x.dtype.type)
        np.subtract(1.0, uniform, out=uniform)  # in (0, 1]
        np.log(uniform, out=uniform)
        accept = uniform < log_ratio
        np.copyto(x, y, where=accept)
        np.copyto(g, gy, where=accept)
        np.copyto(u, uy, where=accept)
    return x


def splitting(
    letters: str,
    x: Array,
    v: Array,
    gradient: Gradient,
    rng: np.random.Generator,
    n_steps: int,
    h: float,
    friction: float = 1.0,
    kT: float = 1.0,
) -> Array:
    """Any scheme over A, B and O, of unit mass; the gradient is kept until the positions change."""
    g, work = np.empty_like(x), np.empty_like(x)
    share = {letter: h / letters.count(letter) for letter in "ABO"}
    decay = float(np.exp(-friction * share["O"]))
    noise = float(np.sqrt(kT * -np.expm1(-2.0 * friction * share["O"])))
    current = False
    for _ in range(n_steps):
        for letter in letters:
            if letter == "A":
                np.multiply(v, share["A"], out=work)
                x += work
                current = False
            elif letter == "B":
                if not current:
                    gradient(x, g)
                    g *= share["B"]  # kept multiplied
                    current = True
                v -= g
            else:
                v *= decay
                rng.standard_normal(out=work, dtype=x.dtype.type)
                work *= noise
                v += work
    return x


# --- what docs/performance.md shows: energy(x) and gradient(x, out) ---------------------------------------------------


def _column(values: Array, dtype: type) -> Array:
    return values.astype(dtype)[:, np.newaxis]


def _exp(t: Array) -> None:
    """In place. Results that underflow take NumPy ten times as long in single precision: a good user keeps them off."""
    if t.dtype == np.float32:
        np.maximum(t, -80.0, out=t)
    np.exp(t, out=t)


def _harmonic(potential: p.Harmonic, dtype: type) -> tuple[Energy, Gradient]:
    k, center = _column(potential.stiffness, dtype), _column(potential.center, dtype)
    half_k = 0.5 * k[:, 0]

    def energy(x: Array) -> Array:
        d = x - center
        d *= d
        return half_k @ d

    def gradient(x: Array, out: Array) -> None:
        np.subtract(x, center, out=out)
        out *= k

    return energy, gradient


def _double_well(potential: p.DoubleWell, dtype: type) -> tuple[Energy, Gradient]:
    """In one dimension, without a tilt."""
    b, w = potential.barrier, potential.width
    cubic, width2 = 4.0 * b / w**4, w * w

    def energy(x: Array) -> Array:
        u = x[0] * x[0]
        u *= 1.0 / width2
        u -= 1.0
        u *= u
        u *= b
        return u

    def gradient(x: Array, out: Array) -> None:
        np.multiply(x[0], x[0], out=out[0])
        out[0] -= width2
        out[0] *= x[0]
        out[0] *= cubic

    return energy, gradient


def _muller_brown(potential: p.MullerBrown, dtype: type) -> tuple[None, Gradient]:
    terms = (
        (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
        (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
        (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
        (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
    )

    def term(x: Array, A: float, a: float, b: float, c: float, X: float, Y: float) -> tuple[Array, Array, Array]:
        """The term, and half of what multiplies it in the derivatives (but for factors that are 0)."""
        dx, dy = x[0] - X, x[1] - Y
        fx, fy = a * dx, c * dy
        if b:
            fx += (0.5 * b) * dy
            fy += (0.5 * b) * dx
        # the exponent is a quadratic form: half of x dot its gradient
        dx *= fx
        dy *= fy
        dx += dy
        _exp(dx)
        dx *= potential.scale * A
        return dx, fx, fy

    def gradient(x: Array, out: Array) -> None:
        out.fill(0.0)
        for t in terms:
            e, fx, fy = term(x, *t)
            e *= 2.0
            fx *= e
            fy *= e
            out[0] += fx
            out[1] += fy

    return None, gradient


def _gaussian_mixture(potential: p.GaussianMixture, dtype: type) -> tuple[None, Gradient]:
    """Of equal isotropic components."""
    weights, means, covariances = potential.weights, potential.means, potential.covariances
    precision = float(1.0 / covariances[0])
    # -|x - mu|^2 / (2 s^2) opened, so that BLAS makes the table of components and particles; |x|^2 is the same in all
    shift = _column(np.log(weights) - 0.5 * precision * (means * means).sum(axis=1), dtype)
    linear = (precision * means).astype(dtype)  # (K, dim)

    def gradient(x: Array, out: Array) -> None:
        t = linear @ x
        t += shift
        t -= t.max(axis=0)
        _exp(t)
        np.matmul(linear.T, t, out=out)
        np.negative(out, out=out)
        out /= t.sum(axis=0)
        out += precision * x

    return None, gradient


def _logistic_regression(potential: p.LogisticRegression, dtype: type) -> tuple[Energy, Gradient]:
    X, y = potential.X.astype(dtype), potential.y.astype(dtype)
    transposed = np.ascontiguousarray(X.T)
    pull = _column(potential.X.T @ potential.y, dtype)
    over_s2 = 1.0 / potential.prior_scale**2

    def energy(x: Array) -> Array:
        z = X @ x
        u = 0.5 * over_s2 * np.einsum("dn,dn->n", x, x)
        u -= y @ z
        u += np.maximum(z, 0.0).sum(axis=0)
        np.abs(z, out=z)
        np.negative(z, out=z)
        np.exp(z, out=z)
        np.log1p(z, out=z)
        u += z.sum(axis=0)
        return u

    def gradient(x: Array, out: Array) -> None:
        z = X @ x
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        np.reciprocal(z, out=z)
        np.matmul(transposed, z, out=out)
        out -= pull
        out += over_s2 * x

    return energy, gradient


_LOOPS: dict[type, Callable] = {
    p.Harmonic: _harmonic,
    p.DoubleWell: _double_well,
    p.MullerBrown: _muller_brown,
    p.GaussianMixture: _gaussian_mixture,
    p.LogisticRegression: _logistic_regression,
}


def mixture_by_differences(potential: p.GaussianMixture, dtype: type = np.float64) -> Gradient:
    """An isotropic mixture as most people write it: every difference x - mu in one array, (K, dim, n)."""
    precision = 1.0 / potential.covariances
    log_weight = np.log(potential.weights) + 0.5 * potential.dim * np.log(precision)
    centers = potential.means.astype(dtype)[:, :, np.newaxis]
    precision, log_weight = _column(precision, dtype), _column(log_weight, dtype)

    def gradient(x: Array, out: Array) -> None:
        d = x - centers
        t = log_weight - 0.5 * precision * (d * d).sum(axis=1)
        t -= t.max(axis=0)
        _exp(t)
        t /= t.sum(axis=0)
        t *= precision
        np.sum(t[:, np.newaxis] * d, axis=0, out=out)

    return gradient


def functions_of(potential: p.Potential, dtype: type = np.float64) -> tuple[Energy | None, Gradient]:
    """energy(x), where a comparison needs it, and gradient(x, out) in NumPy; their constants are made once."""
    return _LOOPS[type(potential)](potential, dtype)
