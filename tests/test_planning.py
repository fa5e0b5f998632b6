"""Plans: beam search against exhaustive search, and what is judged of them on the grid."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from cvq import inference, losses, planning, runs
from cvq.api.results import Plan
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.errors import UserError
from cvq.evaluation import planning as evaluation
from cvq.models import prediction as pred

SPACE = FactorSpace((Factor('size', 3), Factor('angle', 4, 'cyclic')))
IMAGES = ArrayImages(SPACE, np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1))


@pytest.fixture(scope='module')
def images(tiny_run):
  """[6, 64, 64, 1] uint8 of the dataset."""
  from cvq.data import datasets
  dataset = datasets.load_dataset(runs.read_run(str(tiny_run)).config.dataset)
  return dataset.images.read(np.arange(6) * 12345)


class _Grid:
  """A model whose states are indices of SPACE, and whose score is the distance left."""

  def plan(self, images, targets, *, max_steps, beam):
    """As `Model.plan`: the true shortest plans, or one wrong action for a beam of one."""
    plans = []
    for x, y in zip(images.reshape(-1), targets.reshape(-1)):
      options = (actions for n in range(max_steps + 1)
                 for actions in itertools.product(range(4), repeat=n)
                 if evaluation.follow(SPACE, [x], [actions])[0] == y)
      names = tuple(SPACE.action_names[a] for a in next(options))
      plans.append(Plan(names if beam > 1 else ('size+1',), 0., np.zeros((1, 1), np.int32)))
    return plans


def by_hand(trained, model, x, y, sequence):
  """Score of a sequence, one action after another."""
  v = trained.variables
  q = inference.from_codes(v, jnp.asarray(x)[None], model)
  target = inference.encode(v, jnp.asarray(y)[None], model=model)['codes']
  for action in sequence:
    p = inference.predict(v, q, jnp.full((1, 1), action), model)
    expected = pred.expected_vectors(p, q.codes, q.vectors, q.codebook)[:, 0]
    outputs = model.apply(v, expected, method=model.decode)[0]
    score = (pred.log_probability(p, q.codes, target[:, None]).sum()
             - y.size * losses.reconstruction(outputs, y, model.likelihood))
    codes = inference.encode(v, inference.to_images(v, expected, model), model=model)['codes']
    q = inference.from_codes(v, codes, model)
  return float(score), np.asarray(codes[0])


@pytest.mark.slow
def test_alternatives_are_candidates_by_their_probability(tiny_run, tiny_model, images):
  trained = runs.read_run(str(tiny_run))
  one = runs.build(trained.config, trained.description)
  two = one.clone(transition=one.transition.clone(alternatives=2))
  target = jnp.asarray(images[1:2] / np.float32(255))
  start = planning.start(
      jnp.asarray(tiny_model.encode(images[0]))[None], jnp.zeros((1, 0)), 4, 10)

  def widened(model, **own):
    layer = trained.variables['params']['transition'] | own
    variables = trained.variables | {
        'params': trained.variables['params'] | {'transition': layer}}
    codes = inference.encode(variables, target, model=model)['codes']
    x = inference.from_codes(variables, start.codes[:, 0], model)
    weights = model.apply(
        variables, x, model.every_action(1), train=False, method=model.predict).weights
    return *planning.widen(variables, start, codes, target, model=model), weights

  width = trained.config.model.transition.width
  weight = {'kernel': jnp.zeros((width, 1)), 'bias': jnp.zeros(1)}
  equal = {name: {'embedding': jnp.zeros((20, width))} for name in ('own_scale', 'own_shift')}
  beam, parent, action, _ = widened(one)
  expected = np.asarray(action)
  beam_of_two, parent_of_two, action, _ = widened(two, weight=weight, **equal)
  np.testing.assert_array_equal(action, expected)
  np.testing.assert_array_equal(parent_of_two, parent)
  np.testing.assert_array_equal(beam_of_two.counts, beam.counts)
  np.testing.assert_allclose(beam_of_two.score, beam.score + np.log(.5), rtol=1e-5)
  # A second alternative that is far off, if likelier beforehand: the first is taken.
  far = jnp.where(jnp.arange(20)[:, None] % 2 == 1, 50., 0.) * jnp.ones((20, width))
  odd, _, action, weights = widened(
      two, weight=weight | {'kernel': jnp.full((width, 1), 4 / 50 / width)},
      own_scale=equal['own_scale'], own_shift={'embedding': far})
  np.testing.assert_array_equal(action, expected)
  assert (weights[..., 0] < np.log(.4)).all()
  np.testing.assert_allclose(odd.score[0], beam.score[0] + weights[0, expected[0], 0], rtol=1e-5)


def test_steps_left_to_go_are_those_of_a_loop():
  rng = np.random.default_rng(0)
  gap = rng.integers(-3, 4, (2, 3)).astype(np.float32)
  gap[0, 1] = np.nan                                     # a variable that cannot tell
  counts = rng.integers(0, 3, (2, 4, 5, 6))
  left = np.asarray(planning._left(jnp.asarray(gap), jnp.asarray(counts)))
  for b, w, n in np.ndindex(left.shape):
    c = counts[b, w, n]
    assert left[b, w, n] == sum(abs(gap[b, g] - (c[g] - c[g + 3])) for g in range(3)
                                if not np.isnan(gap[b, g]))
  np.testing.assert_array_equal(planning._left(jnp.zeros((2, 0)), jnp.asarray(counts)), 0)


@pytest.fixture(scope='module')
def sure(tiny_run):
  """A run whose global level is sure of where two of five variables are: model, variables."""
  trained = runs.read_run(str(tiny_run))
  params = trained.variables['params']
  level = params['global_level'] | {'spacing': jnp.array([.5, 1., .5, 2., .5])}
  return runs.build(trained.config, trained.description), trained.variables | {
      'params': params | {'global_level': level}}


def test_the_gap_is_that_of_the_codes_where_steps_are_seen(sure, images):
  model, variables = sure
  x, y = (jnp.asarray(part / np.float32(255)) for part in (images[:2], images[2:4]))
  ends = inference.compare(variables, x, y, model=model)
  for part, end in (x, 'codes'), (y, 'targets'):
    np.testing.assert_array_equal(
        ends[end], inference.encode(variables, part, model=model)['codes'])
  gap = np.asarray(ends['gap'])
  codes = lambda part: np.asarray(
      inference.global_level(variables, part, model=model)['codes'])
  np.testing.assert_array_equal(np.isnan(gap), [[True, False, True, False, True]] * 2)
  np.testing.assert_array_equal(gap[:, [1, 3]], (codes(y) - codes(x))[:, [1, 3]])
  without = inference.compare(variables, x, y, model=model.clone(global_level=None))
  assert without['gap'].shape == (2, 0)


def test_a_plan_goes_where_the_global_level_says(sure, images):
  model, variables = sure
  codes, target = (inference.encode(variables, jnp.asarray(part / np.float32(255)),
                                    model=model)['codes'] for part in (images[:1], images[1:2]))
  widen = lambda beam: planning.widen(
      variables, beam, target, jnp.asarray(images[1:2] / np.float32(255)), model=model)
  gap = np.array([[np.nan, 1., np.nan, -1., np.nan]], np.float32)
  first, _, action = widen(planning.start(codes, gap, 2, 10))
  assert set(np.asarray(action)[0]) == {1, 8}            # scale+1, posX-1
  second, _, _ = widen(first)
  np.testing.assert_array_equal(second.counts[0, 0], np.eye(10, dtype=int)[[1, 8]].sum(0))

  def scores(gap):
    beam, _, action = widen(planning.start(codes, gap, 10, 10))
    return np.asarray(beam.score)[0][np.argsort(np.asarray(action)[0])]

  left = np.array([2, 1, 2, 3, 2, 2, 3, 2, 1, 2])
  np.testing.assert_allclose(
      scores(gap), scores(np.zeros((1, 0))) - planning.COST * left, rtol=1e-5)


@pytest.mark.slow
def test_a_wide_beam_finds_what_exhaustive_search_finds(tiny_run, tiny_model, images):
  trained = runs.read_run(str(tiny_run))
  model = runs.build(trained.config, trained.description)
  y = images[1] / np.float32(255)
  start = tiny_model.encode(images[0])
  alone = {(a,): by_hand(trained, model, start, y, (a,))[0] for a in range(10)}
  found = tiny_model.plan(images[0], images[1], max_steps=1)
  best = max(alone, key=alone.get)
  assert found.actions == (tiny_model.action_names[best[0]],)
  assert found.score == pytest.approx(alone[best], rel=1e-4)
  # Two steps: never worse than the best of one, and the score is that of its own actions.
  longer = tiny_model.plan(images[0], images[1], max_steps=2, beam=16)
  assert longer.score >= found.score - 1e-3
  sequence = [tiny_model.action_names.index(name) for name in longer.actions]
  score, codes = by_hand(trained, model, start, y, sequence)
  assert longer.score == pytest.approx(score, rel=1e-4)
  np.testing.assert_array_equal(longer.codes[-1], codes)
  np.testing.assert_array_equal(longer.codes[0], start)


@pytest.mark.slow
def test_plans_are_bounded_and_empty_where_nothing_is_to_be_done(tiny_model, images):
  plans = tiny_model.plan(images[:3], images[[0, 4, 5]], max_steps=3, beam=4)
  assert plans[0].actions == () and plans[0].score == 0 and len(plans[0].codes) == 1
  for plan in plans[1:]:
    assert 1 <= len(plan.actions) <= 3 and plan.score < 0
    assert plan.codes.shape == (len(plan.actions) + 1, tiny_model.facts.variables)
    counts = [plan.actions.count(name) for name in tiny_model.action_names]
    assert not any(a and b for a, b in zip(counts[:5], counts[5:])), 'an action and its opposite'
  # Each pair's plan is its own, whatever stands beside it.
  alone = tiny_model.plan(images[1], images[4], max_steps=3, beam=4)
  assert alone.actions == plans[1].actions
  assert alone.score == pytest.approx(plans[1].score, rel=1e-5)
  assert tiny_model.plan([], []) == []


def test_bad_arguments_of_plans(tiny_model, images):
  with pytest.raises(UserError, match='max_steps is 0'):
    tiny_model.plan(images[0], images[1], max_steps=0)
  with pytest.raises(UserError, match='beam is 1.5'):
    tiny_model.plan(images[0], images[1], beam=1.5)
  with pytest.raises(UserError, match='2 images for 3 targets'):
    tiny_model.plan(images[:2], images[:3])


def test_of_candidates_with_the_same_actions_the_best_stays():
  counts = jnp.asarray([[[1, 1], [1, 1], [2, 0], [1, 1]]])
  kept = planning.distinct(jnp.asarray([[-3., -1., -5., -1.]]), counts)
  np.testing.assert_array_equal(kept, [[-np.inf, -1., -5., -np.inf]])


def test_pairs_are_distinct_ends_of_walks_within_the_split():
  inside = lambda index: index % 2 == 0
  start, target = evaluation.draw_pairs(
      SPACE, inside, steps=2, pairs=200, rng=np.random.default_rng(0))
  assert len(start) == len(target) == 200
  assert inside(start).all() and inside(target).all() and (start != target).all()
  gap = evaluation.distance(SPACE, start, target)
  assert gap.min() >= 1 and gap.max() == 2
  # One step never leads from an even index to an even one by 'angle' alone.
  with pytest.raises(UserError, match='Only 0 pairs'):
    evaluation.draw_pairs(SPACE, lambda index: index == 3, steps=2, pairs=1,
                          rng=np.random.default_rng(0))


def test_distance_goes_around_a_cycle():
  index = SPACE.to_index(np.array([[0, 0], [2, 0]]))
  target = SPACE.to_index(np.array([[0, 3], [0, 2]]))
  np.testing.assert_array_equal(evaluation.distance(SPACE, index, target), [1, 4])


def test_actions_that_leave_the_grid_do_nothing():
  start = SPACE.to_index(np.array([[2, 3], [0, 0]]))
  end = evaluation.follow(SPACE, start, [[0, 1], [2, 0, 0]])
  np.testing.assert_array_equal(SPACE.to_factors(end), [[2, 0], [2, 0]])


def test_true_plans_are_right_and_baselines_are_not():
  everywhere = lambda index: np.ones(np.shape(index), bool)
  result = {n: evaluation.figures(IMAGES, evaluation.propose(
      _Grid(), IMAGES, everywhere, steps=n, pairs=64)) for n in (1, 3)}
  for n, row in result.items():
    assert row['beam']['exact'] == row['beam']['factors'] == row['beam']['identical'] == 1
    assert row['beam']['length'] == row['distance'] <= n
    assert row['none']['exact'] == row['none']['length'] == 0
    assert row['greedy']['exact'] < .5 and row['random']['exact'] < .6
    assert row['random']['length'] == n and row['pairs'] == 64
  assert result[1]['none']['factors'] == .5
  alone = evaluation.propose(None, IMAGES, everywhere, steps=3, pairs=64)
  assert alone.found == []
  assert evaluation.figures(IMAGES, alone) == {
      name: result[3][name] for name in ('pairs', 'distance', 'random', 'none')}
