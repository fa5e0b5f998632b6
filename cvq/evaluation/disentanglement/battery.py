"""All metrics on one representation, at sizes that end within minutes."""

from __future__ import annotations

import time
from typing import Any, Callable
import warnings

import numpy as np

from cvq.errors import UserError
from cvq.evaluation.disentanglement.beta_vae_score import beta_vae
from cvq.evaluation.disentanglement.dci_score import dci
from cvq.evaluation.disentanglement.factor_vae_score import factor_vae
from cvq.evaluation.disentanglement.infomec_score import infomec
from cvq.evaluation.disentanglement.inputs import TEST, TRAIN
from cvq.evaluation.disentanglement.irs_score import irs
from cvq.evaluation.disentanglement.mig_score import mig
from cvq.evaluation.disentanglement.modularity_score import modularity_explicitness
from cvq.evaluation.disentanglement.sap_score import sap

CHEAP: dict[str, Callable[..., dict]] = {
    'mig': mig, 'factor_vae': factor_vae, 'beta_vae': beta_vae, 'irs': irs}
SLOW: dict[str, Callable[..., dict]] = {
    'modularity_explicitness': modularity_explicitness, 'infomec': infomec, 'sap': sap,
    'dci': dci}
WHOLE = 'mig', 'irs', 'infomec'             # these have no part to test on
WIDE = 64            # columns above which the slow ones get fewer samples
FEWER = 1_000        # training samples then, and half as many for testing


def battery(representation: np.ndarray, factors: np.ndarray, *, cheap: bool = False,
            seed: int = 0, tell: Callable[[str], Any] = lambda line: None) -> dict[str, dict]:
  """Scores of every metric, its samples and its seconds.

  Slow metrics fit classifiers to every column or to all of them: on more than 64 columns they
  get 1,000 samples to train on and 500 to test instead of 10,000 and 5,000.

  Args:
    representation: [n, V] int codes or [n, D] floating latents. factors: [n, F] int. Columns of
      factors that are constant are left out.
    cheap: leaves the slow ones out.
    seed: of the draws of rows. tell: called with a line before each metric.

  Returns:
    {metric: {'scores': {...}, 'seconds': ..., 'samples': ..., 'notes': [...]}}; a metric that
    cannot score these arrays has no scores, and its message as note.
  """
  factors = factors[:, np.ptp(factors, axis=0) > 0]
  wide = representation.shape[1] > WIDE
  result = {}
  for name, metric in (CHEAP if cheap else CHEAP | SLOW).items():
    fewer = wide and name in SLOW
    tell(f'{name}, {representation.shape[1]} columns')
    result[name] = _timed(metric, representation, factors, seed, _sizes(name) if fewer else {})
    most = FEWER + FEWER // 2 if fewer else TRAIN if name in WHOLE else TRAIN + TEST
    result[name]['samples'] = min(most, len(factors))
  return result


def _sizes(name: str) -> dict[str, int]:
  return ({'samples': FEWER + FEWER // 2} if name == 'infomec'
          else {'train': FEWER, 'test': FEWER // 2})


def _timed(metric: Callable, representation: np.ndarray, factors: np.ndarray, seed: int,
           sizes: dict[str, int]) -> dict:
  start = time.monotonic()
  scores, notes = {}, []
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    try:
      scores = metric(representation, factors, seed=seed, **sizes)
    except UserError as error:
      notes.append(str(error))
  notes += sorted({str(w.message) for w in caught if w.category is UserWarning})
  scores = {key: value if np.isfinite(value) else None for key, value in scores.items()}
  return {'scores': scores, 'seconds': round(time.monotonic() - start, 1), 'notes': notes}
