r"""Gendron et al. 2023 at a width and a length for two CPU cores: the preset `paper`, reduced.

  python -m cvq.main --config=configs/baselines/paper.py
  python -m cvq.main --config=configs/baselines/paper.py:shapes3d
  python -m cvq.main --config=configs/baselines/paper.py:dsprites,smoke

Its two stages, losses and modes are kept, and its learning rates fall as far over the shorter run.
It sees the transitions that all methods do, every action equally often, where the paper draws few
and some actions rarely. Its three modes are drawn in the proportion of images, transitions and
transitions, as in the paper: here about 1 : 10 : 10. Narrower: convolutions, latents, edge scorer
and heads, and two residual blocks for six. The rates are higher than the paper's 5e-4, as its two
stages have 134 and 3,410 times fewer steps: in these the transition's posterior stays near chance
at 5e-4, and did not settle at 2e-3. The mistakes of its code are mended (tests/test_mistakes.py).
"""

from ml_collections import ConfigDict

from configs.baselines import common

_EPOCHS = 20, 100                                      # of the two stages in the paper


def get_config(arg: str = '') -> ConfigDict:
  """The experiment on a dataset. Raises UserError for an unknown one."""
  short, preset = common.dataset(arg, 'paper_reduced')
  config, _ = common.dataset(arg.replace('smoke', ''), 'paper_reduced', preset='paper')
  config.preset = preset
  config.dataset.transitions_per_step, config.dataset.actions = 0, 'levelled'
  for part in ('evaluation', 'log', 'checkpoint'):
    config[part] = short[part]
  config.train.mode_weights = 1., 10., 10.             # an image is x of about ten transitions
  m = config.model
  m.latent_dim = 32
  m.encoder.widths, m.decoder.widths = (16, 32, 32), (32, 32, 16)
  m.encoder.residual_blocks = m.decoder.residual_blocks = 2
  m.transition.edge_hidden = 32
  m.transition.hidden = 16
  config.pretrain.batch_size = 64
  config.pretrain.steps = 60 if preset else 1200
  if 'steps=' not in arg:
    config.train.steps = 60 if preset else 1500
  config.pretrain.learning_rate, config.train.learning_rate = 2e-3, 1e-3
  for stage, epochs in zip((config.pretrain, config.train), _EPOCHS):
    stage.decay_every = max(stage.steps // epochs, 1)
  return config
