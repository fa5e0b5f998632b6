r"""Shapes3D, rendered here: 10 hues each of floor, wall and object, 8 scales, 4 shapes, 15
orientations; 12 actions.

  python -m cvq.main --config=configs/shapes3d.py

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/shapes3d.py:smoke
  --config=configs/shapes3d.py:paper,batch=8
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  config, preset = common.base(), common.parse(arg, presets=('smoke', 'paper'))
  config.name = 'shapes3d'
  config.preset = preset.name
  config.dataset.name = 'shapes3d'
  config.dataset.source = 'rendered'
  config.model.decoder.bias = 0.                       # no colour is the most common one
  if preset.name == 'smoke':
    common.smoke(config)
  elif preset.name == 'paper':
    common.paper(config)
    # Images of the training split against transitions: 51 factor steps, both directions, up to
    # 1,000 pairs each of which 70 % are for training.
    config.train.mode_weights = (336_000., 71_400., 71_400.)
    config.pretrain.decay_every = 336_000 // 64
    config.pretrain.steps = 20 * config.pretrain.decay_every
    config.train.decay_every = (336_000 + 2 * 71_400) // 16
    config.train.steps = 100 * config.train.decay_every
  common.override(config, preset)
  return config
