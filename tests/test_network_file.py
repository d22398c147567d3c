"""Files of score networks: what is read is checked, and nothing in it is executed or unpacked beyond its size."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from langevin_fast.score import ScoreNetwork

LAYERS = [
    (np.ones((4, 3), np.float32), np.zeros(4, np.float32)),
    (np.ones((2, 4), np.float32), np.zeros(2, np.float32)),
]
SETTINGS = {"format": 2, "activation": "silu", "scale": 1.5, "n_layers": 2}


def network(**changes):
    arguments = {"layers": LAYERS, "activation": "silu", "mean": [0.0, 1.0], "scale": 1.5, "sigmas": [1.0, 0.5]}
    return ScoreNetwork(**{**arguments, **changes})


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def settings(**changes):
    return npy(json.dumps({**SETTINGS, **changes}))


@pytest.fixture
def load(tmp_path):
    """Load the file of a network with some of its entries replaced (None: left out)."""

    def load(changes=None, edit=lambda data: data, compression=zipfile.ZIP_STORED):
        path = tmp_path / "score.npz"
        network().save(path)
        if changes is not None:
            with zipfile.ZipFile(path) as archive:
                entries = {name: archive.read(name) for name in archive.namelist()} | changes
            with zipfile.ZipFile(path, "w", compression) as archive:
                for name, data in entries.items():
                    if data is not None:
                        archive.writestr(name, data)
        path.write_bytes(edit(path.read_bytes()))
        return ScoreNetwork.load(path)

    return load


@pytest.mark.parametrize("sigmas", [None, [1.0, 0.5]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(sigmas, dtype, tmp_path):
    layers = [(np.full((2, 2 + (sigmas is not None)), 0.1, dtype, order="F"), [1.0, 2.0])]
    before = network(layers=layers, sigmas=sigmas)
    before.save(tmp_path / "a.npz")
    after = ScoreNetwork.load(tmp_path / "a.npz")
    assert after.layers[0][0].dtype == dtype and after.layers[0][1].dtype == np.float64
    level = () if sigmas is None else (0.7,)
    np.testing.assert_array_equal(after([[0.3, 0.4]], *level), before([[0.3, 0.4]], *level))
    assert repr(after) == repr(before)


def test_what_is_written_is_read(load):
    assert load().scale == load({}).scale == 1.5


class Executed:
    def __reduce__(self):
        return exec, ("raise SystemError('executed')",)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"settings.npy": None}, "settings.npy is missing"),
        ({"mean.npy": None}, "mean.npy is missing"),
        ({"weight1.npy": None, "bias0.npy": None}, "bias0.npy, weight1.npy is missing"),
        ({"more.npy": npy([1.0])}, "'more.npy' does not belong"),
        ({"weight2.npy": npy([1.0])}, "'weight2.npy' does not belong"),
        ({"mean.npy": b""}, "damaged"),
        ({"mean.npy": b"\x93NUMPY\x02\x00"}, "version"),
        ({"mean.npy": npy([0.0, 1.0])[:-1]}, "size"),
        ({"mean.npy": npy([0.0, 1.0]) + b"0"}, "size"),
        ({"mean.npy": npy([0.0, 1.0]).replace(b"(2,)", b"(-2,)").replace(b", }  ", b", } ")}, "size"),
        ({"mean.npy": npy([0.0, np.nan])}, r"mean\[1\]"),
        ({"mean.npy": npy([0.0])}, "does not fit mean"),
        ({"mean.npy": npy([0, 1])}, "dtype int64"),
        ({"mean.npy": npy(np.zeros(2, np.float16))}, "dtype float16"),
        ({"mean.npy": npy(np.array([Executed(), 1.0]), allow_pickle=True)}, "dtype object"),
        ({"mean.npy": pickle.dumps(Executed())}, "damaged"),
        ({"weight0.npy": npy(np.ones((4, 2)))}, "2 inputs"),
        ({"weight1.npy": npy(np.ones((2, 5)))}, r"layers\[1\]\[0\]"),
        ({"weight1.npy": npy(np.ones(8))}, r"layers\[1\]\[0\]"),
        ({"bias1.npy": npy([np.inf, 0.0])}, r"layers\[1\]\[1\]"),
        ({"sigmas.npy": npy([1.0, 0.0])}, r"sigmas\[1\]"),
        ({"sigmas.npy": npy(1.0)}, "sigmas"),
        ({"sigmas.npy": None}, "3 inputs"),
        ({"settings.npy": npy("{")}, "damaged"),
        ({"settings.npy": npy("[" * 900)}, "damaged"),
        ({"settings.npy": npy("[2]")}, "must be a dict"),
        ({"settings.npy": npy(" " * 1_001)}, "up to 1000 characters"),
        ({"settings.npy": npy(["{}"])}, "one text"),
        ({"settings.npy": npy(b"{}")}, "dtype"),
        ({"settings.npy": npy("{}").replace(b"{\0\0\0", b"\xff\xff\xff\xff")}, "damaged"),
        ({"settings.npy": settings(format=1)}, "format 1"),
        ({"settings.npy": settings(more=1)}, "more"),
        ({"settings.npy": settings(n_layers=10**12)}, "n_layers"),
        ({"settings.npy": settings(n_layers=0)}, "n_layers"),
        ({"settings.npy": settings(n_layers="2")}, "n_layers"),
        ({"settings.npy": settings(n_layers=1)}, "does not belong"),
        ({"settings.npy": settings(activation="sine")}, "activation"),
        ({"settings.npy": settings(activation=[])}, "activation"),
        ({"settings.npy": settings(scale=0.0)}, "scale"),
        ({"settings.npy": settings(scale=float("nan"))}, "scale"),
        ({"settings.npy": settings(scale="1")}, "scale"),
    ],
)
def test_what_does_not_belong_there(load, changes, match):
    with pytest.raises(ValueError, match=match):
        load(changes)


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: b"",
        lambda data: b"no archive",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[100:],
        lambda data: data[:200] + b"\xff" + data[201:],
        lambda data: npy([1.0, 2.0]),
        lambda data: pickle.dumps(Executed()),
    ],
)
def test_damaged_files(load, edit):
    with pytest.raises(ValueError, match="is not a file of a ScoreNetwork, or damaged"):
        load(edit=edit)


def test_every_byte_may_be_wrong(load, tmp_path):
    """Whatever is flipped, a network comes out or a ValueError."""
    load()
    path = tmp_path / "score.npz"
    data = path.read_bytes()
    flipped = 0
    for i in np.random.default_rng(1).integers(len(data), size=400).tolist():
        path.write_bytes(data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :])
        try:
            ScoreNetwork.load(path)
        except ValueError:
            flipped += 1
    assert flipped > 200


def test_small_files_stay_small(load):
    """A few kilobytes that would unpack to many megabytes, or claim to."""
    with pytest.raises(ValueError, match="is compressed"):
        load({"weight0.npy": npy(np.zeros((4, 100_000)))}, compression=zipfile.ZIP_DEFLATED)
    header = npy([0.0, 1.0]).replace(b"(2,), }            ", b"(1099511627776,), }")
    assert b"1099511627776" in header
    with pytest.raises(ValueError, match="size of an array of shape"):
        load({"mean.npy": header})


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        ScoreNetwork.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"layers": "ab"}, TypeError, "layers"),
        ({"layers": []}, ValueError, "layers"),
        ({"activation": "sine"}, ValueError, "activation"),
        ({"mean": [0.0]}, ValueError, "mean"),
        ({"scale": 0.0}, ValueError, "scale"),
        ({"sigmas": [-1.0]}, ValueError, "sigmas"),
        ({"sigmas": None}, ValueError, "3 inputs"),
    ],
)
def test_wrong_networks(changes, error, match):
    with pytest.raises(error, match=match):
        network(**changes)
