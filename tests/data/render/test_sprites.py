"""Tests of cvq.data.render.sprites, with random layers."""

from concurrent import futures

import chex
import numpy as np
import pytest

from cvq.data.render import sprites

ORDER = ('body', 'shoes', 'bottomwear', 'topwear', 'eyes', 'hair')     # from the bottom up
VALUES = (3, 2, 4, 2, 1, 5)                            # of each of ORDER, here


def random_cells(box=(slice(None), slice(None))) -> dict:
  """Layers with alphas around the threshold inside a box, and nothing outside of it."""
  rng = np.random.default_rng(0)
  cells = {}
  for layer, size in zip(ORDER, VALUES):
    rgba = np.zeros((size, sprites.POSES, 64, 64, 4), np.uint8)
    inside = rgba[:, :, *box]
    inside[..., :3] = rng.integers(0, 256, inside[..., :3].shape, np.uint8)
    inside[..., 3] = rng.choice(np.asarray([0, 1, 127, 128, 129, 255], np.uint8),
                                inside.shape[:-1])
    cells[layer] = rgba
  return cells


def random_images(count: int) -> tuple[np.ndarray, np.ndarray]:
  """(values [6, n], pose [n]) for Composer.compose."""
  rng = np.random.default_rng(1)
  return (np.stack([rng.integers(0, size, count) for size in VALUES]),
          rng.integers(0, sprites.POSES, count))


def slow_image(cells, values, pose) -> np.ndarray:
  """One image, pixel by pixel."""
  image = np.zeros((64, 64, 3), np.uint8)
  chosen = [cells[layer][value, pose].tolist() for layer, value in zip(ORDER, values)]
  for row in range(64):
    for column in range(64):
      for layer in chosen:
        *colour, alpha = layer[row][column]
        if alpha > 128:
          image[row, column] = colour
  return image


@pytest.fixture(name='cells', scope='module')
def fixture_cells():
  return random_cells()


def test_cut_leaves_out_the_back_the_later_frames_and_the_last_row():
  row, column = np.meshgrid(np.arange(1344), np.arange(832), indexing='ij')
  cells = sprites.cut(np.stack([row // 64, column // 64, row % 64, column % 64], -1).astype('u1'))
  chex.assert_shape(cells, (90, 64, 64, 4))
  pose = 0
  for action in range(5):
    for rotation in range(3):
      for frame in range(6):
        assert (cells[pose, ..., :2] == (4 * action + 1 + rotation, frame)).all()
        pose += 1
  chex.assert_trees_all_equal(cells[:, 5, 9, 2:], np.tile(np.uint8([5, 9]), (90, 1)))
  assert sprites.ACTIONS == ('spellcast', 'thrust', 'walk', 'slash', 'shoot')
  assert sprites.ROTATIONS == ('left', 'front', 'right')


def test_images_are_those_of_the_slow_composition(cells):
  values, pose = random_images(12)
  images = sprites.Composer(cells).compose(values, pose)
  assert images.dtype == np.uint8
  for number, image in enumerate(images):
    chex.assert_trees_all_equal(image, slow_image(cells, values[:, number], pose[number]))


@pytest.mark.parametrize('box', [
    (slice(0, 1), slice(63, 64)), (slice(63, 64), slice(0, 1)), (slice(20, 33), slice(7, 50)),
    (slice(0, 0), slice(0, 0))], ids=['top right', 'bottom left', 'middle', 'nothing'])
def test_layers_that_fill_a_part_of_the_cell(box):
  cells = random_cells(box)
  values, pose = random_images(3)
  for number, image in enumerate(sprites.Composer(cells).compose(values, pose)):
    chex.assert_trees_all_equal(image, slow_image(cells, values[:, number], pose[number]))


@pytest.mark.parametrize('top', range(6))
def test_order_of_layers(top):
  """Each of the layers covers all before it."""
  cells = {layer: np.full((1, sprites.POSES, 64, 64, 4), 50 + number, np.uint8)
           for number, layer in enumerate(ORDER)}
  for number, layer in enumerate(ORDER):
    cells[layer][..., 3] = 129 if number <= top else 128
  images = sprites.Composer(cells).compose(np.zeros((6, 1), int), np.asarray([7]))
  assert (images == 50 + top).all()


@pytest.mark.parametrize('count', [0, 1, 63, 64, 65, 200])
def test_any_number_of_images(cells, count):
  composer = sprites.Composer(cells)
  values, pose = random_images(200)
  images = composer.compose(values[:, :count], pose[:count])
  chex.assert_shape(images, (count, 64, 64, 3))
  for number in range(count)[-2:]:
    alone = composer.compose(values[:, number:number + 1], pose[number:number + 1])
    chex.assert_trees_all_equal(alone[0], images[number])


def test_threads_do_not_disturb_each_other(cells):
  composer = sprites.Composer(cells)
  values, pose = random_images(500)
  expected = composer.compose(values, pose)
  with futures.ThreadPoolExecutor(4) as pool:
    for images in pool.map(lambda _: composer.compose(values, pose), range(16)):
      chex.assert_trees_all_equal(images, expected)
