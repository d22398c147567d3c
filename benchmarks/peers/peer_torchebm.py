# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def, misc"
"""torchebm: ``LangevinDynamics``, with the gradient of the energy written by hand (its own is autograd's)."""

from __future__ import annotations

import torch
from common import Sampler, Task, choose, package_versions, serve
from peer_torch import GRADIENTS, tensor
from torchebm.core import BaseModel
from torchebm.samplers import LangevinDynamics

SCHEMES = {
    "ULA": True,
    "BAOAB": "no underdamped dynamics",
    "MALA": "no Metropolis test for Langevin dynamics",
    "normals": "those of PyTorch",
}


class Model(BaseModel):
    def __init__(self, gradient_to, dtype) -> None:
        super().__init__(dtype=dtype)
        self._gradient_to = gradient_to

    def forward(self, x):
        raise NotImplementedError

    def gradient(self, x, *args, **more):
        out = torch.empty_like(x)
        self._gradient_to(x, out)
        return out


def prepare(task: Task) -> Sampler:
    choose(SCHEMES, task.scheme, "scheme")
    torch.set_num_threads(task.threads)
    torch.set_grad_enabled(False)
    torch.set_flush_denormal(True)
    start = tensor(task.starts)
    model = Model(choose(GRADIENTS, task.potential, "potential")(task), start.dtype)
    # rows are components: the steps are elementwise
    sampler = LangevinDynamics(
        model, step_size=task.step_size, noise_scale=task.kT**0.5, dtype=start.dtype, device="cpu"
    )
    x = start.clone()

    def reset() -> None:
        nonlocal x
        x = start.clone()

    def run(n_steps: int) -> None:
        nonlocal x
        x = sampler.sample(x=x, n_steps=n_steps)

    return Sampler(reset, run, lambda: x.numpy().T)


if __name__ == "__main__":
    serve(prepare, package_versions("torchebm", "torch"))
