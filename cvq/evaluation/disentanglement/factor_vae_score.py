"""The FactorVAE score."""

from __future__ import annotations

import numpy as np

from cvq.evaluation.disentanglement import groups, inputs

BATCH = 64
ACTIVE = .05                    # a latent is off below this part of the largest deviation


def factor_vae(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
               batch: int = BATCH, train: int = inputs.TRAIN,
               test: int = inputs.TEST) -> dict[str, float]:
  """FactorVAE score (Kim & Mnih 2018, section 4; sizes of Locatello et al. 2019).

  Hold one factor at a value: the column that varies least, in units of its variance over all
  samples, is the vote of that batch. The score is the accuracy with which a majority vote of the
  training batches tells the factor from the column. Chance is 1/F; a constant representation
  scores 0, as in the study. Codes have Gini's variance, as in the first paper. Columns that are
  off have no vote: constant codes, and latents with less than 1/20 of the largest standard
  deviation (in the study less than 0.05, which suits latents of unit variance).

  The batches come from the given rows, with replacement within a value; those of the test votes
  from other rows than those of the training votes, so that nothing is learnt by heart. Columns
  that vary equally little share the vote, so the order of columns never matters.

  Args:
    representation: [n, V] int codes or [n, D] floating latents.
    factors: [n, F] int, at least two columns.
    seed: of the split of rows and of the batches.
    batch: rows that share a value, in a vote.
    train, test: votes of either; and rows that they come from, see `inputs.split`.

  Returns:
    `factor_vae`, on test votes, and `factor_vae_train`, in [0, 1].

  Raises:
    UserError: see `inputs.checked`; no two rows share a value.
  """
  representation, factors = inputs.checked(representation, factors, num_factors=2)
  (x, y), (x_test, y_test) = inputs.split(representation, factors, train, test, seed)
  whole = np.arange(len(x))[None]
  scale = np.concatenate([groups.spread(column, whole) for column in x.T])
  active = scale > (0 if inputs.is_discrete(x) else ACTIVE ** 2 * scale.max())
  if not active.any():
    return {'factor_vae': 0., 'factor_vae_train': 0.}
  rng = np.random.default_rng(seed)
  votes = _votes(x[:, active], y, scale[active], train, batch, rng)
  votes_test = _votes(x_test[:, active], y_test, scale[active], test, batch, rng)
  best = votes.argmax(-1)[:, None]
  share = lambda v: float(np.take_along_axis(v, best, axis=-1).sum() / v.sum())
  return {'factor_vae': share(votes_test), 'factor_vae_train': share(votes)}


def _votes(x: np.ndarray, y: np.ndarray, scale: np.ndarray, number: int, batch: int,
           rng: np.random.Generator) -> np.ndarray:
  """How many batches that hold a factor have a column as their steadiest: -> [V, F]."""
  held = np.bincount(rng.integers(y.shape[1], size=number), minlength=y.shape[1])
  table = np.empty((x.shape[1], y.shape[1]))
  for f, draws in enumerate(held):
    rows = groups.sharing(y[:, f], draws, batch, rng)
    relative = np.stack([groups.spread(column, rows) for column in x.T], -1) / scale
    least = relative == relative.min(-1, keepdims=True)                        # [draws, V]
    table[:, f] = (least / least.sum(-1, keepdims=True)).sum(0)
  return table
