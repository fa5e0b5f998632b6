r"""Sprites (LPC): 7 x 7 x 10 x 5 x 3 x 7 characters in 90 poses, 64 x 64 x 3; 18 actions.

  python -m cvq.main --config=configs/sprites.py --config.dataset.sheets=FOLDER

FOLDER holds the sprite sheets, body/ bottomwear/ topwear/ hair/ eyes/ shoes/, for instance those of
github.com/YingzhenLi/Sprites (CC-BY-SA 3.0 / GPL 3.0). Once prepared, they need not be named again.

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/sprites.py:smoke
  --config=configs/sprites.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 44 factor steps of 1,000 pairs.
  config = common.experiment(
      arg, 'sprites', 'composed', images=3_241_350, transitions=61_600)
  config.dataset.sheets = ''        # folder of the sprite sheets; empty: those prepared before
  return config
