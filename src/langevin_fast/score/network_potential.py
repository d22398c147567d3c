"""NetworkPotential: a multilayer perceptron as the score, in the compiled step loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .. import checks
from ..potentials.compiled import CompiledPotential

# in the order of cpp/potentials/network_potential.hpp
ACTIVATIONS = ("silu", "tanh", "softplus", "relu", "gelu", "elu")


def check_layers(layers: object) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """The layers as arrays, of single precision where they are, else double; each takes what the one before gives."""
    if isinstance(layers, str | bytes) or not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a sequence of pairs (weight, bias), got {checks.shorten(layers)}")
    if not len(layers):
        raise ValueError("layers must hold at least the output layer, got none")
    result: list[tuple[np.ndarray, np.ndarray]] = []
    for i, layer in enumerate(layers):
        if isinstance(layer, str | bytes) or not isinstance(layer, Sequence) or len(layer) != 2:
            raise TypeError(f"layers[{i}] must be a pair (weight, bias), got {checks.shorten(layer)}")
        n_in = len(result[-1][1]) if result else None
        weight = _numbers(f"layers[{i}][0] (weight)", layer[0], (None, n_in))
        result.append((weight, _numbers(f"layers[{i}][1] (bias)", layer[1], (len(weight),))))
    return tuple(result)


def _numbers(name: str, value: npt.ArrayLike, shape: tuple[int | None, ...]) -> np.ndarray:
    array = checks.finite_array(name, value, shape=shape)
    return array.astype(np.float32) if getattr(value, "dtype", None) == np.float32 else array


class NetworkPotential(CompiledPotential):
    r"""The potential whose force is the output of a multilayer perceptron N.

    .. math::
        -\nabla U = f\, N(z, c) - a z, \qquad z = (x - m)/l

    At kT = 1 the force is the score. There is no energy, so MALA cannot be used. Dense layers use fused multiply-adds
    where the processor has them: bits are the same for every number of threads and particles, but may differ between
    instruction-set levels.

    Parameters
    ----------
    layers : sequence of (weight (out, in), bias (out,))
        Hidden layers, then the linear output layer with `dim` outputs: the layout of Equinox and PyTorch. Weights are
        best left in the precision they were trained in.
    activation : {"silu", "tanh", "softplus", "relu", "gelu", "elu"}
        Of the hidden layers; "gelu" is its approximation by tanh.
    mean : (dim,) array, optional
        m. Default: zero. Particles start there when no `initial` is given.
    scale : float
        l > 0, in length units.
    factor : float
        f, any number but 0.
    slope : float
        a >= 0: the force of a normal density far from the data, say.
    condition : (k,) array
        c, the last inputs of the network, the same for all particles: what it makes of the noise level.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed, or the layers do not fit each other.

    Examples
    --------
    >>> NetworkPotential([([[1.0], [-1.0]], [0.0, 0.5]), ([[0.3, -0.2]], [0.1])], "tanh").gradient([0.5])
    array([-0.2386...])
    """

    kind = "NetworkPotential"
    backends = ("cpp",)
    same_bits_everywhere = False
    has_energy = False

    def __init__(
        self,
        layers: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
        activation: str,
        *,
        mean: npt.ArrayLike | None = None,
        scale: float = 1.0,
        factor: float = 1.0,
        slope: float = 0.0,
        condition: npt.ArrayLike = (),
    ) -> None:
        checks.one_of("activation", activation, ACTIVATIONS)
        checked = check_layers(layers)
        dim, shape = len(checked[-1][1]), checked[0][0].shape
        none = getattr(condition, "shape", None) == (0,) or (isinstance(condition, list | tuple) and not condition)
        constant = np.empty(0) if none else checks.finite_array("condition", condition, shape=(None,))
        if shape[1] != dim + len(constant):
            raise ValueError(
                f"layers[0][0] (weight) must have {dim} + {len(constant)} columns, for x and condition; got {shape}"
            )
        numbers, widths = [], [dim]
        for i, (weight, bias) in enumerate(checked):
            w, b = weight.astype(np.float64), bias.astype(np.float64)
            if i == 0:
                w, b = w[:, :dim], b + (w[:, dim:] * constant).sum(axis=1)
            numbers += [b, w.reshape(-1)]
            widths.append(len(b))
        scale, slope = checks.positive("scale", scale), checks.non_negative("slope", slope)
        factor = checks.finite("factor", factor)
        if factor == 0.0:
            raise ValueError("factor=0.0 is not allowed: the network would have no effect")
        center = np.zeros(dim) if mean is None else checks.finite_array("mean", mean, shape=(dim,))
        head = [len(checked), ACTIVATIONS.index(activation), scale, slope, factor, *widths]
        super().__init__(
            dim=dim,
            parameters=np.concatenate([head, center, *numbers]),
            default_start=center,
            arguments={"dim": dim, "activation": activation, "widths": tuple(widths[1:])},
        )

    def made_by(self) -> None:
        """See :meth:`Potential.made_by`."""
        return None
