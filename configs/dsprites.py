r"""dSprites, rendered here: 3 shapes, 6 scales, 40 orientations, 32 x 32 positions; 10 actions.

  python -m cvq.main --config=configs/dsprites.py

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
           Directed retrieval .998, factor 1.000 on the test split (seed 0, half an hour on one CPU
           core).
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/dsprites.py:smoke
  --config=configs/dsprites.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 108 factor steps of 1,000 pairs.
  return common.experiment(
      arg, 'dsprites', 'rendered', images=516_096, transitions=151_200,
      fields={'model.decoder.bias': -2.})              # most pixels are dark
