"""Write tests/data/digests.json: SHA-256 digests of trajectories, noise and functions.

They hold the promise that results are the same bits everywhere: tests/test_bits.py compares them at every
instruction-set level, with NumPy's SIMD off and with another BLAS. Run

    python tests/make_digests.py            # write the file
    python tests/make_digests.py --print    # print it instead

only when results are meant to change, and say so in the changelog. New potentials and schemes (tests/cases.py) only add
entries; the rest must stay as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import cases
import numpy as np

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast.noise import draw

FILE = Path(__file__).parent / "data" / "digests.json"


def digest(*arrays: np.ndarray | None) -> str:
    """SHA-256 of the bytes of some arrays, little-endian."""
    total = hashlib.sha256()
    for array in arrays:
        if array is not None:
            total.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return total.hexdigest()


def of_run(potential: lf.potentials.Potential, scheme: lf.Scheme, **arguments: object) -> str:
    """150 particles: whole groups of vectors, rests of them, and single numbers, on every level."""
    run: dict[str, Any] = {"n_particles": 150, "burn_in": 7, "n_steps": 30, "stride": 10, "seed": 2024, **arguments}
    traj = lf.sample(potential, scheme, **run)
    rate = np.zeros(150) if traj.acceptance_rate is None else traj.acceptance_rate
    accepted = np.rint(rate * run["n_steps"]).astype(np.int64)
    return digest(traj.positions, traj.velocities, traj.final.positions, traj.final.velocities, accepted)


def compute() -> dict[str, str]:
    """All digests by name, with the level in use."""
    result = {}
    for precision, dtype in cases.PRECISIONS.items():
        for potential, scheme in cases.GRID:
            result[f"{scheme} | {potential} | {precision}"] = of_run(
                *cases.problem(potential, scheme), precision=precision
            )
        # step sizes, temperatures and masses of each particle's own; streams far apart
        streams = np.arange(150) * 2**47 + 5
        for scheme in cases.SCHEMES:
            made, mass = cases.varied(scheme, 150, 3)
            springs = lf.potentials.Harmonic([1.0, 4.0, 0.5])
            result[f"{scheme} | varied | {precision}"] = of_run(
                springs, made, precision=precision, streams=streams, **mass
            )
        particles = np.array([0, 1, 2**40 + 3, 2**56 - 1], np.uint64)
        for tag in _core.TAGS:
            for uniform in (False, True):
                numbers = [
                    draw(tag, 11, particles, start, 1001, dtype, uniform=uniform)
                    for start in (0, 2**34 - 500, 2**40 + 1)
                ]
                result[f"noise | {tag} {'uniforms' if uniform else 'normals'} | {precision}"] = digest(*numbers)
        quarter = np.arange(-(2**12), 2**12 + 1) / 2**12
        for name, x in {
            "exp": quarter * (700 if precision == "double" else 85),
            "expm1": quarter * (700 if precision == "double" else 85),
            "log": (quarter[1:] + 1) * 50,
            "sin_eighth": quarter,
            "cos_eighth": quarter,
        }.items():
            result[f"function | {name} | {precision}"] = digest(_core.function(name, x.astype(dtype)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the digests instead of writing the file")
    text = json.dumps(compute(), indent=1, sort_keys=True) + "\n"
    if parser.parse_args().print:
        print(text, end="")
    else:
        FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
