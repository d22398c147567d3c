"""NetworkPotential: a multilayer perceptron as the score, in the compiled step loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .. import checks
from ..potentials.compiled import CompiledPotential

# in the order of cpp/potentials/network_potential.hpp
ACTIVATIONS = ("silu", "tanh", "softplus", "relu", "gelu", "elu")


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
        if not len(layers):
            raise ValueError("layers must hold at least the output layer; got none")
        dim = np.shape(layers[-1][1])[0] if np.ndim(layers[-1][1]) == 1 else 0
        constant = checks.finite_array("condition", condition, shape=(None,)) if np.size(condition) else np.empty(0)
        n_in, numbers, widths = dim + len(constant), [], [dim]
        for i, (weight, bias) in enumerate(layers):
            w = checks.finite_array(f"layers[{i}][0] (weight)", weight, shape=(None, n_in))
            b = checks.finite_array(f"layers[{i}][1] (bias)", bias, shape=(len(w),))
            if i == 0:
                w, b = w[:, :dim], b + (w[:, dim:] * constant).sum(axis=1)
            numbers += [b, w.reshape(-1)]
            n_in = len(b)
            widths.append(n_in)
        scale, slope = checks.positive("scale", scale), checks.non_negative("slope", slope)
        factor = checks.finite("factor", factor)
        if factor == 0.0:
            raise ValueError("factor=0.0 is not allowed: the network would have no effect")
        center = np.zeros(dim) if mean is None else checks.finite_array("mean", mean, shape=(dim,))
        head = [len(layers), ACTIVATIONS.index(activation), scale, slope, factor, *widths]
        super().__init__(
            dim=dim,
            parameters=np.concatenate([head, center, *numbers]),
            default_start=center,
            arguments={"dim": dim, "activation": activation, "widths": tuple(widths[1:])},
        )
