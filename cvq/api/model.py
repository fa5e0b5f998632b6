"""The Python API: a trained model with its names.

    import cvq
    model = cvq.load('runs/dsprites')
    codes = model.encode(images)
    edited = model.intervene(images, 'posX+1')
"""

from __future__ import annotations

import functools
import math
import pathlib
from typing import Any

import jax
import numpy as np

from cvq import config as configuration, evaluate, inference, planning
from cvq import runs, session, state as train_state
from cvq.api import card, export, weights
from cvq.api.inputs import as_images
from cvq.api.interface import Facts, Interface
from cvq.api.results import Plan
from cvq.data import datasets
from cvq.description import Description
from cvq.errors import UserError

KINDS = ('codes', 'embeddings', 'latents', 'global_codes', 'coordinates')


def load(path: str | pathlib.Path, *, step: int | None = None) -> Model:
  """A model from the work directory of a run, or from a safetensors file.

  Args:
    path: a run's work directory (its newest good checkpoint is taken), or what
      `Model.save_safetensors` wrote.
    step: of a work directory, the step of another checkpoint.

  Raises:
    UserError: nothing that can be loaded there; the message says what was expected.
  """
  path = str(path)
  if not path.endswith('.safetensors'):
    return Model(runs.read_run(path, step))
  if step is not None:
    raise UserError(f'{path} holds one step; step={step} is for work directories.')
  return Model(weights.read(path))


class Model(Interface):
  """A trained model; see `load`. Everything is compiled on first use, once for each batch size
  1, 2, 4, ... up to `facts.largest_batch`.

  Attributes:
    config: of the run, a ConfigDict. facts: dataset, shapes, names, step, seed.
  """

  def __init__(self, trained: runs.Trained):
    self._trained, self.config = trained, trained.config
    self._model = runs.build(trained.config, trained.description)
    super().__init__(_facts(trained, self._model), {
        name: self._compiled(getattr(inference, name))
        for name in ('encode', 'decode', 'intervene', 'retrieve', 'represent', 'global_level',
                     'compare')})
    self._widen = self._compiled(planning.widen)

  def _compiled(self, function):
    return functools.partial(
        jax.jit(functools.partial(function, model=self._model)), self._trained.variables)

  def transform(self, images: Any, kind: str = 'codes') -> np.ndarray:
    """A representation of images, one row each, as scikit-learn takes it.

    Args:
      images: as for `encode`.
      kind: 'codes' [n, V] int32; 'embeddings' [n, V * d] float32, their vectors; 'latents'
        [n, V * d] float32, before they are quantized; of the global level 'global_codes' [n, G]
        int32, or 'coordinates' [n, G] float32, in steps, before they are rounded. Single images
        have no batch axis.

    Raises:
      UserError: an unknown kind, or one of a level that the model lacks; bad images.
    """
    if kind not in KINDS:
      raise UserError(f'kind is {kind!r}; choose one of {", ".join(KINDS)}.')
    array, single = as_images(images, self.facts.image_shape)
    if kind in KINDS[3:]:
      if self._model.global_level is None:
        raise UserError(f'kind is {kind!r}, but this model has no global level '
                        '(model.global_level.codes is 0).')
      result = self._call('global_level', array)[kind.removeprefix('global_')]
    else:
      result = self._call('represent', array)[kind]
    result = result.reshape(len(result), math.prod(result.shape[1:]))
    return result[0] if single else result

  def plan(self, images: Any, targets: Any, *, max_steps: int = 4, beam: int = 8
           ) -> Plan | list[Plan]:
    """Sequences of actions that lead from images to targets, by search (`cvq.planning`).

    Args:
      images, targets: as for `encode`, equally many.
      max_steps: longest plan. beam: plans kept at every length; more find better ones, in
        proportionally more time.

    Returns:
      a Plan for a single pair, else a list of them.

    Raises:
      UserError: bad images, numbers that differ, max_steps or beam below 1.
    """
    for name, value in (('max_steps', max_steps), ('beam', beam)):
      if not isinstance(value, (int, np.integer)) or value < 1:
        raise UserError(f'{name} is {value!r}; expected a whole number of at least 1.')
    x, y, single = self._pairs(images, targets)
    ends = self._call('compare', x, y)
    plans = planning.plan(
        self._widen, ends['codes'], ends['targets'], y, ends['gap'], steps=max_steps, width=beam,
        names=self.action_names, largest=self.facts.largest_batch)
    return plans[0] if single else plans

  def evaluate(self, dataset: str | None = None, split: str = 'test', *,
               examples: int | None = None, **fields: Any) -> dict:
    """Figures as in evaluation.json, on a dataset, which is opened, or prepared first.

    Args:
      dataset: its name; default: that of the run. Another one must have the same images and
        actions, and may need its own `source`.
      split: 'train' | 'validation' | 'test'. examples: transitions; default: of the config.
      **fields: other fields of config.dataset, as data_dir='...' or splits='compositional'.

    Raises:
      UserError: unknown fields, bad values, a dataset with other images or actions.
    """
    config = self.config.copy_and_resolve_references()
    unknown = [name for name in fields if name not in config.dataset]
    if unknown:
      raise UserError(f'config.dataset has no field {unknown[0]!r}; it has '
                      f'{", ".join(config.dataset)}.')
    _set(config, 'dataset', fields | {'name': dataset or config.dataset.name})
    _set(config, 'evaluation', {
        'split': split, 'examples': config.evaluation.examples if examples is None else examples})
    return evaluate.evaluate_run(self.open_run(config), self._state(), config)

  def open_run(self, config: Any = None) -> session.Run:
    """The model with its dataset, for the functions of `cvq.evaluate` and `cvq.evaluation`.

    Args:
      config: of the dataset; default: of the run.

    Raises:
      UserError: bad values, a dataset with other images or actions.
    """
    config = self.config if config is None else config
    configuration.validate(config)
    dataset = datasets.load_dataset(config.dataset)
    found, own = Description.of(dataset), self._trained.description
    for what, a, b in (('images', found.image_shape, own.image_shape),
                       ('actions', found.space.action_names, self.action_names)):
      if a != b:
        raise UserError(f'{config.dataset.name} has {what} {a}, the model was trained for {b}.')
    optimizer = train_state.make_optimizer(config)
    return session.Run(dataset, self._model, optimizer, self._state())

  def _state(self) -> train_state.TrainState:
    return runs.to_state(self._trained)

  def export(self, path: str | pathlib.Path) -> None:
    """Writes the inference functions as StableHLO, for `cvq.load_exported`.

    Args:
      path: of a directory, which must not exist or be empty.

    Raises:
      UserError: it can't be written, or holds something.
    """
    export.write(path, self.facts, self._model, self._trained.variables)

  def save_safetensors(self, path: str | pathlib.Path) -> None:
    """Writes weights, config and names into one file, which `cvq.load` reads.

    Args:
      path: ends in .safetensors.

    Raises:
      UserError: another ending, or it can't be written.
    """
    weights.write(path, self._trained)

  def card(self) -> str:
    """A model card, in Markdown as a model hub takes it, from the run's evaluation.

    Raises:
      UserError: the run has no evaluation.json.
    """
    return card.write(self.facts, self._trained.config, self._trained.evaluation)


def _set(config: Any, group: str, values: dict[str, Any]) -> None:
  """Sets fields of a group of a config. Raises UserError, naming one that has another type."""
  for name, value in values.items():
    before = config[group][name]
    try:
      if value is None:                                  # which a ConfigDict would take
        raise TypeError(name)
      config[group][name] = value
    except TypeError as error:
      raise UserError(f'{group}.{name} is {value!r:.80}; expected a value of type '
                      f'{type(before).__name__}, like {before!r}.') from error


def _facts(trained: runs.Trained, model: Any) -> Facts:
  c, q = trained.config, model.quantizer
  largest = 1 << (c.evaluation.batch_size.bit_length() - 1)
  return Facts(
      dataset=f'{c.dataset.name} ({c.dataset.source})',
      image_shape=trained.description.image_shape,
      action_names=trained.description.space.action_names, grid=model.grid,
      codebooks=q.codebooks, codes=q.codes, step=trained.step, seed=c.seed,
      version=trained.version, largest_batch=largest)
