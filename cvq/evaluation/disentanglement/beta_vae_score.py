"""The BetaVAE score."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from cvq.evaluation.disentanglement import groups, inputs

BATCH = 64


def beta_vae(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
             batch: int = BATCH, train: int = inputs.TRAIN,
             test: int = inputs.TEST) -> dict[str, float]:
  """BetaVAE score (Higgins et al. 2017, section 3; sizes of Locatello et al. 2019).

  Take pairs of samples that share the value of one factor: the mean distance of their
  representations, column by column, is a feature vector. The score is the accuracy with which
  logistic regression tells the shared factor from it. The distance of codes is whether they
  differ. Chance is 1/F.

  Pairs come from the given rows and are never a row with itself; those of the test vectors from
  other rows than those of the training vectors.

  Args:
    representation: [n, V] int codes or [n, D] floating latents.
    factors: [n, F] int, at least two columns.
    seed: of the split of rows and of the pairs.
    batch: pairs in a feature vector.
    train, test: vectors of either; and rows that they come from, see `inputs.split`.

  Returns:
    `beta_vae`, on test vectors, and `beta_vae_train`, in [0, 1].

  Raises:
    UserError: see `inputs.checked`; no two rows share a value.
  """
  representation, factors = inputs.checked(representation, factors, num_factors=2)
  (x, y), (x_test, y_test) = inputs.split(representation, factors, train, test, seed)
  rng = np.random.default_rng(seed)
  vectors, held = _vectors(x, y, train, batch, rng)
  vectors_test, held_test = _vectors(x_test, y_test, test, batch, rng)
  model = LogisticRegression(max_iter=1000).fit(vectors, held)
  return {'beta_vae': float(model.score(vectors_test, held_test)),
          'beta_vae_train': float(model.score(vectors, held))}


def _vectors(x: np.ndarray, y: np.ndarray, number: int, batch: int,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
  """Feature vectors [number, V] and the factor [number] that the pairs of each share."""
  held = np.sort(rng.integers(y.shape[1], size=number))
  vectors = []
  for f, draws in enumerate(np.bincount(held, minlength=y.shape[1])):
    first, second = groups.pairs(y[:, f], draws, batch, rng)
    vectors.append(np.stack([groups.distance(column, first, second) for column in x.T], -1))
  return np.concatenate(vectors), held
