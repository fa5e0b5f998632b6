"""What a run leaves, read back: its config, the description of its dataset, its weights.

The dataset itself is opened only for runs so old that they left no model.json.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from cvq import checkpoints, config as configuration, description, files, stored_config
from cvq import state as train_state
from cvq.data import datasets
from cvq.description import Description
from cvq.errors import UserError
from cvq.models import ct_vae


@dataclasses.dataclass(frozen=True)
class Trained:
  """A model with its weights.

  Attributes:
    config: of the run. description: of its dataset.
    variables: collections 'params' and 'codebook'. step: gradient steps they had.
    version: of cvq that trained them.
    evaluation: what evaluation.json holds, or None.
  """
  config: Any
  description: Description
  variables: dict
  step: int
  version: str
  evaluation: dict | None


def read_run(workdir: str, step: int | None = None) -> Trained:
  """A run's newest good checkpoint, or that of a step.

  Raises:
    UserError: no run, no checkpoint, or one that can't be read; a config of another version.
  """
  folder = pathlib.Path(workdir)
  if not (folder / 'config.json').is_file() or not (folder / 'checkpoints').is_dir():
    raise UserError(f'{workdir} holds no run: config.json and checkpoints/ are expected there.\n'
                    'Train one: python -m cvq.main --config=configs/dsprites.py '
                    f'--workdir={workdir}')
  fields = files.read_json(folder / 'config.json', 'Put a good copy back.')
  if isinstance(fields, dict) and fields.get('method', 'ct_vae') != 'ct_vae':
    raise UserError(f'{workdir} holds a baseline ({fields["method"]}), which the API does not load.'
                    '\nIts figures are in evaluation.json.')
  config = to_config(fields)
  about = description.read(workdir) or Description.of(datasets.load_dataset(config.dataset))
  store = checkpoints.Checkpoints(
      workdir, keep_last=config.checkpoint.keep_last, keep_best=config.checkpoint.keep_best)
  try:
    restored = store.restore(abstract_state(config, about), step=step)
  finally:
    store.close()
  if restored is None:
    raise UserError(f'{workdir} holds no complete checkpoint yet.')
  path = folder / 'evaluation.json'
  return Trained(
      config, about, restored.state.variables, restored.step,
      restored.progress['version'],
      files.read_json(path, 'Move it away, or write it anew: --mode=evaluate')
      if path.exists() else None)


def to_config(fields: dict) -> ConfigDict:
  """A config from JSON. Fields that an older version did not write say what it did where there was
  no choice (`stored_config.BEFORE`; no global level), or else take their defaults.

  Raises:
    UserError: fields that this version does not know, or bad values.
  """
  try:
    given = ConfigDict(stored_config.filled(_tuples(fields)))
    config = _defaults(given)
    if 'train_global' not in given and 'global_level' not in given.get('model', {}):
      config.train_global.steps = config.model.global_level.codes = 0      # of before that level
    known = dict(configuration.leaves(config))
    unknown = [name for name, _ in configuration.leaves(given) if name not in known]
    if unknown:
      raise UserError(f'config.json holds fields that this version does not know: '
                      f'{", ".join(unknown)}.\nLoad it with the version of cvq that wrote it.')
    config.update(given)
    configuration.validate(config)
  except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
    detail = ' '.join(str(error).split())[:160]
    raise UserError(f'config.json does not fit this version of cvq: {detail}.') from error
  return config


def _defaults(given: ConfigDict) -> ConfigDict:
  """The default experiment on the config's dataset; configs/ lies beside the package."""
  if given.dataset.name not in datasets.names():         # it names the module that is imported
    raise UserError(f'config.json: unknown dataset.name {given.dataset.name!r}; known: '
                    f'{", ".join(datasets.names())}.')
  try:
    module = importlib.import_module(f'configs.{given.dataset.name}')
  except ModuleNotFoundError:              # the package alone is installed
    return ConfigDict(given.to_dict())
  return module.get_config('')


def build(trained_config: Any, about: Description) -> ct_vae.CTVAE:
  """The model of a config for the images and actions of a description."""
  configuration.validate_image_shape(trained_config, about.image_shape)
  return ct_vae.build(trained_config.model, about.image_shape, about.space.num_actions)


def abstract_state(config: Any, about: Description) -> train_state.TrainState:
  """Shapes and types of a run's state; nothing is computed."""
  create = functools.partial(
      train_state.create, build(config, about), train_state.make_optimizer(config),
      image_shape=about.image_shape)
  return jax.eval_shape(lambda: create(key=jax.random.key(0)))


def to_state(trained: Trained) -> train_state.TrainState:
  """The state whose `variables` these are, without an optimizer's part, for evaluation."""
  variables = trained.variables
  return train_state.TrainState(
      trained.step, variables['params'], variables['codebook']['quantizer'], ())


def _tuples(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {name: _tuples(part) for name, part in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
