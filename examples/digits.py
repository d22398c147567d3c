"""New handwritten digits: a network learns the score of 1347 images, annealed Langevin dynamics draws from it.

Needs the extras ``score`` and ``plot``, and scikit-learn for the images (they come with it) and the judge. Training
takes a quarter of a minute on two cores. More of it would be worse: the network would learn the images by heart, which
the distances to the nearest training image show.
"""

import time
import warnings

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import label_binarize
from sklearn.svm import SVC

import langevin_fast as lf

images, labels = load_digits(return_X_y=True)
images = images / 8.0 - 1.0  # 8 x 8 pixels, from -1 to 1
train, held_out, train_labels, held_out_labels = train_test_split(
    images, labels, test_size=0.25, stratify=labels, random_state=0
)

# --- learn and sample -------------------------------------------------------------------------------------------------
# from more than the distance between two images to noise that hardly shows
sigmas = lf.score.geometric_levels(8.0, 0.08, 30)
start = time.perf_counter()
network = lf.score.fit_network(
    train, sigmas=sigmas, width=512, depth=4, n_epochs=310, patience=310, batch_size=128, seed=1
)
epochs = len(network.history.training)
print(f"training: {epochs} epochs in {time.perf_counter() - start:.0f} s; {network}")

noise = sigmas[0] * np.random.default_rng(1).standard_normal((1_000, 64))
start = time.perf_counter()
run = lf.score.annealed_langevin(
    network, sigmas, step_size=0.1 * sigmas[-1] ** 2, n_steps=20, initial=noise, seed=1, precision="single"
)
generated = run.positions
clean = generated + sigmas[-1] ** 2 * network(generated, sigmas[-1])
print(f"sampling: 1000 images in {time.perf_counter() - start:.1f} s")

# --- judge ------------------------------------------------------------------------------------------------------------
# One probability "is a k" for each k. They need not add up to 1: what looks like no digit gets none.
judge = OneVsRestClassifier(CalibratedClassifierCV(SVC(C=3.0, gamma=0.05), ensemble=False))
judge.fit(train, label_binarize(train_labels, classes=range(10)))
neighbours = NearestNeighbors(n_neighbors=1).fit(train)
shuffled = np.random.default_rng(0).permuted(held_out, axis=1)

accuracy = (judge.predict_proba(held_out).argmax(axis=1) == held_out_labels).mean()
print(f"the judge tells {accuracy:.1%} of the held-out digits right; it accepts an image if some p >= 0.9\n")
print(f"{'':<20} {'accepted':>8}   distance to the nearest training image: 10 %, median, mean")
for name, batch in {
    "held-out digits": held_out,
    "the same, shuffled": shuffled,
    "generated": generated,
    "generated, denoised": clean,
}.items():
    accepted = (judge.predict_proba(batch).max(axis=1) >= 0.9).mean()
    distance = neighbours.kneighbors(batch)[0][:, 0]
    shown = "  ".join(f"{d:.2f}" for d in (np.quantile(distance, 0.1), np.median(distance), distance.mean()))
    print(f"{name:<20} {accepted:8.1%}   {shown}")

p = judge.predict_proba(generated)
counts = np.bincount(p.argmax(axis=1)[p.max(axis=1) >= 0.9], minlength=10)
print("\naccepted digits 0 ... 9:", *counts)

# --- show -------------------------------------------------------------------------------------------------------------
try:
    from matplotlib.figure import Figure
except ImportError:
    warnings.warn("no figure: pip install 'langevin-fast[plot]'", stacklevel=1)
else:
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    nearest = train[neighbours.kneighbors(clean)[1][:, 0]]
    rows = {"training": train, "generated": generated, "generated, denoised": clean, "nearest training image": nearest}
    for place, (name, batch) in zip(figure.subplots(4, 1), rows.items(), strict=True):
        strip = np.pad(batch[:20].reshape(20, 8, 8), ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
        place.imshow(np.hstack(strip), cmap="gray_r", vmin=-1.0, vmax=1.0)
        place.set_title(name, loc="left", fontsize=8)
        place.set_axis_off()
    figure.savefig("digits.png", dpi=120)
    print("figure: digits.png")
