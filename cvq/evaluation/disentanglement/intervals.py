"""Confidence intervals of the scores that are counted from a table of information."""

from __future__ import annotations

from typing import Callable

import numpy as np

from cvq.errors import UserError
from cvq.evaluation.disentanglement import information, inputs
from cvq.evaluation.disentanglement.infomec_score import infomec, infomec_of
from cvq.evaluation.disentanglement.mig_score import mig, mig_of
from cvq.evaluation.disentanglement.modularity_score import modularity_explicitness, modularity_of

# Metric -> its scores as a function of I(column; factor), [V, F], and H(factor), [F].
COUNTED: dict[Callable, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    mig: mig_of,
    modularity_explicitness: lambda table, entropies: modularity_of(table),
    infomec: infomec_of,
}


def bootstrap(
    metric: Callable, representation: np.ndarray, factors: np.ndarray, *,
    resamples: int = 200, level: float = .95, seed: int = 0,
    samples: int = inputs.TRAIN, bins: int = inputs.BINS) -> dict[str, tuple[float, float]]:
  """Confidence intervals over the draw of samples, for one given representation.

  Rows are drawn anew with replacement, as many as the metric uses. With q the quantiles of the
  scores of those draws and s the score itself, the interval is the basic one, from 2s - q(high)
  to 2s - q(low) (Davison & Hinkley 1997, section 5.2), kept within [0, 1]. Counted information
  is too large by about the same amount in a resample again, and this interval takes that out,
  where one of plain quantiles would double it; so it may lie below the score. It says nothing
  about other training seeds.

  Args:
    metric: `mig`, `modularity_explicitness` or `infomec`. The last two have intervals for
      modularity and for modularity and compactness; `infomec` on codes only, since neighbour
      estimates don't survive repeated rows.
    representation, factors: as the metric takes them.
    resamples: how many draws, at least 2.
    level: probability that the interval is meant to cover, in (0, 1).
    seed: of the metric's own draw of rows, and of the resamples.
    samples: rows that the metric uses (of `modularity_explicitness`, its `train`).
    bins: of floating latents.

  Returns:
    {score: (low, high)}.

  Raises:
    UserError: see `inputs.checked`; another metric; resamples or level out of range.
  """
  if metric not in COUNTED:
    raise UserError(f'metric is {getattr(metric, "__name__", metric)}. Intervals are there for '
                    f'scores that are counted: {", ".join(m.__name__ for m in COUNTED)}.')
  if resamples < 2 or not 0 < level < 1:
    raise UserError(f'resamples is {resamples} and level {level}. Give at least 2 resamples, and '
                    f'a level above 0 and below 1.')
  representation, factors = inputs.checked(representation, factors, columns=2, num_factors=2)
  if metric is infomec and not inputs.is_discrete(representation):
    raise UserError('representation is floating; infomec has intervals for codes only. '
                    'Take mig, or give the codes.')
  if metric is modularity_explicitness:                # it counts on its training rows alone
    (representation, factors), _ = inputs.split(
        representation, factors, samples, inputs.TEST, seed)
  codes, values = information.draw(
      representation, factors, samples=samples, bins=bins, seed=seed)
  codes = codes[:, (codes != codes[0]).any(0)] if metric is infomec else codes
  score = lambda weights: COUNTED[metric](
      information.mutual_information(codes, values, weights),
      information.entropies(values, weights))
  rng, n = np.random.default_rng(seed), len(values)
  drawn = [score(np.bincount(rng.integers(n, size=n), minlength=n)) for _ in range(resamples)]
  return {key: _basic(value, [scores[key] for scores in drawn], level)
          for key, value in score(None).items()}


def _basic(score: float, drawn: list[float], level: float) -> tuple[float, float]:
  tail = (1 - level) / 2
  low, high = 2 * score - np.quantile(drawn, [1 - tail, tail])
  return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))
