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


# --- the potentials: energy(x) and gradient(x, out) of each -----------------------------------------------------------


def _column(values: Array, dtype: type) -> Array:
    return values.astype(dtype)[:, np.newaxis]


def _exp(t: Array) -> None:
    """In place. Results that underflow take NumPy ten times as long in single precision: a good user keeps them off."""
    if t.dtype == np.float32:
        np.maximum(t, -80.0, out=t)
    np.exp(t, out=t)


def _free(potential: p.Free, dtype: type) -> tuple[Energy, Gradient]:
    def energy(x: Array) -> Array:
        return np.zeros_like(x[0])

    def gradient(x: Array, out: Array) -> None:
        out.fill(0.0)

    return energy, gradient


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


def _gaussian(potential: p.Gaussian, dtype: type) -> tuple[Energy, Gradient]:
    mean = _column(potential.mean, dtype)
    precision = np.linalg.inv(potential.covariance).astype(dtype)

    def energy(x: Array) -> Array:
        d = x - mean
        return 0.5 * np.einsum("dn,dn->n", d, precision @ d)

    def gradient(x: Array, out: Array) -> None:
        np.matmul(precision, x - mean, out=out)

    return energy, gradient


def _double_well(potential: p.DoubleWell, dtype: type) -> tuple[Energy, Gradient]:
    b, w, tilt, k = potential.barrier, potential.width, potential.tilt, potential.stiffness
    cubic, width2 = 4.0 * b / w**4, w * w

    def energy(x: Array) -> Array:
        u = x[0] * x[0]
        u *= 1.0 / width2
        u -= 1.0
        u *= u
        u *= b
        if tilt:
            u += tilt * x[0]
        if len(x) > 1:
            u += 0.5 * k * np.einsum("dn,dn->n", x[1:], x[1:])
        return u

    def gradient(x: Array, out: Array) -> None:
        np.multiply(x[0], x[0], out=out[0])
        out[0] -= width2
        out[0] *= x[0]
        out[0] *= cubic
        if tilt:
            out[0] += tilt
        if len(x) > 1:
            np.multiply(x[1:], k, out=out[1:])

    return energy, gradient


def _prinz(potential: p.Prinz, dtype: type) -> tuple[Energy, Gradient]:
    bumps = ((0.8, 80.0, 0.0), (0.2, 80.0, 0.5), (0.5, 40.0, -0.5))

    def bump(x: Array, height: float, sharpness: float, center: float) -> tuple[Array, Array]:
        d = x - center
        e = d * d
        e *= -sharpness
        _exp(e)
        e *= 4.0 * height
        return d, e

    def energy(x: Array) -> Array:
        u = x[0] * x[0]
        u *= u
        u *= u
        u *= 4.0
        for b in bumps:
            u += bump(x[0], *b)[1]
        return u

    def gradient(x: Array, out: Array) -> None:
        x2 = x[0] * x[0]
        np.multiply(x2, x2, out=out[0])
        out[0] *= x2
        out[0] *= x[0]
        out[0] *= 32.0
        for b in bumps:
            d, e = bump(x[0], *b)
            e *= d
            e *= 2.0 * b[1]
            out[0] -= e

    return energy, gradient


def _muller_brown(potential: p.MullerBrown, dtype: type) -> tuple[Energy, Gradient]:
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

    def energy(x: Array) -> Array:
        u = np.zeros_like(x[0])
        for t in terms:
            u += term(x, *t)[0]
        return u

    def gradient(x: Array, out: Array) -> None:
        out.fill(0.0)
        for t in terms:
            e, fx, fy = term(x, *t)
            e *= 2.0
            fx *= e
            fy *= e
            out[0] += fx
            out[1] += fy

    return energy, gradient


def _rosenbrock(potential: p.Rosenbrock, dtype: type) -> tuple[Energy, Gradient]:
    a, b, s = potential.a, potential.b, potential.scale

    def energy(x: Array) -> Array:
        d, r = a - x[0], x[1] - x[0] * x[0]
        d *= d
        r *= r
        r *= b
        d += r
        d *= s
        return d

    def gradient(x: Array, out: Array) -> None:
        np.multiply(x[0], x[0], out=out[1])
        np.subtract(x[1], out[1], out=out[1])
        out[1] *= 2.0 * s * b
        np.multiply(x[0], out[1], out=out[0])
        out[0] *= -2.0
        out[0] += (2.0 * s) * (x[0] - a)

    return energy, gradient


def _hybrid_rosenbrock(potential: p.HybridRosenbrock, dtype: type) -> tuple[Energy, Gradient]:
    a, mu, b = potential.a, potential.mu, potential.b.astype(dtype)
    n2, links = b.shape

    def chains(x: Array) -> Array:
        return x[1:].reshape(n2, links, -1)

    def energy(x: Array) -> Array:
        rest = chains(x)
        before = np.broadcast_to(x[0], rest[:, 0].shape)
        u = a * (x[0] - mu) ** 2
        for i in range(links):
            r = rest[:, i] - before * before
            r *= r
            u += b[:, i] @ r
            before = rest[:, i]
        return u

    def gradient(x: Array, out: Array) -> None:
        rest, slope = chains(x), chains(out)
        np.subtract(x[0], mu, out=out[0])
        out[0] *= 2.0 * a
        before = np.broadcast_to(x[0], rest[:, 0].shape)
        for i in range(links):
            r = rest[:, i] - before * before
            r *= 2.0 * b[:, i, np.newaxis]
            slope[:, i] = r
            r *= before
            r *= 2.0
            if i:
                slope[:, i - 1] -= r
            else:
                out[0] -= r.sum(axis=0)
            before = rest[:, i]

    return energy, gradient


def _neal_funnel(potential: p.NealFunnel, dtype: type) -> tuple[Energy, Gradient]:
    over_sigma2, half = 1.0 / potential.sigma**2, 0.5 * (potential.dim - 1)

    def energy(x: Array) -> Array:
        v, rest = x[0], x[1:]
        u = np.einsum("dn,dn->n", rest, rest)
        u *= 0.5
        u *= np.exp(-v)
        u += half * v
        u += (0.5 * over_sigma2) * v * v
        return u

    def gradient(x: Array, out: Array) -> None:
        v, rest = x[0], x[1:]
        e = np.exp(-v)
        np.multiply(rest, e, out=out[1:])
        np.einsum("dn,dn->n", rest, out[1:], out=out[0])
        out[0] *= -0.5
        out[0] += half
        out[0] += over_sigma2 * v

    return energy, gradient


def _gaussian_mixture(potential: p.GaussianMixture, dtype: type) -> tuple[Energy, Gradient]:
    weights, means, covariances = potential.weights, potential.means, potential.covariances
    dim = potential.dim
    if covariances.ndim == 1:
        precision = 1.0 / covariances
        log_weight = np.log(weights) - 0.5 * dim * np.log(2.0 * np.pi * covariances)
        # -|x - mu|^2 / (2 s^2) opened, so that BLAS makes the table of components and particles
        shift = _column(log_weight - 0.5 * precision * (means * means).sum(axis=1), dtype)
        linear = (precision[:, np.newaxis] * means).astype(dtype)  # (K, dim)
        half = _column(-0.5 * precision, dtype)
        precision_row = precision.astype(dtype)
        same = bool((precision == precision[0]).all())

        def table(x: Array) -> tuple[Array, Array]:
            """exp(log of each component - the largest), and the largest; of equal precisions without |x|^2."""
            t = linear @ x
            t += shift
            if not same:
                t += half * np.einsum("dn,dn->n", x, x)
            top = t.max(axis=0)
            t -= top
            _exp(t)
            return t, top

        def energy(x: Array) -> Array:
            t, top = table(x)
            u = -np.log(t.sum(axis=0))
            u -= top
            if same:
                u -= half[0] * np.einsum("dn,dn->n", x, x)
            return u

        def gradient(x: Array, out: Array) -> None:
            t, _ = table(x)
            np.matmul(linear.T, t, out=out)
            np.negative(out, out=out)
            total = t.sum(axis=0)
            if same:
                out /= total
                out += precision_row[0] * x
            else:
                out += (precision_row @ t) * x
                out /= total

        return energy, gradient

    matrices = np.linalg.inv(covariances)
    log_weights = np.log(weights) - 0.5 * (dim * np.log(2.0 * np.pi) + np.linalg.slogdet(covariances)[1])
    centers, matrices = means.astype(dtype)[:, :, np.newaxis], matrices.astype(dtype)
    log_weights = _column(log_weights, dtype)

    def full_table(x: Array) -> tuple[Array, Array, Array]:
        d = x - centers  # (K, dim, n)
        pull = matrices @ d
        t = np.einsum("kdn,kdn->kn", d, pull)
        t *= -0.5
        t += log_weights
        top = t.max(axis=0)
        t -= top
        _exp(t)
        return t, top, pull

    def full_energy(x: Array) -> Array:
        t, top, _ = full_table(x)
        return -np.log(t.sum(axis=0)) - top

    def full_gradient(x: Array, out: Array) -> None:
        t, _, pull = full_table(x)
        np.einsum("kn,kdn->dn", t, pull, out=out)
        out /= t.sum(axis=0)

    return full_energy, full_gradient


def _ring(potential: p.Ring, dtype: type) -> tuple[Energy, Gradient]:
    radius, over_w2 = potential.radius, 1.0 / potential.width**2

    def distance(x: Array) -> Array:
        r = np.einsum("dn,dn->n", x, x)
        return np.sqrt(r, out=r)

    def energy(x: Array) -> Array:
        r = distance(x)
        r -= radius
        r *= r
        r *= 0.5 * over_w2
        return r

    def gradient(x: Array, out: Array) -> None:
        r = distance(x)
        np.divide(-radius * over_w2, r, out=r)
        r += over_w2
        np.multiply(x, r, out=out)

    return energy, gradient


def _lennard_jones_cluster(potential: p.LennardJonesCluster, dtype: type) -> tuple[Energy, Gradient]:
    n_atoms, epsilon, sigma2 = potential.n_atoms, potential.epsilon, potential.sigma**2
    wall, k = potential.wall, potential.wall_stiffness

    def inverse6(d: Array) -> tuple[Array, Array]:
        s2 = np.einsum("mdn,mdn->mn", d, d)
        np.divide(sigma2, s2, out=s2)
        s6 = s2 * s2
        s6 *= s2
        return s2, s6

    def energy(x: Array) -> Array:
        atoms = x.reshape(n_atoms, 3, -1)
        u = np.zeros_like(x[0])
        for i in range(n_atoms - 1):
            _, s6 = inverse6(atoms[i + 1 :] - atoms[i])
            t = s6 - 1.0
            t *= s6
            u += t.sum(axis=0)
        u *= 4.0 * epsilon
        if wall is not None:
            beyond = np.maximum(np.sqrt(np.einsum("mdn,mdn->mn", atoms, atoms)) - wall, 0.0)
            u += 0.5 * k * np.einsum("mn,mn->n", beyond, beyond)
        return u

    def gradient(x: Array, out: Array) -> None:
        atoms, slopes = x.reshape(n_atoms, 3, -1), out.reshape(n_atoms, 3, -1)
        slopes.fill(0.0)
        for i in range(n_atoms - 1):
            d = atoms[i + 1 :] - atoms[i]
            s2, s6 = inverse6(d)
            t = 0.5 - s6
            t *= s6
            t *= s2
            t *= 48.0 * epsilon / sigma2
            d *= t[:, np.newaxis]
            slopes[i + 1 :] += d
            slopes[i] -= d.sum(axis=0)
        if wall is not None:
            r = np.sqrt(np.einsum("mdn,mdn->mn", atoms, atoms))
            if r.max() > wall:
                slopes += (k * np.maximum(r - wall, 0.0) / np.maximum(r, wall))[:, np.newaxis] * atoms

    return energy, gradient


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
    p.Free: _free,
    p.Harmonic: _harmonic,
    p.Gaussian: _gaussian,
    p.DoubleWell: _double_well,
    p.Prinz: _prinz,
    p.MullerBrown: _muller_brown,
    p.Rosenbrock: _rosenbrock,
    p.HybridRosenbrock: _hybrid_rosenbrock,
    p.NealFunnel: _neal_funnel,
    p.GaussianMixture: _gaussian_mixture,
    p.Ring: _ring,
    p.LennardJonesCluster: _lennard_jones_cluster,
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


def functions_of(potential: p.Potential, dtype: type = np.float64) -> tuple[Energy, Gradient]:
    """energy(x) and gradient(x, out) in NumPy; their constants are made once, as a user would."""
    return _LOOPS[type(potential)](potential, dtype)
