"""The peers: a file, a variant of what it does, and what is installed for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Peer(NamedTuple):
    """`environment` is a folder; () installs nothing and None is the environment of this very process."""

    file: str
    environment: str | None
    requirements: tuple[str, ...] = ()
    variant: str = ""


# PyTorch's own index has wheels without CUDA
TORCH = ("--extra-index-url", "https://download.pytorch.org/whl/cpu", "torch", "numpy")

PEERS = {
    "langevin_fast": Peer("langevin_fast", None),
    "NumPy": Peer("numpy", "numpy", ("numpy",)),
    "Numba, np.random": Peer("numba", "numba", ("numba",), "np.random"),
    "Numba, Generator": Peer("numba", "numba", ("numba",), "Generator"),
    "Numba, blocks": Peer("numba", "numba", ("numba",), "blocks"),
    "JAX": Peer("jax", "jax", ("jax",)),
    "BlackJAX": Peer("blackjax", "blackjax", ("blackjax",)),
    "JAX MD": Peer("jax_md", "jax_md", ("jax-md",)),
    "diffrax": Peer("diffrax", "diffrax", ("diffrax",)),
    "PyTorch": Peer("torch", "torch", TORCH),
    "torchebm": Peer("torchebm", "torchebm", (*TORCH, "torchebm")),
    "deeptime": Peer("deeptime", "deeptime", ("deeptime",)),
    "OpenMM": Peer("openmm", "openmm", ("openmm",)),
    "mkl_random": Peer("mkl_random", "mkl_random", ("mkl_random",)),
    "C++, std": Peer("cpp", "numpy", ("numpy",), "std"),
    "C++, expert": Peer("cpp", "numpy", ("numpy",), "expert"),
}
OURS = "langevin_fast"


class InstallationError(Exception):
    """With the reason."""


def python_of(peer: Peer, root: Path) -> str:
    """The interpreter of a peer; its environment is made, and filled from PyPI, when it is not there yet."""
    if peer.environment is None:
        return sys.executable
    folder = root / peer.environment
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "requirements.json"
    wanted = json.dumps(peer.requirements)
    if done.exists() and done.read_text() == wanted:
        return str(python)
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, text=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *peer.requirements]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=1800)
    except subprocess.TimeoutExpired:
        raise InstallationError("pip took more than half an hour") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.strip()] or ["pip failed"]
        raise InstallationError(next((line for line in lines if line.startswith("ERROR")), lines[-1])[:160]) from None
    done.write_text(wanted)
    return str(python)
