"""Tests of cvq.pictures: what is drawn where, at any size, without global state."""

import pathlib
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import chex
import numpy as np
from PIL import Image

from cvq import pictures

FACTORS = ('shape', 'scale', 'orientation', 'posX', 'posY')
ACTIONS = tuple(name + sign for sign in ('+1', '-1') for name in FACTORS)


def _images(*shape, seed=0, channels=1):
  return np.random.default_rng(seed).random(shape + (64, 64, channels)).astype(np.float32)


def _is_picture(picture):
  chex.assert_rank(picture, 3)
  chex.assert_type(picture, np.uint8)
  assert picture.shape[-1] == 3
  corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
  np.testing.assert_array_equal(corners, 255)                  # a light ground, nothing cut off


def _has(picture, image):
  """Whether an image is shown in a picture at twice its size, to the grey level."""
  pattern = np.round(np.broadcast_to(image, (64, 64, 3)) * 255).astype(int)
  inner = pattern[2:-2, 2:-2]                                   # hairline frame left out
  h, w = inner.shape[:2]
  rows, columns = picture.shape[0] - 2 * h, picture.shape[1] - 2 * w
  found = np.ones((rows, columns), bool)
  for r, c in [(0, 0), (5, 7), (20, 31), (59, 2), (33, 59)]:   # probes, before the full look
    view = picture[2 * r:2 * r + rows, 2 * c:2 * c + columns].astype(int)
    found &= (abs(view - inner[r, c]) <= 1).all(-1)
  return any(
      (abs(picture[r:r + 2 * h:2, c:c + 2 * w:2].astype(int) - inner) <= 1).all()
      for r, c in np.argwhere(found))


class PicturesTest(parameterized.TestCase):

  @parameterized.parameters((1, 1), (3, 8), (1, 13))
  def test_reconstructions_show_every_image(self, channels, n):
    x = _images(n, channels=channels)
    reconstruction = _images(n, seed=1, channels=channels)
    picture = pictures.reconstructions(x, reconstruction)
    _is_picture(picture)
    for i in (0, n - 1):
      self.assertTrue(_has(picture, x[i]))
      self.assertTrue(_has(picture, reconstruction[i]))
      error = abs(x[i] - reconstruction[i]).mean(-1, keepdims=True)
      self.assertTrue(_has(picture, 1 - error))
    self.assertFalse(_has(picture, _images(seed=2, channels=channels)))

  @parameterized.parameters(1, 3)
  def test_interventions_show_every_image(self, channels):
    x, predictions = _images(2, channels=channels), _images(2, 10, seed=1, channels=channels)
    truth = [list(row) for row in _images(2, 10, seed=2, channels=channels)]
    hidden, truth[1][3] = truth[1][3], None
    picture = pictures.interventions(x, predictions, truth, ACTIONS)
    _is_picture(picture)
    for image in (x[0], x[1], predictions[0, 0], predictions[1, 3], predictions[1, 9],
                  truth[0][3], truth[1][9]):
      self.assertTrue(_has(picture, image))
    self.assertFalse(_has(picture, hidden))

  def test_changed_patches_are_outlined_and_nothing_else_is(self):
    x, predictions = np.zeros((1, 64, 64, 1)), np.zeros((1, 10, 64, 64, 1))
    changed = np.zeros((1, 10, 8, 8), bool)
    draw = lambda: pictures.interventions(x, predictions, predictions, ACTIONS, changed=changed)
    orange = lambda picture: (
        (picture[..., 0] > 200) & (picture[..., 1] > 80) & (picture[..., 2] < 60)).sum()
    legend = orange(draw())
    changed[0, 2, 3, 4] = True
    one = orange(draw()) - legend
    changed[0, 2, 3, 5] = True
    two = orange(draw()) - legend
    self.assertGreater(one, 4 * 16)                             # four edges of 16 pixels
    self.assertAlmostEqual(two / one, 6 / 4, delta=.15)         # the shared edge is not drawn
    self.assertEqual(
        orange(pictures.interventions(x, predictions, predictions, ACTIONS)), 0)

  def test_uint8_equals_float(self):
    x = (_images(3) * 255).astype(np.uint8)
    chex.assert_trees_all_equal(
        pictures.reconstructions(x, x), pictures.reconstructions(x / 255., x / 255.))

  def test_values_outside_the_range_are_clipped(self):
    x = 4 * _images(2) - 1.5
    chex.assert_trees_all_equal(
        pictures.reconstructions(x, x), pictures.reconstructions(x.clip(0, 1), x.clip(0, 1)))

  def test_refuses_other_channels(self):
    with self.assertRaisesRegex(ValueError, '1 or 3 channels'):
      pictures.reconstructions(_images(1, channels=4), _images(1, channels=4))

  @parameterized.parameters(
      (ACTIONS, 2, (8, 8)), (ACTIONS[:4], 1, (2, 3)), (ACTIONS, 8, (1, 1)),
      (ACTIONS[:2], 3, (1, 1)))
  def test_masks(self, names, codebooks, grid):
    mask = np.random.default_rng(0).random((len(names), codebooks * grid[0] * grid[1]))
    picture = pictures.masks(mask, names, codebooks, grid)
    _is_picture(picture)
    self.assertFalse(np.array_equal(
        picture, pictures.masks(mask[:, ::-1], names, codebooks, grid)))

  @parameterized.parameters((1, 10), (10, 64), (12, 8), (3, 4))
  def test_adjacency(self, mechanisms, nodes):
    graph = np.random.default_rng(0).random((mechanisms, nodes, nodes))
    names = (ACTIONS + ACTIONS)[:mechanisms]
    node_names = [f'v{i}' for i in range(nodes)]
    _is_picture(pictures.adjacency(graph, names, node_names=node_names))

  def test_adjacency_rows_run_down_and_columns_across(self):
    graph = np.zeros((1, 4, 4))
    graph[0, 3, 0] = 1                                          # child 3, parent 0: bottom left
    dark = lambda picture: picture[..., 0].astype(int) + 60 < picture[..., 2]
    here = dark(pictures.adjacency(graph, ['all']))
    mirrored = dark(pictures.adjacency(graph.swapaxes(1, 2), ['all']))
    down, across = (np.argwhere(here & ~mirrored).mean(0) -
                    np.argwhere(mirrored & ~here).mean(0))
    self.assertGreater(down, 100)
    self.assertLess(across, -100)

  def test_a_graph_without_edges(self):
    _is_picture(pictures.adjacency(np.zeros((1, 4, 4)), ['all actions']))

  def test_save(self):
    picture = pictures.masks(np.eye(4), ACTIONS[:4], 4, (1, 1))
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'masks.png'
      pictures.save(path, picture)
      with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), picture)

  def test_leaves_pyplot_alone(self):
    code = 'import sys, cvq.pictures; assert "matplotlib.pyplot" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True)


if __name__ == '__main__':
  absltest.main()
