"""Score networks: small multilayer perceptrons, trained with JAX by score matching."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..progress import Progress
from .network_potential import ACTIVATIONS, NetworkPotential

OBJECTIVES = ("denoising", "implicit", "sliced")
_FORMAT = 2


def _condition(noise: float) -> float:
    """What the network is told of a noise level, in units of the data's scale."""
    return 0.25 * math.log(noise)


class History(NamedTuple):
    """Losses of each epoch.

    Attributes
    ----------
    training, validation : ndarray of shape (epochs,)
    best : int
        The epoch whose weights were kept: the one with the smallest validation loss.
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
    """

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    activation: str
    mean: np.ndarray
    scale: float
    sigmas: np.ndarray | None = None
    history: History | None = None

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
        return -self.potential(sigma).gradient(x)

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
        """
        if (sigma is None) != (self.sigmas is None):
            wanted = "needs sigma" if self.sigmas is not None else "has no noise levels: sigma is not allowed"
            raise TypeError(f"this network {wanted}")
        if sigma is None:
            r, factor, condition = self.scale, 1.0, []
        else:
            noise = checks.positive("sigma", sigma) / self.scale
            r, factor, condition = self.scale * math.hypot(1.0, noise), 1.0 / noise, [_condition(noise)]
        return NetworkPotential(
            self.layers,
            self.activation,
            mean=self.mean,
            scale=r,
            factor=factor / r,
            slope=1.0 / r,
            condition=condition,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and settings to an .npz file; the history is not kept."""
        arrays = {"mean": self.mean}
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight{i}": weight, f"bias{i}": bias}
        if self.sigmas is not None:
            arrays["sigmas"] = self.sigmas
        settings = {
            "format": _FORMAT,
            "activation": self.activation,
            "scale": self.scale,
            "n_layers": len(self.layers),
        }
        target = Path(path)
        with open(target.with_name(target.name + ".part"), "wb") as file:
            np.savez(file, settings=np.array(json.dumps(settings)), **arrays)  # type: ignore[arg-type]
        # at once, so that a full disk or a killed process leaves no half file in place of an old one
        os.replace(file.name, target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreNetwork:
        """Read what :meth:`save` wrote. Nothing in the file is executed."""
        with np.load(path, allow_pickle=False) as file:
            if "settings" not in file:
                raise ValueError(f"{path} is not a file of a ScoreNetwork")
            settings = json.loads(str(file["settings"]))
            if settings.get("format") != _FORMAT:
                raise ValueError(f"{path} has format {settings.get('format')}; this version reads format {_FORMAT}")
            layers = tuple((file[f"weight{i}"], file[f"bias{i}"]) for i in range(settings["n_layers"]))
            sigmas = file.get("sigmas")
            return cls(layers, settings["activation"], file["mean"], float(settings["scale"]), sigmas)


def fit_network(
    x: ArrayLike,
    *,
    objective: str = "denoising",
    sigmas: ArrayLike | None = None,
    width: int = 128,
    depth: int = 3,
    activation: str = "silu",
    n_epochs: int = 200,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    validation: float = 0.1,
    patience: int = 30,
    seed: int = 0,
    progress: bool | None = None,
) -> ScoreNetwork:
    """Train a score network.

    Parameters
    ----------
    x : (n, dim) array
        Samples.
    objective : {"denoising", "implicit", "sliced"}
        "denoising" with `sigmas` trains one network for all noise levels, |s + xi/sigma|^2 weighted with
        sigma^2 (1 + sigma^2/l^2) of each, l the scale of the data; the other two train a score without noise (see
        :mod:`langevin_fast.score.objectives`).
    sigmas : (L,) array, optional
        Noise levels, > 0, in length units, for "denoising"; see :func:`geometric_levels`.
    width, depth : int
        Of the hidden layers, and their number, >= 1.
    activation : {"silu", "tanh", "softplus", "relu", "gelu", "elu"}
        "implicit" and "sliced" differentiate the network and need a smooth one.
    n_epochs, batch_size : int
        >= 1.
    learning_rate : float
        Of Adam, > 0; it falls to zero along a cosine.
    validation : float
        Fraction of the samples that is held out, 0 < validation < 1.
    patience : int
        Training stops after that many epochs without a smaller validation loss.
    seed : int
        Of weights, batches and noise (JAX's generator: the bits depend on JAX's version and the processor).
    progress : bool, optional
        A progress bar (tqdm). Default: when tqdm is installed and stderr is a terminal.

    Returns
    -------
    ScoreNetwork
        With the weights of the epoch with the smallest validation loss, and the history.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed.
    ImportError
        JAX, Equinox or Optax is not installed (extra ``score``).
    ArithmeticError
        The loss is no longer finite.
    """
    points = checks.finite_array("x", x, shape=(None, None))
    checks.one_of("objective", objective, OBJECTIVES)
    checks.one_of("activation", activation, ACTIVATIONS)
    if (sigmas is None) == (objective == "denoising"):
        raise TypeError(f'sigmas goes with objective="denoising", and that with sigmas; got {objective!r}')
    if activation == "relu" and objective != "denoising":
        raise ValueError(f'activation="relu" is not allowed with objective="{objective}": its slope jumps')
    levels = None if sigmas is None else checks.positive_array("sigmas", sigmas, shape=(None,))
    width, depth = checks.integer("width", width, 1), checks.integer("depth", depth, 1)
    n_epochs, batch_size = checks.integer("n_epochs", n_epochs, 1), checks.integer("batch_size", batch_size, 1)
    patience = checks.integer("patience", patience, 1)
    rate = checks.positive("learning_rate", learning_rate)
    held_out = round(len(points) * checks.positive("validation", validation))
    if not 1 <= held_out < len(points):
        raise ValueError(f"validation={validation!r} leaves {held_out} of {len(points)} samples for validation")
    seed = checks.integer("seed", seed, 0, 2**32 - 1)
    mean = points.mean(axis=0)
    scale = float(np.sqrt(points.var(axis=0).mean())) or 1.0
    z = ((points - mean) / scale).astype(np.float32)
    z = z[np.random.default_rng(seed).permutation(len(z))]
    training = _Training(objective, None if levels is None else levels / scale, z, held_out)
    layers, history = training.run(
        width, depth, activation, n_epochs, min(batch_size, len(z) - held_out), rate, patience, seed, progress
    )
    return ScoreNetwork(layers, activation, mean, scale, levels, history)


class _Training:
    """In units of the data's scale: positions z, noise levels sigma/scale."""

    def __init__(self, objective: str, sigmas: np.ndarray | None, z: np.ndarray, held_out: int) -> None:
        try:
            import equinox
            import jax
            import optax
        except ImportError as error:
            raise ImportError(
                f"fit_network needs JAX, Equinox and Optax, and {error.name} is not installed: "
                "pip install 'langevin-fast[score]'"
            ) from None
        self.jax, self.equinox, self.optax = jax, equinox, optax
        self.objective = objective
        if sigmas is not None:
            self.sigmas = jax.numpy.asarray(sigmas, jax.numpy.float32)
            self.conditions = jax.numpy.asarray([_condition(noise) for noise in sigmas.tolist()], jax.numpy.float32)
        self.validation, self.training = z[:held_out], z[held_out:]

    def loss(self, model: Any, z: Any, key: Any) -> Any:
        jax, np_ = self.jax, self.jax.numpy
        if self.objective == "denoising":
            level_key, noise_key = jax.random.split(key)
            level = jax.random.randint(level_key, (len(z),), 0, len(self.sigmas))
            sigma, condition = self.sigmas[level][:, None], self.conditions[level][:, None]
            xi = jax.random.normal(noise_key, z.shape)
            r = np_.sqrt(1.0 + sigma**2)
            inputs = np_.concatenate([(z + sigma * xi) / r, condition], axis=1)
            # sigma^2 r^2 |s + xi/sigma|^2 / 2
            return 0.5 * np_.square(jax.vmap(model)(inputs) - (sigma * z - xi) / r).sum(axis=1).mean()

        def score(p: Any) -> Any:
            return model(p) - p

        if self.objective == "implicit":
            s = jax.vmap(score)(z)
            trace = jax.vmap(lambda p: np_.trace(jax.jacfwd(score)(p)))(z)
            return (0.5 * np_.square(s).sum(axis=1) + trace).mean()
        v = jax.random.normal(key, z.shape)
        s, derivative = jax.vmap(lambda p, d: jax.jvp(score, (p,), (d,)))(z, v)
        return (0.5 * np_.square((v * s).sum(axis=1)) + (v * derivative).sum(axis=1)).mean()

    def run(
        self,
        width: int,
        depth: int,
        activation: str,
        n_epochs: int,
        batch_size: int,
        rate: float,
        patience: int,
        seed: int,
        progress: bool | None,
    ) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], History]:
        jax, equinox, optax = self.jax, self.equinox, self.optax
        dim = self.training.shape[1]
        key, model_key, check_key = jax.random.split(jax.random.key(seed), 3)
        model = equinox.nn.MLP(
            dim + (self.objective == "denoising"),
            dim,
            width,
            depth,
            activation=getattr(jax.nn, activation),
            key=model_key,
        )
        per_epoch = len(self.training) // batch_size
        optimiser = optax.adam(optax.cosine_decay_schedule(rate, n_epochs * per_epoch))
        state = optimiser.init(equinox.filter(model, equinox.is_array))

        @equinox.filter_jit
        def epoch(model: Any, state: Any, z: Any, key: Any) -> Any:
            shuffle, *keys = jax.random.split(key, per_epoch + 1)
            order = jax.random.permutation(shuffle, len(z))[: per_epoch * batch_size].reshape(per_epoch, batch_size)
            dynamic, static = equinox.partition(model, equinox.is_array)

            def step(carry: Any, batch: Any) -> Any:
                dynamic, state = carry
                rows, step_key = batch
                model = equinox.combine(dynamic, static)
                loss, gradient = equinox.filter_value_and_grad(self.loss)(model, z[rows], step_key)
                update, state = optimiser.update(gradient, state)
                dynamic, _ = equinox.partition(equinox.apply_updates(model, update), equinox.is_array)
                return (dynamic, state), loss

            (dynamic, state), losses = jax.lax.scan(step, (dynamic, state), (order, jax.numpy.stack(keys)))
            return equinox.combine(dynamic, static), state, losses.mean()

        # the same noise for every epoch, several times each sample, so that epochs can be compared
        repeats = max(1, 4096 // len(self.validation))
        check = equinox.filter_jit(lambda model, z: self.loss(model, z, check_key))
        held_out = jax.numpy.asarray(np.tile(self.validation, (repeats, 1)))
        z = jax.numpy.asarray(self.training)
        losses: list[tuple[float, float]] = []
        best, best_model = 0, model
        with Progress(n_epochs, progress) as bar:
            for i in range(n_epochs):
                key, epoch_key = jax.random.split(key)
                model, state, loss = epoch(model, state, z, epoch_key)
                losses.append((float(loss), float(check(model, held_out))))
                if not np.isfinite(losses[-1]).all():
                    raise ArithmeticError(f"the loss is not finite after epoch {i + 1}: use a smaller learning_rate")
                if losses[-1][1] <= losses[best][1]:
                    best, best_model = i, model
                bar.update(1)
                if i - best >= patience:
                    break
        layers = tuple((np.asarray(layer.weight), np.asarray(layer.bias)) for layer in best_model.layers)
        training, validation = np.array(losses).T
        return layers, History(training, validation, best)
