r"""SmallNORB: category 5, instance 10, elevation 9, azimuth 18 (a circle), light 6; 10 actions.

  python -m cvq.main --config=configs/smallnorb.py

The six files (263 MB) are downloaded on first use, or taken from --config.dataset.data_dir. The
split is of images, as everywhere: it is not the published one of instances.

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/smallnorb.py:smoke
  --config=configs/smallnorb.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 44 factor steps (4 + 9 + 8 + 18 + 5) of 1,000 pairs.
  return common.experiment(arg, 'smallnorb', 'published', images=34_020, transitions=61_600)
