"""Tests of cvq.data.pipeline."""

import json

import chex
import numpy as np
import pytest

from cvq.data import pipeline, splits
from cvq.errors import UserError

ARGS = {'batch_size': 12, 'targets': 2, 'seed': 5}


def take(iterator, count):
  return [next(iterator) for _ in range(count)]


def test_training_batch_holds_images_and_actions_only(dataset, dataset_config):
  batch = next(pipeline.train_iterator(dataset, dataset_config, **ARGS))
  assert set(batch) == {'x', 'y', 'action'}            # the model never sees factors
  chex.assert_shape(batch['x'], (12, 4, 4, 1))
  chex.assert_shape(batch['y'], (12, 2, 4, 4, 1))
  chex.assert_shape(batch['action'], (12, 2))
  assert (batch['x'].dtype, batch['y'].dtype, batch['action'].dtype) == (
      np.uint8, np.uint8, np.int32)


@pytest.mark.parametrize('split', splits.SPLITS)
def test_action_is_what_happened_between_the_images(dataset, dataset_config, split):
  space = dataset.space
  for batch in take(pipeline.train_iterator(dataset, dataset_config, split=split, **ARGS), 5):
    x = space.to_index(batch['x'][:, 0, :3, 0])
    y = space.to_index(batch['y'][:, :, 0, :3, 0])
    target, valid = space.step(x[:, None], batch['action'])
    assert valid.all()
    chex.assert_trees_all_equal(y, target)
    for index in (x, y):
      member = splits.split_of(index, seed=0, fractions=dataset_config.fractions)
      assert (member == splits.SPLITS.index(split)).all()


def test_a_batch_is_a_function_of_seed_and_step(dataset, dataset_config):
  make = lambda **kw: pipeline.train_iterator(dataset, dataset_config, **(ARGS | kw))
  batches = take(make(), 6)
  chex.assert_trees_all_equal(batches, take(make(threads=1, prefetch=1), 6))
  chex.assert_trees_all_equal(batches[4:], take(make(start_step=4), 2))
  assert (batches[0]['x'] != next(make(seed=6))['x']).any()
  assert (batches[0]['x'] != batches[1]['x']).any()


@pytest.mark.parametrize('processes', [2, 4])
def test_global_batch_does_not_depend_on_the_number_of_processes(
    dataset, dataset_config, processes):
  whole = take(pipeline.train_iterator(dataset, dataset_config, **ARGS), 3)
  parts = [take(pipeline.train_iterator(
      dataset, dataset_config, process_index=i, process_count=processes, **ARGS), 3)
           for i in range(processes)]
  for step, batch in enumerate(whole):
    joined = {name: np.concatenate([part[step][name] for part in parts]) for name in batch}
    chex.assert_trees_all_equal(batch, joined)


def test_position_survives_json_and_resumes_exactly(dataset, dataset_config):
  make = lambda: pipeline.train_iterator(dataset, dataset_config, **ARGS)
  iterator = make()
  take(iterator, 7)
  state = json.loads(json.dumps(iterator.get_state()))
  expected = take(iterator, 3)
  fresh = make()
  fresh.set_state(state)
  chex.assert_trees_all_equal(expected, take(fresh, 3))
  iterator.set_state(state)                            # and back, on an iterator in use
  chex.assert_trees_all_equal(expected, take(iterator, 3))


@pytest.mark.parametrize('kwargs, message', [
    ({'batch_size': 0}, 'batch of 0'),
    ({'batch_size': 12, 'process_count': 5}, 'batch of 12 .* 5 process'),
    ({'split': 'dev'}, "'dev'"),
])
def test_bad_arguments_fail_before_the_first_batch(dataset, dataset_config, kwargs, message):
  with pytest.raises(UserError, match=message):
    pipeline.train_iterator(dataset, dataset_config, **(ARGS | kwargs))


def test_a_split_without_transitions_fails_before_the_first_batch(dataset, dataset_config):
  dataset_config.fractions = (.0, .5, .5)
  with pytest.raises(UserError, match='inside the train split'):
    pipeline.train_iterator(dataset, dataset_config, **ARGS)


def evaluate(dataset, config, **kwargs):
  arguments = {'split': 'train', 'examples': 50, 'batch_size': 16, 'seed': 0} | kwargs
  return list(pipeline.evaluation_batches(dataset, config, **arguments))


def test_evaluation_pads_and_masks_so_that_none_is_lost(dataset, dataset_config):
  batches = evaluate(dataset, dataset_config)
  assert [int(batch['mask'].sum()) for batch in batches] == [16, 16, 16, 2]
  for batch in batches:
    chex.assert_shape(batch['x'], (16, 4, 4, 1))
    chex.assert_shape(batch['y'], (16, 1, 4, 4, 1))
    chex.assert_shape(batch['action'], (16, 1))
    chex.assert_shape((batch['x_factors'], batch['y_factors']), (16, 3))
    chex.assert_trees_all_equal(batch['x'][:, 0, :3, 0], batch['x_factors'].astype(np.uint8))
    chex.assert_trees_all_equal(batch['y'][:, 0, 0, :3, 0], batch['y_factors'].astype(np.uint8))
  chex.assert_trees_all_equal(batches[-1]['x'][2:], np.stack([batches[0]['x'][0]] * 14))


@pytest.mark.parametrize('batch_size', [1, 7, 50, 400])
def test_batch_size_does_not_change_the_examples(dataset, dataset_config, batch_size):
  def flat(size):
    batches = evaluate(dataset, dataset_config, batch_size=size)
    mask = np.concatenate([batch.pop('mask') for batch in batches])
    return {name: np.concatenate([b[name] for b in batches])[mask] for name in batches[0]}
  chex.assert_trees_all_equal(flat(16), flat(batch_size))


def test_whole_split_is_evaluated_once(dataset, dataset_config):
  batches = evaluate(dataset, dataset_config, split='test', examples=0)
  count = pipeline.open_transitions(dataset.images, dataset_config, 'test').counts.sum()
  rows = {(*map(int, x), int(a)) for batch in batches for x, a, m in zip(
      batch['x_factors'], batch['action'][:, 0], batch['mask']) if m}
  assert len(rows) == sum(int(batch['mask'].sum()) for batch in batches) == count


@pytest.mark.parametrize('kwargs, message', [
    ({'batch_size': 0}, 'evaluation.batch_size is 0'), ({'examples': -1}, 'examples is -1')])
def test_bad_evaluation_arguments_fail_at_the_call(dataset, dataset_config, kwargs, message):
  arguments = {'split': 'test', 'examples': 5, 'batch_size': 4, 'seed': 0} | kwargs
  with pytest.raises(UserError, match=message):
    pipeline.evaluation_batches(dataset, dataset_config, **arguments)
