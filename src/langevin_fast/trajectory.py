"""What a run gives back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .backends.problem import State
from .potentials.base import Potential
from .schemes import Scheme

if TYPE_CHECKING:
    import arviz
    import xarray

__all__ = ["Trajectory"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of a run, and how to make them again.

    Attributes
    ----------
    positions : ndarray of shape (n_frames, n_particles, dim)
        In length units.
    velocities : ndarray of shape (n_frames, n_particles, dim) or None
        On-step velocities, in length/time; None for overdamped schemes.
    steps : ndarray of shape (n_frames,)
        The step number of each frame.
    acceptance_rate : ndarray of shape (n_particles,) or None
        Of the steps after the burn-in; None for schemes without Metropolis tests.
    diverged : ndarray of shape (n_particles,)
        For each particle the step after which it was first not finite, or -1; from then on its frames repeat its last
        finite state (only with ``on_divergence="freeze"``).
    final : State
        The state after the last complete step: ``.step``, ``.positions``, ``.velocities``.
    seed : int
        The same seed and arguments give the same bits.
    streams : ndarray of shape (n_particles,)
        The noise stream of each particle.
    backend : str
        Who made the steps.
    potential, scheme
        As given.
    """

    positions: np.ndarray
    velocities: np.ndarray | None
    steps: np.ndarray
    acceptance_rate: np.ndarray | None
    diverged: np.ndarray
    final: State
    seed: int
    streams: np.ndarray
    backend: str
    potential: Potential
    scheme: Scheme

    def __repr__(self) -> str:
        n_frames, n_particles, dim = self.positions.shape
        return (
            f"<Trajectory: {n_frames} frames of {n_particles} particles in {dim} dimensions, "
            f"{self.potential!r}, {self.scheme!r}, seed={self.seed}>"
        )

    @cached_property
    def energies(self) -> np.ndarray:
        """U of every frame and particle, (n_frames, n_particles), in energy units; computed when first asked for."""
        return self.potential.energy(self.positions)

    def to_xarray(self) -> xarray.Dataset:
        """The frames as an ``xarray.Dataset`` with dimensions (chain, draw, component), as ArviZ wants them.

        Raises
        ------
        ImportError
            If xarray is not installed (extra ``xarray``).
        """
        try:
            import xarray
        except ImportError:
            raise ImportError("to_xarray needs xarray: pip install 'langevin-fast[xarray]'") from None
        dims = ("chain", "draw", "component")
        variables: dict[str, Any] = {"position": (dims, np.swapaxes(self.positions, 0, 1))}
        if self.velocities is not None:
            variables["velocity"] = (dims, np.swapaxes(self.velocities, 0, 1))
        if self.acceptance_rate is not None:
            variables["acceptance_rate"] = (("chain",), self.acceptance_rate)
        coordinates = {
            "chain": np.arange(self.positions.shape[1]),
            "draw": np.arange(len(self.steps)),
            "component": np.arange(self.positions.shape[2]),
            "step": ("draw", self.steps),
            "stream": ("chain", self.streams.astype(np.int64)),
        }
        attributes = {
            # xarray's file formats know no unsigned 64-bit attributes
            "seed": str(self.seed),
            "backend": self.backend,
            "potential": repr(self.potential),
            "scheme": repr(self.scheme),
        }
        return xarray.Dataset(variables, coordinates, attributes)

    def to_inference_data(self) -> arviz.InferenceData:
        """The frames as ``arviz.InferenceData``: posterior ``x`` (chain, draw, component), sample_stats ``lp``.

        ``lp`` is -U/kT; it is left out where kT = 0.

        Raises
        ------
        ImportError
            If ArviZ is not installed (extra ``arviz``).
        """
        try:
            import arviz
        except ImportError:
            raise ImportError("to_inference_data needs ArviZ: pip install 'langevin-fast[arviz]'") from None
        stats = {}
        if self.potential.has_energy and np.all(np.asarray(self.scheme.kT) > 0):
            stats["lp"] = np.swapaxes(-self.energies / np.asarray(self.scheme.kT), 0, 1)
        return arviz.from_dict(
            posterior={"x": np.swapaxes(self.positions, 0, 1)},
            sample_stats=stats or None,
            coords={"component": np.arange(self.positions.shape[2])},
            dims={"x": ["component"]},
        )
