"""Sections of the report that need the model: each gives numbers for report.json, and pictures.

`Material` holds what they share; a picture is an array that the page draws and JSON leaves out.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from typing import Any, Callable

import numpy as np

import cvq
from cvq import runs
from cvq.api.model import Model
from cvq.data import pipeline, splits
from cvq.data.neighbours import neighbours
from cvq.description import Description
from cvq.errors import UserError
from cvq.evaluation import alignment, chains, codes as code_figures, factor_reader, graphs
from cvq.evaluation import oracle, planning, retrieval
from cvq.evaluation.disentanglement import battery
from cvq.report import imagine


@dataclasses.dataclass(frozen=True)
class Sizes:
  """How much of the data each section looks at; less where the split has less."""
  images: int = 15_000        # of the disentanglement metrics, information and rate
  pairs: int = 2_048          # of the variables that move
  chains: int = 256           # of the decay; and pairs undone and swapped
  steps: int = 10             # of a chain
  shown_steps: int = 8        # of a traversal
  graphs: int = 256           # images whose graphs are averaged
  failures: int = 12
  plans: tuple[int, ...] = (2, 4, 8)      # steps between images and their targets
  shown_plan: int = 4         # of these, the one that film strips are shown of
  strips: int = 3             # plans shown that arrive, and that miss


class Material:
  """A trained model, transitions of the split it is judged on, and their grid of factors.

  Attributes:
    model: `cvq.api.model.Model` of the state.
    source, target, action: [n] transitions, the same and in the same order as those of
      `cvq.evaluate.measure`.
  """

  def __init__(self, run: Any, state: Any, config: Any, sizes: Sizes):
    self.run, self.sizes, self.seed = run, sizes, config.evaluation.seed
    self.model = Model(runs.Trained(
        config, Description.of(run.dataset), state.variables, int(state.step), cvq.__version__,
        None))
    self.images, self.space = run.dataset.images, run.dataset.space
    self.near = neighbours(self.images)
    self.imagination = imagine.Imagination(run.model, state, config.evaluation.batch_size)
    self.source, self.target, self.action = pipeline.open_transitions(
        self.images, config.dataset, config.evaluation.split, imbalanced=False
    ).choose(examples=config.evaluation.examples, seed=config.evaluation.seed)

  @property
  def codebooks(self) -> int:
    return self.run.model.quantizer.codebooks

  def opposite(self, action: np.ndarray) -> np.ndarray:
    f = self.space.num_factors
    return (action + f) % (2 * f)

  def valid(self, index: np.ndarray) -> np.ndarray:
    """Whether each action leads to another image: [n] int -> [n, A] bool."""
    return self.near.step(index[:, None], np.arange(self.space.num_actions))[1]

  def pixels(self, index: np.ndarray) -> np.ndarray:
    """Images [..., H, W, C] in [0, 1] of indices of any shape."""
    shape = (*np.shape(index), *self.images.image_shape)
    return self.images.read(np.ravel(index)).reshape(shape).astype(np.float32) / 255


def actions_retrieved(m: Material, table: dict) -> tuple[dict, dict]:
  """Confusion, reliability and the worst mistakes. table: of `cvq.evaluate.measure`."""
  posterior, action = np.asarray(table['posterior'], np.float64), table['action']
  right = retrieval.credit(posterior, action)
  of_true = np.take_along_axis(posterior, action[:, None], axis=1)[:, 0]
  wrong = np.flatnonzero(right == 0)
  worst = wrong[np.argsort(of_true[wrong], kind='stable')][:m.sizes.failures]
  names = m.space.action_names
  failures = [{
      'true': names[action[i]], 'true_probability': of_true[i],
      'retrieved': names[posterior[i].argmax()], 'retrieved_probability': posterior[i].max(),
      'factors': dict(zip(m.space.names, m.images.factors(m.source[i:i + 1])[0]))}
              for i in worst]
  numbers = {
      'actions': list(names), 'confusion': retrieval.confusion(posterior, action),
      'reliability': retrieval.reliability(posterior.max(-1), right),
      'wrong': len(wrong), 'pairs': len(action), 'failures': failures}
  return numbers, {'x': m.images.read(m.source[worst]), 'y': m.images.read(m.target[worst])}


def traversals(m: Material) -> dict:
  """Pictures of each action repeated, from the x with the longest way to go.

  Returns:
    x [A, H, W, C]; model, truth [A, k, H, W, C]; valid [A, k], whether there is a true image.
  """
  k, chosen = m.sizes.shown_steps, []
  for a in range(m.space.num_actions):
    rows = m.source[m.action == a] if (m.action == a).any() else m.source[:1]
    _, valid = chains.walk(m.near, rows, np.full((len(rows), k), a))
    chosen.append(rows[valid.sum(1).argmax()])
  start = np.asarray(chosen)
  repeated = np.repeat(np.arange(m.space.num_actions)[:, None], k, axis=1)
  place, valid = chains.walk(m.near, start, repeated)
  model = m.imagination.chain(m.images, start, repeated, feed='vectors')['image']
  return {'x': m.pixels(start), 'model': model, 'truth': m.pixels(place), 'valid': valid}


def judged(m: Material, config: Any, tell: Callable[[str], None]
           ) -> tuple[dict | None, factor_reader.Reader | None]:
  """Precision and stability by the oracle, and its reader; None where there is no full grid."""
  if m.images.combination is not None:
    return oracle.judge(m.model, m.run.dataset, tell=tell), None
  reader = factor_reader.open_reader(
      m.run.dataset, config.dataset, steps=config.evaluation.oracle_steps, tell=tell)
  return oracle.judge(m.model, m.run.dataset, reader=reader, tell=tell), reader


def chained(m: Material, reader: factor_reader.Reader | None) -> dict:
  """Decay of chains, undoing, and swapping, for both feeds; with a reader, what it reads."""
  n, f = m.sizes.chains, m.space.num_factors
  source, action = m.source[:n], m.action[:n]
  x = m.pixels(source)
  repeated = np.repeat(action[:, None], m.sizes.steps, axis=1)
  place, valid = chains.walk(m.near, source, repeated)
  truth = m.pixels(place)
  undone = np.stack([action, m.opposite(action)], axis=1)

  other = m.valid(source) & (np.arange(m.space.num_actions) % f != action[:, None] % f)
  draw = np.random.default_rng(m.seed).random(other.shape) * other
  swap, second = other.any(1), draw.argmax(1)
  order = np.stack([action, second], axis=1)[swap]

  def read(images: np.ndarray) -> dict:
    if reader is None:
      return {}
    readings = reader.read(images.reshape(-1, *images.shape[2:])).reshape(*place.shape, f)
    return oracle.decay(oracle.read_right(m.images, place, readings), action, valid)

  result: dict = {'images': len(source), 'swapped': int(swap.sum()),
                  'decay': {'truth': read(truth)}, 'inverse': {}, 'commutation': {}}
  for feed in imagine.FEEDS:
    go = lambda index, actions: m.imagination.chain(m.images, index, actions, feed=feed)
    images = go(source, repeated)['image']
    result['decay'][feed] = chains.decay(images, truth, x, valid) | read(images)
    back = go(source, undone)
    result['inverse'][feed] = chains.inverse(back['x_codes'], back['codes'], x, back['image'])
    if swap.any():
      one, two = go(source[swap], order), go(source[swap], order[:, ::-1])
      result['commutation'][feed] = chains.commutation(
          one['codes'], two['codes'], one['image'], two['image'])
  return result


def planned(m: Material, config: Any, tell: Callable[[str], None]) -> tuple[dict | None, dict]:
  """Plans between images some steps apart, judged, and some of them as film strips.

  Returns:
    Numbers, and pictures of the plans shown: x, y [s, H, W, C] and lists of images on the way,
    those that the model imagines and those that its actions lead to. None where there is no grid.
  """
  if m.images.combination is not None:
    return None, {}
  e = config.evaluation
  inside = splits.members(m.images, config.dataset, e.split)
  numbers: dict = {'beam': e.plan_beam, 'error': .5 / math.sqrt(e.plan_pairs), 'steps': {}}
  pictures: dict = {}
  for n in m.sizes.plans:
    start = time.monotonic()
    try:
      proposals = planning.propose(
          m.model, m.images, inside, steps=n, pairs=e.plan_pairs, beam=e.plan_beam, seed=m.seed)
    except UserError as error:                         # a small split; the rest is worth showing
      tell(f'plans of {n} steps are left out: {error}')
      continue
    figures = planning.figures(m.images, proposals)
    numbers['steps'][n] = figures | {'seconds': round(time.monotonic() - start, 1)}
    tell(f'plans of {n} steps: {figures["beam"]["exact"]:.0%} of {e.plan_pairs} are right')
    if n == m.sizes.shown_plan:
      numbers['shown'], pictures = _strips(m, proposals)
  return numbers, pictures


def _strips(m: Material, proposals: planning.Proposals) -> tuple[list[dict], dict]:
  """The first plans that arrive and the first that miss, in the order in which pairs were drawn."""
  plans, start, target = proposals.actions['beam'], proposals.start, proposals.target
  arrives = planning.arrives(m.images, planning.follow(m.space, start, plans), target)
  chosen = np.concatenate([np.flatnonzero(which)[:m.sizes.strips] for which in (arrives, ~arrives)])
  distance = planning.distance(m.space, start, target)
  numbers = [{'actions': proposals.found[i].actions, 'score': proposals.found[i].score,
              'arrives': bool(arrives[i]), 'distance': distance[i]} for i in chosen]
  beginnings = lambda i: [plans[i][:k + 1] for k in range(len(plans[i]))]
  way = lambda i: planning.follow(m.space, np.repeat(start[i], len(plans[i])), beginnings(i))
  return numbers, {
      'x': m.pixels(start[chosen]), 'y': m.pixels(target[chosen]),
      'model': [m.model.decode(proposals.found[i].codes)[1:] for i in chosen],
      'truth': [m.pixels(way(i)) for i in chosen]}


def mechanisms(m: Material) -> tuple[dict, dict]:
  """Graphs and masks of each action, and which variables move, by factor."""
  index = m.source[:m.sizes.graphs]
  out = m.imagination.graphs(m.images, index)
  names = m.space.action_names
  rows = graphs.possible(m.valid(index))
  numbers = {
      'images': len(index), 'nodes': out['graph'].shape[-1],
      'actions': {name: graphs.measures(out['graph'][rows[:, a], a])
                  for a, name in enumerate(names)}}
  pairs = slice(m.sizes.pairs)
  before = m.imagination.encode(m.images, m.source[pairs])
  after = m.imagination.encode(m.images, m.target[pairs])
  f = m.space.num_factors
  moved = alignment.by_factor(before != after, m.action[pairs], f)
  by_action = graphs.mean_of_each(out['mask'], rows)                          # [A, V]
  mask = by_action.reshape(2, f, -1).mean(0).T                                # [V, F]
  numbers['alignment'] = alignment.agreement(mask, moved) | {
      'pairs': len(before), 'factors': list(m.space.names),
      'moved_per_factor': moved.sum(0), 'mask_per_factor': mask.sum(0)}
  return numbers, {'graph': graphs.mean_of_each(out['graph'], rows), 'mask': mask, 'moved': moved,
                   'mask_by_action': by_action}


def representation(m: Material, config: Any, tell: Any) -> tuple[dict, dict]:
  """Information, disentanglement and rate of the codes, with an untrained encoder and the truth.

  Where the model has a global level, information and disentanglement of its codes too.
  """
  rng = np.random.default_rng(m.seed)
  total = m.images.num_images
  index = rng.choice(total, m.sizes.images, replace=False) if total > m.sizes.images else \
      np.arange(total)
  factors = m.images.factors(index)
  tell(f'codes of {len(index):,} images')
  encode = functools.partial(m.imagination.encode, m.images, index)
  codes = encode()
  tables = {'information': alignment.information_table(codes, factors)}
  judged = [('codes', codes, False), ('untrained', encode(state=m.run.state), True)]
  if m.run.model.global_level is not None:
    whole = encode(whole=True)
    judged += [('global', whole, False),
               ('global_untrained', encode(state=m.run.state, whole=True), True)]
    tables['global_information'] = alignment.information_table(whole, factors)
  scores = {}
  for name, array, cheap in (*judged, ('factors', factors, False)):
    scores[name] = battery.battery(array, factors, cheap=cheap,
                                   tell=lambda line, of=name: tell(f'{of}: {line}'))
  numbers = {
      'images': len(index), 'variables': codes.shape[1], 'factors': list(m.space.names),
      'scores': scores, 'fewer': battery.FEWER if codes.shape[1] > battery.WIDE else None,
      'most_information': dict(zip(m.space.names, tables['information'].max(0))),
      'rate': code_figures.rate(codes, m.codebooks, config.model.quantizer.codes)}
  return numbers, tables
