r"""dSprites, rendered here: 3 shapes, 6 scales, 40 orientations, 32 x 32 positions; 10 actions.

  python -m cvq.main --config=configs/dsprites.py

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
           Directed retrieval .978, factor .999 on the test split (seed 0, 13 minutes on two CPU
           cores).
  smoke    the same at a small size, to see everything once.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/dsprites.py:smoke
  --config=configs/dsprites.py:paper,batch=8
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  config, preset = common.base(), common.parse(arg, presets=('smoke', 'paper'))
  config.name = 'dsprites'
  config.preset = preset.name
  config.dataset.name = 'dsprites'
  config.dataset.source = 'rendered'
  if preset.name == 'smoke':
    common.smoke(config)
  elif preset.name == 'paper':
    common.paper(config)
    # Images of the training split against transitions: 108 factor steps, both directions, up to
    # 1,000 pairs each of which 70 % are for training.
    config.train.mode_weights = (516_096., 151_200., 151_200.)
    config.pretrain.decay_every = 516_096 // 64
    config.pretrain.steps = 20 * config.pretrain.decay_every
    config.train.decay_every = (516_096 + 2 * 151_200) // 16
    config.train.steps = 100 * config.train.decay_every
  common.override(config, preset)
  return config
