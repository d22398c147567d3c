"""The CUDA backend on a GPU: ``python benchmarks/gpu.py``. Checks it against the CPU, then measures.

Prints nanoseconds per particle-step of the schemes beside a kernel that only makes the normals, and beside CuPy and
JAX loops where these are installed. Needs the extra ``cuda`` and a GPU; exits with 1 if anything disagrees, with 2 if
there is no GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import user_potentials

import langevin_fast as lf
from langevin_fast.backends import cuda as cuda_backend

PRECISIONS = ("double", "single")
SCHEMES = {
    "ULA": lf.ULA(0.01),
    "LeimkuhlerMatthews": lf.LeimkuhlerMatthews(0.01),
    "MALA": lf.MALA(0.1),
    "BAOAB": lf.BAOAB(0.1, friction=1.0),
}


def check(n_particles: int, n_steps: int) -> int:
    """Compare with C++ to the bit; where bits differ, say after which step, and let cross_check judge the steps."""
    failures = 0
    for potential in (lf.potentials.DoubleWell(2.0), lf.potentials.Harmonic([1.0, 2.0, 3.0]), lf.potentials.Prinz()):
        for name, scheme in SCHEMES.items():
            for precision in PRECISIONS:
                runs = [
                    lf.sample(
                        potential,
                        scheme,
                        n_steps=n_steps,
                        n_particles=n_particles,
                        seed=1,
                        precision=precision,
                        backend=b,
                    )
                    for b in ("cuda", "cpp")
                ]
                differ = np.flatnonzero((runs[0].positions != runs[1].positions).any(axis=(1, 2)))
                line = f"{potential.kind:12s} {name:18s} {precision:6s}"
                if not len(differ):
                    print(f"{line}  the bits of the CPU for {n_particles} particles x {n_steps} steps")
                    continue
                report = lf.cross_check(potential, scheme, precision=precision)
                failures += not report.ok
                print(f"{line}  first difference after step {runs[0].steps[differ[0]]}\n{report}")
    return failures


# --- speed ------------------------------------------------------------------------------------------------------------


def seconds_per_step(work: Callable[[int], object], repeats: int = 5) -> float:
    """The least of several, each about a fifth of a second long."""
    work(1)
    n = 10
    while True:
        started = time.perf_counter()
        work(n)
        elapsed = time.perf_counter() - started
        if elapsed > 0.2:
            break
        n *= 4
    best = elapsed / n
    for _ in range(repeats - 1):
        started = time.perf_counter()
        work(n)
        best = min(best, (time.perf_counter() - started) / n)
    return best


def raw_normals(n_particles: int, precision: str) -> Callable[[int], object]:
    """A kernel that makes the normals of the steps and adds them up, so that they are not left out."""
    from numba import cuda

    from langevin_fast.gpu.device_functions import Noise, device
    from langevin_fast.gpu.kernel import launching

    dtype = np.float64 if precision == "double" else np.float32
    normals, per_block = Noise(dtype).normals, Noise(dtype).per_block
    u = np.uint64

    # written out: iterating over a tuple would go through memory
    if per_block == 2:

        @device
        def sum_of_block(block, stream):  # type: ignore[no-untyped-def]
            a, b = normals(block, stream, u(0), u(1), u(0))
            return a + b

    else:

        @device
        def sum_of_block(block, stream):  # type: ignore[no-untyped-def]
            a, b, c, d = normals(block, stream, u(0), u(1), u(0))
            return (a + b) + (c + d)

    @cuda.jit
    def kernel(out, n_blocks):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < out.shape[0]:
            total = dtype(0)
            for block in range(n_blocks):
                total += sum_of_block(u(block), u(i))
            out[i] = total

    out = cuda.device_array(n_particles, dtype)

    def work(n_steps: int) -> None:
        with launching():
            kernel[-(-n_particles // 128), 128](out, -(-n_steps // per_block))
        cuda.synchronize()

    return work


def cupy_loop(n_particles: int, precision: str) -> Callable[[int], object]:
    """ULA in the double well as one writes it with CuPy, the update fused into one kernel."""
    import cupy as cp

    dtype = cp.float64 if precision == "double" else cp.float32
    x = cp.full(n_particles, -1.0, dtype)
    h = dtype(0.01)
    noise = dtype(np.sqrt(0.02))

    @cp.fuse
    def update(x, xi):  # type: ignore[no-untyped-def]
        return x - h * (4 * x * (x * x - 1)) + noise * xi

    def work(n_steps: int) -> None:
        y = x
        for _ in range(n_steps):
            y = update(y, cp.random.standard_normal(n_particles, dtype=dtype))
        cp.cuda.Stream.null.synchronize()

    return work


def jax_loop(n_particles: int, precision: str) -> Callable[[int], object]:
    """The same in a scan of JAX, compiled, on whatever device JAX has."""
    import jax
    import jax.numpy as jnp

    dtype = jnp.float64 if precision == "double" else jnp.float32
    h, noise = 0.01, float(np.sqrt(0.02))

    def step(carry, _):  # type: ignore[no-untyped-def]
        x, key = carry
        key, use = jax.random.split(key)
        xi = jax.random.normal(use, x.shape, dtype)
        return (x - h * (4 * x * (x * x - 1)) + noise * xi, key), None

    @jax.jit
    def chunk(x, key):  # type: ignore[no-untyped-def]
        return jax.lax.scan(step, (x, key), None, length=100)[0]

    def work(n_steps: int) -> None:
        with jax.enable_x64(precision == "double"):
            x, key = jnp.full(n_particles, -1.0, dtype), jax.random.key(1)
            for _ in range(-(-n_steps // 100)):
                x, key = chunk(x, key)
            x.block_until_ready()

    return work


def works(n: int, precision: str) -> Iterator[tuple[str, Callable[[int], object]]]:
    yield "raw normals", raw_normals(n, precision)
    for name, scheme in SCHEMES.items():
        potential = lf.potentials.DoubleWell()
        yield f"{name}, built-in", _ours(potential, scheme, n, precision)
    for every in (1, 10):
        looking = _ours(lf.potentials.DoubleWell(), SCHEMES["ULA"], n, precision, observers(every))
        yield f"ULA, observers, every={every}", looking
    yield "ULA, Custom", _ours(user_potentials.custom_double_well(), SCHEMES["ULA"], n, precision)
    yield "ULA, Expression", _ours(user_potentials.expression_double_well(), SCHEMES["ULA"], n, precision)
    if importlib.util.find_spec("cupy"):
        yield "ULA, CuPy", cupy_loop(n, precision)
    if importlib.util.find_spec("jax"):
        import jax

        yield f"ULA, JAX on {jax.default_backend()}", jax_loop(n, precision)


def observers(every: int) -> list[lf.observers.Observer]:
    """Moments, a histogram and the average of a formula."""
    o = lf.observers
    return [o.Moments(every), o.Histogram("x[0]", range=(-2, 2), every=every), o.Expectation("x[0]**4", every)]


def _ours(
    potential: lf.potentials.Potential,
    scheme: lf.Scheme,
    n: int,
    precision: str,
    watching: list[lf.observers.Observer] | None = None,
) -> Callable[[int], object]:
    return lf.Simulation(
        potential, scheme, n_particles=n, seed=1, precision=precision, backend="cuda", observers=watching or []
    ).run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=2**20, help="of the timed runs (default: %(default)s)")
    parser.add_argument("--check-only", action="store_true", help="compare with the CPU, do not measure")
    options = parser.parse_args()
    try:
        cuda_backend.check_available()
    except lf.BackendUnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    from numba import cuda
    from numba.cuda import config

    if config.ENABLE_CUDASIM:
        return 1 if check(2, 6) else 0
    print(f"GPU: {cuda.get_current_device().name}")
    failures = check(1000, 1000)
    if options.check_only:
        return 1 if failures else 0
    n = options.particles
    print(f"\n1-D double well, {n} particles: ns per particle-step, and as a multiple of the raw normals")
    for precision in PRECISIONS:
        raw = None
        for name, work in works(n, precision):
            ns = seconds_per_step(work) / n * 1e9
            raw = ns if raw is None else raw
            print(f"{precision:6s}  {name:30s}  {ns:8.4f}  {ns / raw:6.2f} x", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
