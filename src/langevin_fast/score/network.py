"""ScoreNetwork: a trained score, in compiled code."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..errors import warn
from . import network_file
from .network_potential import ACTIVATIONS, NetworkPotential, check_layers

# How far outside of the trained noise levels, as a factor, a network is used without a warning.
_SLACK = 1.1


def noise_condition(noise: float) -> float:
    """What the network is told of a noise level, in units of the data's scale."""
    return 0.25 * math.log(noise)


class History(NamedTuple):
    """Losses of each epoch.

    Attributes
    ----------
    training, validation : ndarray of shape (epochs,)
    best : int
        The epoch whose weights were kept: the last, or where that is clearly worse, the one with the smallest
        validation loss.
    """

    training: np.ndarray
    validation: np.ndarray
    best: int


@dataclass(frozen=True, eq=False)
class ScoreNetwork:
    r"""A trained score.

    .. math::
        s(x, \sigma) = \frac{(l/\sigma)\, N(z, \tfrac14 \log(\sigma/l)) - z}{r}, \qquad
        z = \frac{x - m}{r}, \quad r^2 = l^2 + \sigma^2

    with a multilayer perceptron N, which is 0 for normal data: whatever the noise, its inputs and outputs are of the
    size of 1 (T. Karras et al., NeurIPS 2022, table 1). Without noise levels r = l and :math:`s(x) = (N(z) - z)/l`.
    Made by :func:`fit_network` or :meth:`load`; evaluated by compiled code, without JAX.

    Attributes
    ----------
    layers : sequence of (weight (out, in), bias (out,))
        Hidden layers, then the linear output layer.
    activation : str
        Of the hidden layers.
    mean : ndarray of shape (dim,)
        m.
    scale : float
        l, in length units.
    sigmas : ndarray of shape (L,) or None
        The noise levels that it was trained on; None: one score, without a noise level.
    history : History or None

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed, or the layers do not fit each other: the first has dim inputs, and one more with
        noise levels.
    """

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    activation: str
    mean: np.ndarray
    scale: float
    sigmas: np.ndarray | None = None
    history: History | None = None

    def __post_init__(self) -> None:
        checks.one_of("activation", self.activation, ACTIVATIONS)
        mean = checks.finite_array("mean", self.mean, shape=(None,))
        sigmas = None if self.sigmas is None else checks.positive_array("sigmas", self.sigmas, shape=(None,))
        scale = checks.positive("scale", self.scale)
        layers = check_layers(self.layers)
        n_in, n_out = layers[0][0].shape[1], len(layers[-1][1])
        if (n_in, n_out) != (len(mean) + (sigmas is not None), len(mean)):
            levels = "no" if sigmas is None else f"{len(sigmas)}"
            raise ValueError(
                f"layers has {n_in} inputs and {n_out} outputs, which does not fit mean, of {len(mean)} components, "
                f"with {levels} sigmas"
            )
        for name, value in (("mean", mean), ("sigmas", sigmas), ("scale", scale), ("layers", layers)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        widths = ", ".join(str(len(bias)) for _, bias in self.layers)
        levels = "no noise levels" if self.sigmas is None else f"{len(self.sigmas)} noise levels"
        return f"<ScoreNetwork: {self.dim} inputs, layers of {widths}, {self.activation}, {levels}>"

    @property
    def dim(self) -> int:
        """Number of components of x."""
        return len(self.mean)

    def __call__(self, x: ArrayLike, sigma: float | None = None) -> np.ndarray:
        """The score.

        Parameters
        ----------
        x : (..., dim) array
        sigma : float
            The noise level; not given for a network without noise levels.

        Returns
        -------
        (..., dim) array
            float32 for float32 positions, else float64.
        """
        potential = build(self, sigma)
        warn_outside(self, sigma)
        return -potential.gradient(x)

    def potential(self, sigma: float | None = None) -> NetworkPotential:
        """The potential whose force is this score: the network in the compiled step loop, for schemes without energies.

        Parameters
        ----------
        sigma : float
            The noise level; not given for a network without noise levels.

        Returns
        -------
        NetworkPotential
            ∇U = -s(x, sigma), to be sampled at kT = 1.

        Raises
        ------
        TypeError, ValueError
            `sigma` is missing, not allowed, or no number > 0.

        Warns
        -----
        UserWarning
            `sigma` lies outside of the noise levels trained on by more than 10 %: the score there is a guess.
        """
        potential = build(self, sigma)
        warn_outside(self, sigma)
        return potential

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and settings to an .npz file; the history is not kept."""
        arrays = {"mean": self.mean}
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight{i}": weight, f"bias{i}": bias}
        if self.sigmas is not None:
            arrays["sigmas"] = self.sigmas
        settings = {"activation": self.activation, "scale": self.scale, "n_layers": len(self.layers)}
        network_file.write(path, settings, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreNetwork:
        """Read what :meth:`save` wrote. Nothing in the file is executed, and it is checked before it is believed.

        Raises
        ------
        OSError
            The file cannot be opened.
        ValueError
            It is not a file of a network, or damaged, or its contents do not fit each other.
        """
        settings, arrays = network_file.read(path)
        layers = [(arrays[f"weight{i}"], arrays[f"bias{i}"]) for i in range(settings["n_layers"])]
        try:
            return cls(layers, settings["activation"], arrays["mean"], settings["scale"], arrays.get("sigmas"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} does not hold a ScoreNetwork: {error}") from error


def build(network: ScoreNetwork, sigma: float | None) -> NetworkPotential:
    """The potential of one noise level; see :meth:`ScoreNetwork.potential`."""
    if (sigma is None) != (network.sigmas is None):
        wanted = "needs sigma" if network.sigmas is not None else "has no noise levels: sigma is not allowed"
        raise TypeError(f"this network {wanted}")
    r, factor, condition = network.scale, 1.0, []
    if sigma is not None:
        noise = checks.positive("sigma/scale", checks.positive("sigma", sigma) / network.scale)
        r, factor, condition = r * math.hypot(1.0, noise), 1.0 / noise, [noise_condition(noise)]
    return NetworkPotential(
        network.layers,
        network.activation,
        mean=network.mean,
        scale=r,
        factor=factor / r,
        slope=1.0 / r,
        condition=condition,
    )


def warn_outside(network: ScoreNetwork, *sigmas: float | None) -> None:
    """Warn of the first noise level outside of those that the network was trained on."""
    for sigma in sigmas:
        if sigma is None or network.sigmas is None:
            continue
        low, high = float(network.sigmas.min()), float(network.sigmas.max())
        if not low / _SLACK <= sigma <= high * _SLACK:
            warn(
                f"sigma={sigma:.6g} lies outside of the noise levels that the network was trained on, {low:.6g} to "
                f"{high:.6g}: its score there is a guess",
            )
            return
