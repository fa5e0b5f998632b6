r"""Cars3D: 4 elevations, 24 azimuths (a circle), 183 cars; 6 actions.

  python -m cvq.main --config=configs/cars3d.py

The archive (nips2015-analogy-data.tar.gz) is downloaded on first use, or taken from
--config.dataset.data_dir.

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/cars3d.py:smoke
  --config=configs/cars3d.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 3 steps of elevation (702 pairs, of 1,000 the share of training), 24 of azimuth
  # and 182 of the car, of which all pairs count that have both ends in training (some 360 of 732,
  # 47 of 96).
  return common.experiment(arg, 'cars3d', 'published', images=12_298, transitions=38_782)
