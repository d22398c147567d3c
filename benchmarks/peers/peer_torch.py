# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""PyTorch in place, without gradients: one call for each operation on all particles."""

from __future__ import annotations

import numpy as np
import torch
from common import Sampler, Task, choose, package_versions, serve


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def well(task: Task):
    def gradient(x, out):
        torch.mul(x, x, out=out)
        out.sub_(1.0).mul_(x).mul_(4.0)

    return gradient


def muller_brown(task: Task):
    terms = task.parameters["terms"]

    def gradient(x, out):
        out.zero_()
        for A, a, b, c, X, Y in terms:
            dx, dy = x[0] - X, x[1] - Y
            fx, fy = torch.add(b * dy, dx, alpha=2.0 * a), torch.add(b * dx, dy, alpha=2.0 * c)
            e = dx.mul_(fx).addcmul_(dy, fy).mul_(0.5).exp_().mul_(A)
            out[0].addcmul_(e, fx)
            out[1].addcmul_(e, fy)

    return gradient


def mixture(task: Task):
    precision = 1.0 / task.parameters["variance"]
    means = tensor(task.array("means"))
    shift = -0.5 * precision * (means * means).sum(dim=1, keepdim=True)
    linear, back = precision * means, (precision * means).T.contiguous()

    def gradient(x, out):
        t = torch.softmax(torch.addmm(shift, linear, x), dim=0)
        torch.mm(back, t, out=out)
        out.neg_().add_(x, alpha=precision)

    return gradient


def logistic(task: Task):
    X, y, over_s2 = tensor(task.array("X")), tensor(task.array("y"))[:, None], task.parameters["prior_scale"] ** -2.0
    back = X.T.contiguous()

    def gradient(x, out):
        z = torch.mm(X, x).sigmoid_().sub_(y)
        torch.mm(back, z, out=out)
        out.add_(x, alpha=over_s2)

    return gradient


def logistic_energy(task: Task):
    X, y, over_s2 = tensor(task.array("X")), tensor(task.array("y")), task.parameters["prior_scale"] ** -2.0

    def energy(x):
        z = torch.mm(X, x)
        return torch.nn.functional.softplus(z).sum(dim=0) - y @ z + 0.5 * over_s2 * (x * x).sum(dim=0)

    return energy


def lennard_jones(task: Task):
    n_atoms, wall, stiffness = task.dim // 3, task.parameters["wall"], task.parameters["wall_stiffness"]
    i, j = (torch.from_numpy(index) for index in np.triu_indices(n_atoms, 1))
    incidence: np.ndarray = np.zeros((n_atoms, len(i)), task.dtype)
    incidence[i, np.arange(len(i))] = 1.0
    incidence[j, np.arange(len(i))] = -1.0
    sums = tensor(incidence)

    def gradient(x, out):
        atoms = x.view(n_atoms, 3, -1)
        d = atoms[i] - atoms[j]
        inverse = (d * d).sum(dim=1).reciprocal_()
        s6 = inverse * inverse * inverse
        d.mul_(s6.mul(-2.0).add_(1.0).mul_(s6).mul_(inverse).mul_(24.0)[:, None])
        torch.mm(sums, d.view(len(i), -1), out=out.view(n_atoms, -1))
        r = (atoms * atoms).sum(dim=1, keepdim=True).sqrt_()
        pull = (1.0 - wall / r).clamp_(min=0.0).mul_(stiffness)  # an atom at the origin has no direction
        out.view(atoms.shape).addcmul_(pull, atoms)

    return gradient


def network(task: Task):
    layers = [(tensor(w), tensor(b)[:, None]) for w, b in task.layers]

    def gradient(x, out):
        y = x
        for k, (w, b) in enumerate(layers):
            y = torch.addmm(b, w, y)
            if k + 1 < len(layers):
                y = torch.nn.functional.silu(y, inplace=True)
        torch.sub(x, y, out=out)

    return gradient


GRADIENTS = {
    "well": well,
    "gaussian": lambda task: lambda x, out: out.copy_(x),
    "muller_brown": muller_brown,
    "mixture": mixture,
    "logistic": logistic,
    "lennard_jones": lennard_jones,
    "network": network,
}
ENERGIES = {"gaussian": lambda task: lambda x: 0.5 * (x * x).sum(dim=0), "logistic": logistic_energy}


def ula(task: Task, x, v):
    gradient, g, xi = choose(GRADIENTS, task.potential, "potential")(task), torch.empty_like(x), torch.empty_like(x)

    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            gradient(x, g)
            xi.normal_(0.0, task.noise)
            x.add_(g, alpha=-task.step_size).add_(xi)

    return run


def baoab(task: Task, x, v):
    gradient, g, xi = choose(GRADIENTS, task.potential, "potential")(task), torch.empty_like(x), torch.empty_like(x)
    half = 0.5 * task.step_size

    def run(n_steps: int) -> None:
        gradient(x, g)
        for _ in range(n_steps):
            v.add_(g, alpha=-half)
            x.add_(v, alpha=half)
            xi.normal_(0.0, task.kick)
            v.mul_(task.decay).add_(xi)
            x.add_(v, alpha=half)
            gradient(x, g)
            v.add_(g, alpha=-half)

    return run


def mala(task: Task, x, v):
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    energy = choose(ENERGIES, task.potential, "energy")(task)
    h, (g, gy, xi) = task.step_size, (torch.empty_like(x) for _ in range(3))
    uniform = torch.empty_like(x[0])

    def run(n_steps: int) -> None:
        gradient(x, g)
        u = energy(x)
        for _ in range(n_steps):
            xi.normal_(0.0, task.noise)
            y = torch.add(x, g, alpha=-h).add_(xi)
            uy = energy(y)
            gradient(y, gy)
            back = torch.sub(x, y).add_(gy, alpha=h)
            squares = (xi * xi).sum(dim=0).sub_((back * back).sum(dim=0))
            ratio = u.sub(uy).add_(squares, alpha=0.25 / h).mul_(1.0 / task.kT)
            accept = -uniform.exponential_() < ratio
            torch.where(accept, y, x, out=x)
            torch.where(accept, gy, g, out=g)
            torch.where(accept, uy, u, out=u)

    return run


def normals(task: Task, x, v):
    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            x.normal_()

    return run


SCHEMES = {"ULA": ula, "BAOAB": baoab, "MALA": mala, "normals": normals}


def prepare(task: Task) -> Sampler:
    torch.set_num_threads(task.threads)
    torch.set_grad_enabled(False)
    torch.set_flush_denormal(True)
    start = tensor(task.starts)
    x, v = start.clone(), torch.zeros_like(start)

    def reset() -> None:
        x.copy_(start)
        v.normal_(0.0, task.kT**0.5)

    reset()
    return Sampler(reset, SCHEMES[task.scheme](task, x, v), lambda: x.numpy().T)


if __name__ == "__main__":
    serve(prepare, package_versions("torch"))
