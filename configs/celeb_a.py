r"""CelebA: ten of 40 binary attributes of faces, the first ten in the paper; 20 actions.

  python -m cvq.main --config=configs/celeb_a.py

The files (img_align_celeba.zip, 1.4 GB, and two lists) are downloaded on first use, or taken from
--config.dataset.data_dir. There is no grid: an action leads to a photograph of another person.

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/celeb_a.py:smoke
  --config=configs/celeb_a.py:paper,seed=1
  --config.dataset.attributes="('Male', 'Smiling', 'Young')"
"""

from ml_collections import ConfigDict

from configs import common

ATTRIBUTES = ('5_o_Clock_Shadow', 'Arched_Eyebrows', 'Attractive', 'Bags_Under_Eyes', 'Bald',
              'Bangs', 'Big_Lips', 'Big_Nose', 'Black_Hair', 'Blond_Hair')


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 162,770 images of the published training split; 10 factor steps of 803 pairs, of
  # 1,000 its share.
  # y is anyone of a kind: which of them are least likely says little about the step.
  config = common.experiment(
      arg, 'celeb_a', 'published', images=162_770, transitions=16_060,
      fields={'train.predicted': 'first'})
  config.dataset.splits = 'published'                  # people are not shared
  config.dataset.attributes = ATTRIBUTES               # any of the 40, by their published names
  return config
