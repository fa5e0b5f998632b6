"""A config file for whole runs in tests: dSprites, a toy model, 20 steps."""

from configs import dsprites


def get_config(arg: str = ''):
  """The smoke preset, smaller; `arg` as in configs/dsprites.py."""
  config = dsprites.get_config(','.join(filter(None, ['smoke', arg])))
  config.name, config.preset = 'tiny', ''
  config.model.latent_dim = 8
  config.model.encoder.width = config.model.decoder.width = config.model.decoder.inner = 8
  config.model.quantizer.codes = 8
  config.model.transition.update(width=8, inner=4, heads=2, mlp=8, edge_hidden=4)
  config.pretrain.update(steps=8, batch_size=8, warmup=2)
  config.train.update(batch_size=8, targets=2)
  config.model.global_level.update(width=8, inner=4)
  config.train_global.update(steps=4, batch_size=8, targets=2, warmup=0)
  if 'steps' not in arg:
    config.train.steps = 8
  config.evaluation.update(examples=40, during=24, batch_size=16, oracle_steps=3, plan_pairs=4,
                           plan_beam=2)
  config.log.update(every=2, evaluate_every=10, picture_every=20)
  config.checkpoint.every = 5
  return config
