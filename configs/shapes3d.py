r"""Shapes3D, rendered here: 10 hues each of floor, wall and object, 8 scales, 4 shapes, 15
orientations; 12 actions.

  python -m cvq.main --config=configs/shapes3d.py

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/shapes3d.py:smoke
  --config=configs/shapes3d.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 51 factor steps of 1,000 pairs.
  return common.experiment(
      arg, 'shapes3d', 'rendered', images=336_000, transitions=71_400)
