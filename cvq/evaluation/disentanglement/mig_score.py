"""Mutual information gap."""

from __future__ import annotations

import numpy as np

from cvq.evaluation.disentanglement import information, inputs


def mig(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
        samples: int = inputs.TRAIN, bins: int = inputs.BINS) -> dict[str, float]:
  """Mutual information gap (Chen et al. 2018, section 4; sizes of Locatello et al. 2019).

  For each factor, I(column; factor) / H(factor) of the best column less that of the second, and
  the mean over factors. 1: each factor is held by one column, entirely. 0: none is, or each is
  held by two alike. Information is counted, which inflates a little every column that has many
  values; see `information.mutual_information`.

  Args:
    representation: [n, V] int codes, or [n, D] floating latents, which are cut into `bins` bins
      of equal width. At least two columns.
    factors: [n, F] int.
    seed: of the draw of rows.
    samples: rows used, all if there are fewer.

  Returns:
    `mig` in [0, 1].

  Raises:
    UserError: see `inputs.checked`.
  """
  representation, factors = inputs.checked(representation, factors, columns=2)
  codes, values = information.draw(
      representation, factors, samples=samples, bins=bins, seed=seed)
  return mig_of(information.mutual_information(codes, values), information.entropies(values))


def mig_of(table: np.ndarray, entropies: np.ndarray) -> dict[str, float]:
  """The same from I(column; factor), [V, F], and H(factor), [F]."""
  return {'mig': float((information.gaps(table) / entropies).mean())}
