# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""OpenMM: ``BrownianIntegrator`` and ``LangevinMiddleIntegrator``; units of nm, ps, u and kJ/mol.

Its particles have three components. Independent ones, such as those of the double well, are put three to a particle;
particles in a plane leave the third component idle. Double precision is its Reference platform, single precision the
CPU platform. LangevinMiddle is BAOAB with the kicks of two steps in one: the positions are the same.
"""

from __future__ import annotations

import numpy as np
import openmm
from common import MissingWorkError, Sampler, Task, choose, package_versions, serve

BOLTZMANN = 0.00831446261815324  # kJ/mol/K


def external(expression: str) -> openmm.Force:
    return openmm.CustomExternalForce(expression)


def muller_brown(task: Task) -> openmm.Force:
    return external(
        "+".join(
            f"({A})*exp(({a})*(x-({X}))^2+({b})*(x-({X}))*(y-({Y}))+({c})*(y-({Y}))^2)"
            for A, a, b, c, X, Y in task.parameters["terms"]
        )
    )


def mixture(task: Task) -> openmm.Force:
    half = 0.5 / task.parameters["variance"]
    terms = "+".join(f"exp(-{half}*((x-({X}))^2+(y-({Y}))^2))" for X, Y in task.parameters["means"])
    return external(f"-log({terms})")


def wall(task: Task) -> openmm.Force:
    radius, stiffness = task.parameters["wall"], task.parameters["wall_stiffness"]
    return external(f"0.5*{stiffness}*max(sqrt(x^2+y^2+z^2+1e-20)-{radius},0)^2")


EXTERNAL = {
    "well": lambda task: external("(x^2-1)^2+(y^2-1)^2+(z^2-1)^2"),
    "gaussian": lambda task: external("0.5*(x^2+y^2+z^2)"),
    "muller_brown": muller_brown,
    "mixture": mixture,
    "lennard_jones": wall,
    "network": "a network needs a plug-in with a library of its own",
    "logistic": "a posterior is no force field",
}


def ula(task: Task, temperature: float):
    return openmm.BrownianIntegrator(temperature, 1.0, task.step_size)


def baoab(task: Task, temperature: float):
    return openmm.LangevinMiddleIntegrator(temperature, task.friction, task.step_size)


SCHEMES = {"ULA": ula, "BAOAB": baoab, "MALA": "no Metropolis test", "normals": "none that are reached from outside"}


def pairs(task: Task) -> openmm.Force:
    """Lennard-Jones between the atoms of each cluster."""
    i, j = np.triu_indices(13, 1)
    force = openmm.CustomBondForce("4*(s-1)*s; s=1/r^6")
    for cluster in range(task.n):
        for a, b in zip(i.tolist(), j.tolist(), strict=True):
            force.addBond(13 * cluster + a, 13 * cluster + b, [])
    return force


def prepare(task: Task) -> Sampler:
    integrator = choose(SCHEMES, task.scheme, "scheme")(task, task.kT / BOLTZMANN)
    force = choose(EXTERNAL, task.potential, "potential")(task)
    if task.precision == "double" and task.threads > 1:
        raise MissingWorkError("the Reference platform has one thread")
    numbers = task.starts.T.reshape(-1)  # particle by particle
    if task.dim == 2:
        positions = np.pad(task.starts.T, ((0, 0), (0, 1)))
    else:
        positions = np.pad(numbers, (0, -len(numbers) % 3), mode="edge").reshape(-1, 3)
    start = np.ascontiguousarray(positions, np.float64)
    system = openmm.System()
    for k in range(len(start)):
        system.addParticle(1.0)
        force.addParticle(k, [])
    system.addForce(force)
    if task.potential == "lennard_jones":
        system.addForce(pairs(task))
    integrator.setRandomNumberSeed(1)
    if task.precision == "double":
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    else:
        platform = openmm.Platform.getPlatformByName("CPU")
        context = openmm.Context(system, integrator, platform, {"Threads": str(task.threads)})
    seed = 0

    def reset() -> None:
        nonlocal seed
        seed += 1
        context.setPositions(start)
        if task.scheme == "BAOAB":
            context.setVelocitiesToTemperature(task.kT / BOLTZMANN, seed)

    def positions_now() -> np.ndarray:
        x = np.asarray(context.getState(getPositions=True).getPositions(asNumpy=True)._value)
        if task.dim == 2:
            return x[:, :2]
        return x.reshape(-1)[: task.n * task.dim].reshape(task.n, task.dim)

    reset()
    return Sampler(reset, integrator.step, positions_now)


if __name__ == "__main__":
    serve(prepare, package_versions("openmm"))
