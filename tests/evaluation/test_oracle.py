"""The oracle: figures of readings by hand, look-alikes, and models whose precision is known."""

import types

import numpy as np
import pytest

from configs import common
from cvq.data import splits
from cvq.data.datasets import Dataset
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.errors import UserError
from cvq.evaluation import factor_reader, oracle

SPACE = FactorSpace((Factor('size', 3), Factor('angle', 4, 'cyclic')))


def _images(space, values):
  """Images of pixels [n, 1, m, 1]. values: [n, m]."""
  return ArrayImages(space, np.asarray(values, np.uint8)[:, None, :, None])


# Two pixels tell the factors: nothing looks alike.
PLAIN = _images(SPACE, 40 * SPACE.to_factors(np.arange(12)))


def test_figures_by_hand():
  right = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]], bool)
  action = np.array([0, 3, 0, 4])                      # factors 0, 0, 0 and 1 of three
  assert oracle.tally(right, action) == {'precision': .5, 'stability': .5, 'both': .25}
  table = oracle.by_action(right, action, ['a+1', 'b+1', 'c+1', 'a-1', 'b-1', 'c-1'])
  assert table['a+1'] == {'pairs': 2, 'precision': .5, 'stability': 1., 'both': .5}
  assert table['a-1'] == {'pairs': 1, 'precision': 1., 'stability': 0., 'both': 0.}
  assert table['b+1'] == {'pairs': 0, 'precision': None, 'stability': None, 'both': None}


def test_chains_count_as_long_as_there_is_a_true_image():
  right = np.array([[[1, 1], [1, 1], [0, 1]], [[0, 1], [1, 0], [1, 1]]], bool)
  valid = np.array([[1, 1, 0], [1, 0, 0]], bool)
  assert oracle.decay(right, np.array([0, 3]), valid) == {
      'precision': [1., 1., None], 'stability': [.5, 1., None], 'both': [.5, 1., None]}


def test_look_alikes_are_right_and_neighbours_are_not():
  # The angle of size 0 repeats after two steps, that of size 1 nearly, that of size 2 never.
  repeats = {0: (0, 100, 0, 100), 1: (0, 100, 49, 200), 2: (0, 100, 60, 200)}
  images = _images(SPACE, [(100 * size, value) for size, row in repeats.items() for value in row])
  for size, expected in ((0, [1, 0, 1, 0]), (1, [1, 0, 1, 0]), (2, [1, 0, 0, 0])):
    index = np.full(4, SPACE.to_index(np.array([size, 0])))
    readings = np.stack([np.full(4, size), np.arange(4)], axis=1)
    right = oracle.read_right(images, index, readings)
    assert right[:, 0].all()
    np.testing.assert_array_equal(right[:, 1], np.array(expected, bool), err_msg=f'size {size}')


def test_the_bound_is_half_of_the_smaller_step():
  # From 100 the steps are 100 and 60 wide: 30 counts, 31 does not.
  for last, expected in ((130, True), (131, False)):
    images = _images(FactorSpace((Factor('v', 4),)), [[0], [100], [160], [last]])
    assert oracle.read_right(images, np.array([1]), np.array([[3]])).item() is expected


def test_readings_of_any_shape():
  rng = np.random.default_rng(0)
  index, readings = rng.integers(12, size=(3, 5)), rng.integers(3, size=(3, 5, 2))
  right = oracle.read_right(PLAIN, index, readings)
  np.testing.assert_array_equal(right, SPACE.to_factors(index) == readings)


def test_foreseeable_by_hand():
  """An angle repeats after two steps on kind 0, after one on kind 1, and never on kind 2."""
  space = FactorSpace((Factor('kind', 3), Factor('angle', 4, 'cyclic')))
  images = _images(space, [(0, 9), (0, 99), (0, 9), (0, 99), *[(100, 50)] * 4,
                           (200, 0), (200, 60), (200, 120), (200, 180)])
  index = lambda *pairs: space.to_index(np.array(pairs))
  source = index((0, 1), (1, 2), (1, 2), (2, 3), (0, 0), (2, 1))
  action = np.array([0, 0, 2, 2, 1, 3])
  # Two angles, all of which look alike afterwards; four, of which none does; four, of which every
  # second does; one. Steps in angle leave nothing open: kinds differ.
  np.testing.assert_array_equal(
      oracle.foreseeable(images, source, action), [1, .25, .5, 1, 1, 1])


def test_values_are_folded_onto_the_lowest_that_looks_like_them():
  """Of kind 0 every second angle looks alike; of kind 1 the last like the one between, and that
  like the first; of kind 2 the last like both, and these not like each other."""
  space = FactorSpace((Factor('kind', 3), Factor('angle', 5)))
  angles = (0, 90, 0, 90, 0), (0, 200, 60, 255, 120), (0, 255, 110, 255, 55)
  images = _images(space, [(100 * kind, v) for kind, row in enumerate(angles) for v in row])
  index = np.arange(15)[::-1]
  got = oracle.folded(images, index)[::-1]
  np.testing.assert_array_equal(got[:, 0], np.repeat([0, 1, 2], 5))
  np.testing.assert_array_equal(
      got[:, 1].reshape(3, 5), [[0, 1, 0, 1, 0], [0, 1, 0, 1, 0], [0, 1, 2, 1, 0]])


class _Model:
  """A model that knows the grid; `move` says what it makes of (index, action)."""

  def __init__(self, move):
    self._move, self.config = move, common.base()
    self.config.dataset.fractions = (0., 0., 1.)
    self.config.evaluation.examples = 0

  def intervene(self, images, action):
    index = SPACE.to_index(images[:, 0, :, 0] // 40)
    return types.SimpleNamespace(images=PLAIN.read(self._move(index, action)) / np.float32(255))

  encode = decode = staticmethod(lambda images: images)


class _Eyes:
  """Reads the two pixels."""
  about, seconds = {'steps': 7}, 1.

  def read(self, images):
    scale = 1 if images.dtype == np.uint8 else 255
    return np.rint(images[:, 0, :, 0] * scale / 40).astype(int)


def _judge(move):
  return oracle.judge(_Model(move), Dataset('toy', SPACE, PLAIN), reader=_Eyes())


def test_a_true_model_is_precise_and_stable_around_the_cycle_too():
  found = _judge(lambda index, action: SPACE.step(index, action)[0])
  assert found['pairs'] == 2 * 2 * 4 + 2 * 3 * 4
  for of in ('model', 'truth', 'reconstruction'):
    assert found[of] == {'precision': 1, 'stability': 1, 'both': 1}
  assert found['copy'] == {'precision': 0, 'stability': 1, 'both': 0}
  assert found['foreseeable'] == {'precision': 1, 'stability': 1, 'both': 1}
  assert found['per_action']['angle-1'] == {'pairs': 12, 'precision': 1, 'stability': 1, 'both': 1}
  assert found['reader']['exact'] == found['reader']['right'] == {'size': 1, 'angle': 1}


def test_models_that_move_too_far_or_something_else_besides():
  step = lambda index, action: SPACE.step(index, action)[0]
  far = _judge(lambda index, action: step(step(index, action), np.where(action % 2, action, 1)))
  # Of `angle`, two steps instead of one; of `size`, the angle moves along.
  assert far['per_action']['angle+1'] | {'pairs': 0} == {
      'pairs': 0, 'precision': 0, 'stability': 1, 'both': 0}
  assert far['per_action']['size-1'] | {'pairs': 0} == {
      'pairs': 0, 'precision': 1, 'stability': 0, 'both': 0}
  assert far['model'] == {'precision': .4, 'stability': .6, 'both': 0}


def test_images_without_a_grid_are_left_out_with_a_line():
  images = _images(SPACE, SPACE.to_factors(np.arange(12)))
  images.combination = np.arange(12)
  lines = []
  assert oracle.judge(_Model(None), Dataset('faces', SPACE, images), tell=lines.append) is None
  assert len(lines) == 1 and 'faces' in lines[0]


# A bright square at one of 3 x 3 places in one of two shades.
PLACES = FactorSpace((Factor('shade', 2), Factor('column', 3), Factor('row', 3)))


def _places():
  pictures = np.zeros((18, 12, 12, 1), np.uint8)
  for picture, (shade, column, row) in zip(pictures, PLACES.to_factors(np.arange(18))):
    picture[4 * row:4 * row + 4, 4 * column:4 * column + 4] = 100 + 120 * shade
  return ArrayImages(PLACES, pictures)


class _Watched(ArrayImages):
  """Remembers which images were read."""

  def __init__(self, images):
    super().__init__(images.space, images.read(np.arange(images.num_images)))
    self.seen = set()

  def read(self, index):
    self.seen |= set(np.asarray(index).tolist())
    return super().read(index)


@pytest.mark.slow
def test_a_reader_learns_and_is_kept(tmp_path, monkeypatch):
  config = common.base().dataset
  config.update(name='toy', data_dir=str(tmp_path), fractions=(.7, 0., .3))
  images = _Watched(_places())
  dataset, lines = Dataset('toy', PLACES, images), []
  trained = splits.splitter(images, config)(np.arange(18)) == 0
  train = factor_reader.train

  def watched(*arguments, **options):
    images.seen.clear()
    params = train(*arguments, **options)
    assert images.seen == set(np.flatnonzero(trained).tolist()) and len(images.seen) < 18
    return params
  with monkeypatch.context() as patch:
    patch.setattr(factor_reader, 'train', watched)
    reader = factor_reader.open_reader(dataset, config, steps=40, tell=lines.append)
  assert any('step 20 of 40' in line and 's left' in line for line in lines)
  every, truth = images.read(np.arange(18)), images.factors(np.arange(18))
  readings = reader.read(every)
  assert (readings == truth)[trained].mean() > .9      # chance: .44
  np.testing.assert_array_equal(reader.read(every / np.float32(255)), readings)
  assert reader.read(every[:0]).shape == (0, 3)

  path, = (tmp_path / 'oracles').iterdir()
  with monkeypatch.context() as patch:
    patch.setattr(factor_reader, 'train', None)        # not again
    again = factor_reader.open_reader(dataset, config, steps=40)
    np.testing.assert_array_equal(again.read(every), readings)
    assert again.seconds == reader.seconds
  # Other splits, steps or pictures are another oracle; what changes no image is not.
  called = []
  monkeypatch.setattr(factor_reader, 'train',
                      lambda *_, **__: called.append(1) or reader.params)
  factor_reader.open_reader(dataset, config, steps=41)
  other = Dataset('toy', PLACES, ArrayImages(PLACES, 255 - every))
  factor_reader.open_reader(other, config, steps=40)
  config.split_seed = 1
  factor_reader.open_reader(dataset, config, steps=40)
  assert len(called) == 3 and len(list((tmp_path / 'oracles').iterdir())) == 4
  config.split_seed, config.imbalance = 0, 'shade=3'
  factor_reader.open_reader(dataset, config, steps=40)
  assert len(called) == 3
  # A changed bit of the file is noticed.
  content = bytearray(path.read_bytes())
  content[-5] ^= 1
  path.write_bytes(content)
  lines.clear()
  factor_reader.open_reader(dataset, config, steps=40, tell=lines.append)
  assert len(called) == 4 and 'damaged' in lines[0]
  path.write_bytes(b'no safetensors')
  factor_reader.open_reader(dataset, config, steps=40, tell=lines.append)
  assert len(called) == 5


def test_batches_hold_no_image_outside():
  images = _places()
  batches = factor_reader._batches(images, lambda index: index % 3 == 0, seed=0)
  for _ in range(3):
    index = next(batches)
    assert index.shape == (factor_reader.BATCH,) and (index % 3 == 0).all()
  with pytest.raises(UserError, match='no image'):
    next(factor_reader._batches(images, lambda index: index < 0, seed=0))
