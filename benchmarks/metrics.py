r"""Seconds and values of the disentanglement metrics, at published sizes.

  python -m benchmarks.metrics [--columns=10] [--only=mig,dci] [--skip=dci]

Samples of a set of factors like that of dSprites (3 shapes, 6 scales, 40 orientations, 32 x 32
places), as many as the metrics use: 10,000 to train and 5,000 to test. The representations have
a column per factor and columns of noise: the factors themselves, as codes and as latents; latents
with the two places turned by 45 degrees; and columns that are all noise.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import time
from typing import Callable
import warnings

import numpy as np
import sklearn

from cvq.evaluation import disentanglement
from cvq.evaluation.disentanglement import inputs

SIZES = (3, 6, 40, 32, 32)                             # values of each factor
NOISE = 32                                             # codes in a column of noise

METRICS: dict[str, Callable[..., dict]] = {
    'mig': disentanglement.mig,
    'mig, bootstrap': functools.partial(disentanglement.bootstrap, disentanglement.mig),
    'modularity_explicitness': disentanglement.modularity_explicitness,
    'infomec': disentanglement.infomec,
    'irs': disentanglement.irs,
    'sap': disentanglement.sap,
    'factor_vae': disentanglement.factor_vae,
    'beta_vae': disentanglement.beta_vae,
    'dci, logistic': functools.partial(disentanglement.dci, predictor='logistic'),
    'dci': disentanglement.dci,
}


def representations(factors: np.ndarray, columns: int) -> dict[str, np.ndarray]:
  """Name -> representation of the factors, [n, F] int -> [n, columns] int or float."""
  rng = np.random.default_rng(1)
  n, num_factors = factors.shape
  codes = rng.integers(NOISE, size=(n, columns - num_factors))
  noise = rng.normal(size=(n, columns))
  latents = (factors - factors.mean(0)) / factors.std(0)
  turned = latents.copy()
  turned[:, -2:] = latents[:, -2:] @ np.array([[1, 1], [1, -1]]) / 2 ** .5
  beside = lambda z: np.concatenate([z, noise[:, num_factors:]], axis=-1)
  return {
      'identity, codes': np.concatenate([factors, codes], axis=-1),
      'identity, latents': beside(latents),
      'rotated, latents': beside(turned),
      'random, codes': rng.integers(NOISE, size=(n, columns)),
      'random, latents': noise,
  }


def show(value: float | tuple[float, float]) -> str:
  return ' to '.join(f'{v:.3f}' for v in np.atleast_1d(value))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--columns', type=int, default=10, help='of each representation')
  parser.add_argument('--samples', type=int, default=inputs.TRAIN + inputs.TEST)
  parser.add_argument('--only', default='', help='names of metrics, with commas')
  parser.add_argument('--skip', default='', help='names of metrics, with commas')
  args = parser.parse_args()
  rng = np.random.default_rng(0)
  factors = np.stack([rng.integers(size, size=args.samples) for size in SIZES], axis=-1)
  print(f'{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, '
        f'NumPy {np.__version__}, scikit-learn {sklearn.__version__}; {args.samples:,} samples, '
        f'{args.columns} columns')
  warnings.simplefilter('ignore')                      # noise earns warnings; that is the point
  only, skip = (set(filter(None, names.split(','))) for names in (args.only, args.skip))
  for name, metric in METRICS.items():
    if (only and name.split(',')[0] not in only) or name.split(',')[0] in skip:
      continue
    for kind, representation in representations(factors, args.columns).items():
      start = time.perf_counter()
      scores = metric(representation, factors)
      seconds = time.perf_counter() - start
      print(f'{name:24} {kind:18} {seconds:6.1f} s  '
            + ', '.join(f'{key} {show(value)}' for key, value in scores.items()), flush=True)


if __name__ == '__main__':
  main()
