"""Training of score networks with JAX, by score matching."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..progress import Progress
from .network import History, ScoreNetwork, noise_condition
from .network_potential import ACTIVATIONS

OBJECTIVES = ("denoising", "implicit", "sliced")


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
        "denoising" trains one network for all noise levels, |s + xi/sigma|^2 weighted with
        sigma^2 (1 + sigma^2/l^2) of each, l the scale of the data; the other two train a score without noise (see
        :mod:`langevin_fast.score.objectives`).
    sigmas : (L,) array, optional
        Noise levels, > 0, in length units, for "denoising"; see :func:`geometric_levels`. Default: 25 of them, each the
        same fraction of the one before, from twice the largest distance of a sample from the mean, which no two samples
        exceed, down to 0.02 of the data's scale l. ``network.sigmas`` has them.
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
        After that many epochs without a smaller validation loss, what is left of the cosine is gone through in at most
        as many more: weights are noisy until the learning rate has come down.
    seed : int
        Of weights, batches and noise (JAX's generator: the bits depend on JAX's version and the processor).
    progress : bool, optional
        A progress bar (tqdm). Default: when tqdm is installed and stderr is a terminal.

    Returns
    -------
    ScoreNetwork
        With the history, and the weights of the last epoch; or of that with the smallest validation loss, if the last
        one is worse by more than two standard errors.

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
    if sigmas is not None and objective != "denoising":
        raise TypeError(f'sigmas goes with objective="denoising" only; got objective="{objective}"')
    if activation == "relu" and objective != "denoising":
        raise ValueError(f'activation="relu" is not allowed with objective="{objective}": its slope jumps')
    levels: np.ndarray | None = None
    if sigmas is not None:
        levels = checks.positive_array("sigmas", sigmas, shape=(None,))
    elif objective == "denoising":
        levels = _default_levels(points)
    width, depth = checks.integer("width", width, 1), checks.integer("depth", depth, 1)
    n_epochs, batch_size = checks.integer("n_epochs", n_epochs, 1), checks.integer("batch_size", batch_size, 1)
    patience = checks.integer("patience", patience, 1)
    rate = checks.positive("learning_rate", learning_rate)
    held_out = round(len(points) * checks.positive("validation", validation))
    if not 1 <= held_out < len(points):
        raise ValueError(f"validation={validation!r} leaves {held_out} of {len(points)} samples for validation")
    seed = checks.integer("seed", seed, 0, 2**32 - 1)
    mean, scale = points.mean(axis=0), _scale(points) or 1.0
    z = ((points - mean) / scale).astype(np.float32)
    z = z[np.random.default_rng(seed).permutation(len(z))]
    training = _Training(objective, None if levels is None else levels / scale, z, held_out)
    layers, history = training.run(
        width, depth, activation, n_epochs, min(batch_size, len(z) - held_out), rate, patience, seed, progress
    )
    return ScoreNetwork(layers, activation, mean, scale, levels, history)


def _scale(points: np.ndarray) -> float:
    return float(np.sqrt(points.var(axis=0).mean()))


def _default_levels(points: np.ndarray) -> np.ndarray:
    if not _scale(points) > 0.0:
        raise ValueError(
            "x must hold different samples when no sigmas are given, such as geometric_levels(2.0, 0.05, 10)"
        )
    widest = 2.0 * np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1)).max()
    return np.geomspace(widest, 0.02 * _scale(points), 25)


def _clearly_worse(losses: np.ndarray, best: np.ndarray) -> bool:
    """Whether the losses of some samples are larger than others of theirs by more than two standard errors."""
    difference = losses - best
    return bool(difference.mean() > 2.0 * difference.std() / math.sqrt(len(difference)))


class _Decay:
    """Learning rates along a cosine, from `rate` down to 0 when no `epochs_left`, which may be made fewer."""

    def __init__(self, rate: float, n_epochs: int) -> None:
        self.rate = rate
        self.epochs_left = n_epochs
        self._done = 0.0  # of the cosine

    def rates(self, n_steps: int) -> np.ndarray:
        """Those of the next epoch."""
        pace = (1.0 - self._done) / self.epochs_left
        along = self._done + pace * np.arange(n_steps) / n_steps
        self._done, self.epochs_left = self._done + pace, self.epochs_left - 1
        return (0.5 * self.rate * (1.0 + np.cos(np.pi * along))).astype(np.float32)


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
            self.conditions = jax.numpy.asarray(
                [noise_condition(noise) for noise in sigmas.tolist()], jax.numpy.float32
            )
        self.validation, self.training = z[:held_out], z[held_out:]

    def losses(self, model: Any, z: Any, key: Any) -> Any:
        """Of each sample; training minimises their mean."""
        jax, np_ = self.jax, self.jax.numpy
        if self.objective == "denoising":
            level_key, noise_key = jax.random.split(key)
            level = jax.random.randint(level_key, (len(z),), 0, len(self.sigmas))
            sigma, condition = self.sigmas[level][:, None], self.conditions[level][:, None]
            xi = jax.random.normal(noise_key, z.shape)
            r = np_.sqrt(1.0 + sigma**2)
            inputs = np_.concatenate([(z + sigma * xi) / r, condition], axis=1)
            # sigma^2 r^2 |s + xi/sigma|^2 / 2
            return 0.5 * np_.square(jax.vmap(model)(inputs) - (sigma * z - xi) / r).sum(axis=1)

        def score(p: Any) -> Any:
            return model(p) - p

        if self.objective == "implicit":
            s = jax.vmap(score)(z)
            trace = jax.vmap(lambda p: np_.trace(jax.jacfwd(score)(p)))(z)
            return 0.5 * np_.square(s).sum(axis=1) + trace
        v = jax.random.normal(key, z.shape)
        s, derivative = jax.vmap(lambda p, d: jax.jvp(score, (p,), (d,)))(z, v)
        return 0.5 * np_.square((v * s).sum(axis=1)) + (v * derivative).sum(axis=1)

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
        decay = _Decay(rate, n_epochs)
        optimiser = optax.scale_by_adam()
        state = optimiser.init(equinox.filter(model, equinox.is_array))

        def mean_loss(model: Any, z: Any, key: Any) -> Any:
            return self.losses(model, z, key).mean()

        @equinox.filter_jit
        def epoch(model: Any, state: Any, z: Any, key: Any, rates: Any) -> Any:
            shuffle, *keys = jax.random.split(key, per_epoch + 1)
            order = jax.random.permutation(shuffle, len(z))[: per_epoch * batch_size].reshape(per_epoch, batch_size)
            dynamic, static = equinox.partition(model, equinox.is_array)

            def step(carry: Any, batch: Any) -> Any:
                dynamic, state = carry
                rows, step_key, rate = batch
                model = equinox.combine(dynamic, static)
                loss, gradient = equinox.filter_value_and_grad(mean_loss)(model, z[rows], step_key)
                update, state = optimiser.update(gradient, state)
                update = jax.tree.map(lambda u: -rate * u, update)
                dynamic, _ = equinox.partition(equinox.apply_updates(model, update), equinox.is_array)
                return (dynamic, state), loss

            (dynamic, state), losses = jax.lax.scan(step, (dynamic, state), (order, jax.numpy.stack(keys), rates))
            return equinox.combine(dynamic, static), state, losses.mean()

        # the same noise for every epoch, several times each sample, so that epochs can be compared
        n = len(self.validation)
        check = equinox.filter_jit(lambda model, z: self.losses(model, z, check_key).reshape(-1, n).mean(axis=0))
        held_out = jax.numpy.asarray(np.tile(self.validation, (max(1, 4096 // n), 1)))
        z = jax.numpy.asarray(self.training)
        losses: list[tuple[float, float]] = []
        best, best_model, best_rows = 0, model, np.empty(0)
        with Progress(n_epochs, progress) as bar:
            while decay.epochs_left:
                i = len(losses)
                key, epoch_key = jax.random.split(key)
                model, state, loss = epoch(model, state, z, epoch_key, decay.rates(per_epoch))
                rows = np.asarray(check(model, held_out))
                losses.append((float(loss), float(rows.mean())))
                if not np.isfinite(losses[-1]).all():
                    raise ArithmeticError(f"the loss is not finite after epoch {i + 1}: use a smaller learning_rate")
                if losses[-1][1] <= losses[best][1]:
                    best, best_model, best_rows = i, model, rows
                bar.update(1)
                if i - best >= patience:
                    decay.epochs_left = min(decay.epochs_left, patience)
        # the smallest of many losses is small by chance, too: only a clear difference speaks against the last weights
        if not _clearly_worse(rows, best_rows):
            best, best_model = len(losses) - 1, model
        layers = tuple((np.asarray(layer.weight), np.asarray(layer.bias)) for layer in best_model.layers)
        training, validation = np.array(losses).T
        return layers, History(training, validation, best)
