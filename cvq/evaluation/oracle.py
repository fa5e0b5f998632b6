"""Precision and stability of interventions, judged by a reader of factors.

Of an intervention on x by an action that leads to y, the factors of the model's image are read
(`cvq.evaluation.factor_reader`) and compared with those of y. It is *precise* if the asked factor
is that of y, so moved by exactly the asked step (around the end where the factor is cyclic), and
*stable* if every other factor is that of y, so that of x.

**Look-alikes.** Some values can hardly be told from an image: a square looks nearly the same every
ten orientations of dSprites, an ellipse every twenty, and the first and last orientation are the
same angle. So a reading counts as right, too, if the image with that value in place of the true
one, and all other factors true, differs from the true image at most half as much as the image of
the nearest step of that factor does (mean absolute difference of the pixels). One step away is
never so near, so an image that did not change is not precise, unless y is pixel for pixel x.

**What x leaves open.** Look-alikes of x may lead to other y: a quarter turn of a square can hardly
be seen, that of the ellipse that it becomes can. `foreseeable` counts how often the best guess is
right that knows no more. It is no bound: look-alikes differ by up to half a step, which a network
may tell.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from cvq.data import pipeline
from cvq.data.datasets import Dataset
from cvq.data.images import Images
from cvq.evaluation import factor_reader
from cvq.evaluation.factor_reader import Reader

NEAR = .5                     # of the difference that one step makes: a look-alike
SUBJECTS = ('model', 'truth', 'reconstruction', 'copy')
FEW = 1024                    # transitions of which it is counted what x leaves open


def read_right(images: Images, index: np.ndarray, readings: np.ndarray) -> np.ndarray:
  """Which readings are right: the true value or a look-alike of it.

  Args:
    images: of a full grid. index: [...] int, the true images. readings: [..., F] int.

  Returns:
    [..., F] bool.
  """
  shape = readings.shape
  index, readings = np.ravel(index), readings.reshape(-1, shape[-1])
  truth = images.factors(index)
  right = readings == truth
  row, factor = np.nonzero(~right)
  other = truth[row]
  other[np.arange(len(row)), factor] = readings[row, factor]
  right[row, factor] = _alike(images, index[row], images.space.to_index(other), factor)
  return right.reshape(shape)


def _alike(images: Images, index: np.ndarray, other: np.ndarray, factor: np.ndarray) -> np.ndarray:
  """Whether images that differ in one factor look alike: [n] index, other, factor -> bool [n]."""
  alike = np.zeros(len(index), bool)
  for start in range(0, len(index), factor_reader.BATCH):
    rows = slice(start, start + factor_reader.BATCH)
    true = images.read(index[rows]).astype(np.float32)
    gap = lambda place: np.abs(images.read(place) - true).mean((1, 2, 3))
    steps = []
    for action in (factor[rows], factor[rows] + images.space.num_factors):
      place, valid = images.space.step(index[rows], action)
      steps.append(np.where(valid, gap(place), np.inf))
    alike[rows] = gap(other[rows]) <= NEAR * np.minimum(*steps)
  return alike


def folded(images: Images, index: np.ndarray) -> np.ndarray:
  """Factors, look-alikes taken as one: every value becomes the lowest one that looks like it.

  That one becomes its own lowest, and so on; values that share none but a higher look-alike stay
  apart. All other factors are the true ones.

  Args:
    images: of a full grid. index: [n] int.

  Returns:
    [n, F] int.
  """
  space, truth = images.space, images.factors(index)
  result = truth.copy()
  for factor, size in enumerate(space.sizes):
    place, rows = truth.copy(), np.arange(len(index))
    while len(rows):
      lowest = place[:, factor].copy()
      for value in reversed(range(size - 1)):
        some = rows[place[rows, factor] > value]
        other = place[some]
        other[:, factor] = value
        alike = _alike(images, space.to_index(place[some]), space.to_index(other),
                       np.full(len(some), factor))
        lowest[some[alike]] = value
      rows = rows[lowest[rows] < place[rows, factor]]
      place[:, factor] = lowest
    result[:, factor] = place[:, factor]
  return result


def foreseeable(images: Images, source: np.ndarray, action: np.ndarray) -> np.ndarray:
  """How often the best single guess of y is right, for one who cannot tell x from its look-alikes.

  These are x and all images that differ from it in one factor's value, not the asked factor's, and
  look like it. Each may be the true one, and has its y; the best guess is the y that looks like
  most of them.

  Args:
    images: of a full grid. source, action: [n] int, valid transitions.

  Returns:
    [n], in (0, 1].
  """
  space, rows = images.space, np.arange(len(source))
  values, asked = images.factors(source), action % images.space.num_factors
  row, place = [rows], [source]
  for factor, size in enumerate(space.sizes):
    for value in range(size):
      some = rows[(values[:, factor] != value) & (asked != factor)]
      other = values[some]
      other[:, factor] = value
      other = space.to_index(other)
      alike = _alike(images, source[some], other, np.full(len(some), factor))
      row.append(some[alike])
      place.append(other[alike])
  row, place = np.concatenate(row), np.concatenate(place)
  order = np.argsort(row, kind='stable')
  row, place = row[order], place[order]
  y, counts = space.step(place, action[row])[0], np.bincount(row)
  # All pairs of a guess and a truth among the look-alikes of the same x.
  guess = np.repeat(np.arange(len(y)), counts[row])
  first = np.cumsum(counts) - counts
  truth = np.arange(len(guess)) - np.repeat(np.cumsum(counts[row]) - counts[row], counts[row]) \
      + first[row[guess]]
  right = read_right(images, y[truth], images.factors(y[guess])).all(-1)
  share = np.bincount(guess, right) / counts[row]                            # of each guess
  return np.maximum.reduceat(share, first)


def tally(right: np.ndarray, action: np.ndarray) -> dict[str, float]:
  """Figures of interventions.

  Args:
    right: [n, F] bool, which factors are read as those of y. action: [n] int; action f moves
      factor f by +1, F + f by -1. n is at least 1.

  Returns:
    `precision`: share whose asked factor is right; `stability`: share whose other factors all
    are; `both`: share of which both is true.
  """
  precise, stable = _precise_and_stable(right, action)
  return {'precision': float(precise.mean()), 'stability': float(stable.mean()),
          'both': float((precise & stable).mean())}


def by_action(right: np.ndarray, action: np.ndarray, names: Sequence[str]) -> dict[str, dict]:
  """`tally` of each action, and its number of `pairs`; None where there is none."""
  result = {}
  for a, name in enumerate(names):
    of = action == a
    figures = tally(right[of], action[of]) if of.any() else dict.fromkeys(
        ('precision', 'stability', 'both'))
    result[name] = {'pairs': int(of.sum())} | figures
  return result


def decay(right: np.ndarray, action: np.ndarray, valid: np.ndarray) -> dict[str, list]:
  """Precision and stability of an action repeated, over the chains that have a true image there.

  Args:
    right: [n, k, F] bool, factors after each step against the true image there. action: [n] int.
    valid: [n, k] bool.

  Returns:
    Lists of k: `precision`, `stability`, `both`; None where there is no chain left.
  """
  steps = [tally(right[ok, i], action[ok]) if ok.any() else {} for i, ok in enumerate(valid.T)]
  return {name: [step.get(name) for step in steps] for name in ('precision', 'stability', 'both')}


def _precise_and_stable(right: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  asked = action[:, None] % right.shape[1] == np.arange(right.shape[1])
  return (right | ~asked).all(1), (right | asked).all(1)


def judge(model: Any, dataset: Dataset | None = None, *,
          reader: Reader | None = None, tell: Callable[[str], None] = print) -> dict | None:
  """Precision and stability of a model's interventions, on the transitions of evaluation.json.

  Args:
    model: `cvq.api.model.Model`, or a `cvq.baselines.trained.TrainedLatent`; split, number and seed
      of the transitions are those of its config.
    dataset: of the run; default: a `Model` opens it.
    reader: of the dataset; default: `factor_reader.open_reader`, which may train one first.
    tell: is called with lines on the progress.

  Returns:
    Python numbers: 'pairs'; for each of 'model', 'truth' (the true y: what the oracle allows),
    'reconstruction' (of y: what the decoder allows) and 'copy' (of x) `tally`; 'foreseeable', the
    same of the best guess, `foreseeable`, on the first 1,024; 'per_action' of the model,
    `by_action`; 'reader': 'exact' and 'right', by factor, the share of the true y whose value it
    reads, and whose value or a look-alike, with its 'steps', 'batch' and 'seconds' of training.
    None, with a line, for images that are a sample of the combinations: of such an action there is
    no true image.

  Raises:
    UserError: see `open_reader`.
  """
  dataset = dataset or model.open_run().dataset
  images, space, config = dataset.images, dataset.space, model.config
  if images.combination is not None:
    tell(f'oracle: {dataset.name} has no image for every combination of factors; left out')
    return None
  reader = reader or factor_reader.open_reader(
      dataset, config.dataset, steps=config.evaluation.oracle_steps, tell=tell)
  source, target, action = pipeline.open_transitions(
      images, config.dataset, config.evaluation.split, imbalanced=False
  ).choose(examples=config.evaluation.examples, seed=config.evaluation.seed)
  readings: dict[str, list] = {name: [] for name in SUBJECTS}
  for start in range(0, len(source), factor_reader.BATCH):
    rows = slice(start, start + factor_reader.BATCH)
    x, y = images.read(source[rows]), images.read(target[rows])
    for name, seen in (('model', model.intervene(x, action[rows]).images), ('truth', y),
                       ('reconstruction', model.decode(model.encode(y))), ('copy', x)):
      readings[name].append(reader.read(seen))
  right = {name: read_right(images, target, np.concatenate(parts))
           for name, parts in readings.items()}
  best = float(foreseeable(images, source[:FEW], action[:FEW]).mean())
  exact = np.concatenate(readings['truth']) == images.factors(target)
  share = lambda table: dict(zip(space.names, table.mean(0).tolist()))
  return {
      'pairs': len(source), **{name: tally(right[name], action) for name in SUBJECTS},
      'foreseeable': {'precision': 1., 'stability': best, 'both': best},
      'per_action': by_action(right['model'], action, space.action_names),
      'reader': {'exact': share(exact), 'right': share(right['truth']),
                 'steps': reader.about['steps'], 'batch': factor_reader.BATCH,
                 'seconds': round(reader.seconds, 1)}}
