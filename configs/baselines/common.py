"""What the configs of the baselines share: data and evaluation are those of our default."""

import importlib
import pathlib

from ml_collections import ConfigDict

from cvq.errors import UserError

DATASETS = tuple(sorted(
    path.stem for path in pathlib.Path(__file__).parents[1].glob('*.py')
    if path.stem not in ('__init__', 'common')))


def dataset(arg: str, name: str, preset: str = '') -> tuple[ConfigDict, str]:
  """The default experiment on a dataset, under a baseline's name.

  Args:
    arg: of get_config: a dataset, 'smoke' and shorthands, as in 'shapes3d,smoke,seed=1'; the
      default is dsprites.
    name: of the baseline. preset: of the dataset's config to start from, where it is no smoke run.

  Returns:
    config, and the preset that was asked for, '' or 'smoke'.

  Raises:
    UserError: two datasets, an unknown preset, dataset or shorthand.
  """
  parts = [part for part in arg.split(',') if part]
  named = [part for part in parts if part in DATASETS]
  if len(named) > 1:
    raise UserError(f'{" and ".join(named)}: a run has one dataset.')
  unknown = [part for part in parts if part not in DATASETS and part != 'smoke' and '=' not in part]
  if unknown:
    raise UserError(f'Unknown dataset or preset {unknown[0]!r}.\nDatasets: {", ".join(DATASETS)}; '
                    'preset: smoke')
  asked = 'smoke' if 'smoke' in parts else ''
  rest = [part for part in parts if '=' in part]
  module = importlib.import_module(f'configs.{named[0] if named else "dsprites"}')
  config = module.get_config(','.join(filter(None, [asked or preset, *rest])))
  config.name = f'{config.dataset.name}-{name}'
  return config, asked


def vae(arg: str, name: str, *, beta: float) -> ConfigDict:
  """A VAE and an MLP on its latents; arg, name as for `dataset`. beta: weight of the KL term."""
  config = latent(arg, name, steps=3_500, model={'latents': 10},
                  loss={'reconstruction': 1.,     # sum over pixels
                        'kl': beta})
  if config.dataset.name == 'dsprites':         # on colours it diverges at this rate
    config.train.learning_rate = 3e-3
  return config


def latent(arg: str, name: str, *, steps: int, model: dict, loss: dict) -> ConfigDict:
  """An autoencoder with a few latents and an MLP on them that predicts transitions.

  Args:
    arg, name, steps: as for `start`. model, loss: fields of the autoencoder beside those below.
  """
  config = start(
      arg, name, steps=steps, smoke={'widths': (16, 16, 32, 32), 'hidden': 64, 'width': 64},
      model={'widths': (32, 32, 64, 64),        # a stride-2 convolution each, mirrored back
             'hidden': 256,
             'width': 256,                      # of the transition
             'joint': False} | model,           # whether transitions shape the encoder too
      loss={'transition': 1.,                   # squared distance in latent space
            'retrieval': 1.} | loss)
  config.train.clip = 0.
  return config


def start(arg: str, name: str, *, steps: int, model: dict, loss: dict, smoke: dict) -> ConfigDict:
  """A baseline with a model and a loss of its own, trained on our default's batches in one stage.

  Args:
    arg, name: as for `dataset`; `name` is also the method.
    steps: of training. On one core of an Intel Xeon our local level takes 16 minutes, 10,000 steps
      of the inverse model 14, 3,500 of a VAE 13 to 17, 5,000 of QLAE 17.
    model, loss: fields of config.model and config.loss, in place of ours.
    smoke: fields of the model in the smoke preset.
  """
  config, preset = dataset(arg, name)
  config.method = name
  likelihood = config.model.likelihood
  del config.model, config.loss
  config.model = ConfigDict(model | (smoke if preset else {}))
  if 'latents' in model:
    config.model.likelihood = likelihood
  config.loss = ConfigDict(loss)
  if 'steps=' not in arg:
    config.train.steps = 300 if preset else steps
  config.pretrain.steps = config.train_global.steps = 0
  del config.train.drawn, config.train.predicted
  config.train.optimizer = 'adam'
  config.train.warmup = 100
  config.train.learning_rate = 1e-3
  return config
