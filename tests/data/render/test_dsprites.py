"""Tests of cvq.data.render.dsprites."""

import hashlib

import chex
import numpy as np
import pytest
from scipy import ndimage

from cvq.data.builders.dsprites import DspritesRendered
from cvq.data.render import dsprites

SQUARE, ELLIPSE, HEART = range(3)


@pytest.fixture(name='sprites', scope='module')
def fixture_sprites():
  return dsprites.render_sprites()


def test_sizes_and_values(sprites):
  chex.assert_shape(sprites, (3, 6, 40, 33, 33))
  assert sprites.dtype == bool
  np.testing.assert_allclose(dsprites.SCALES, [.5, .6, .7, .8, .9, 1.])
  assert dsprites.ORIENTATIONS[0] == 0 and dsprites.ORIENTATIONS[-1] == 2 * np.pi
  assert dsprites.WINDOW + dsprites.POSITIONS - 1 == dsprites.FRAME == 64


def test_nothing_is_cut_off(sprites, monkeypatch):
  """A larger window shows the same sprite with an empty margin."""
  monkeypatch.setattr(dsprites, 'WINDOW', 41)
  larger = dsprites.render_sprites()
  chex.assert_trees_all_equal(larger[..., 4:-4, 4:-4], sprites)
  assert larger.sum() == sprites.sum()


def test_square_at_rest(sprites):
  expected = np.zeros((33, 33), bool)
  expected[5:28, 5:28] = True
  chex.assert_trees_all_equal(sprites[SQUARE, 5, 0], expected)


def test_ellipse_at_rest_is_level_and_mirrored(sprites):
  ellipse = sprites[ELLIPSE, 5, 0]
  assert ellipse.any(0).sum() == 33 and ellipse.any(1).sum() == 21
  chex.assert_trees_all_equal(ellipse, ellipse[::-1])
  chex.assert_trees_all_equal(ellipse, ellipse[:, ::-1])


@pytest.mark.parametrize('scale', range(6))
def test_heart_at_rest_stands_on_its_tip(sprites, scale):
  heart = sprites[HEART, scale, 0]
  chex.assert_trees_all_equal(heart, heart[:, ::-1])
  widths = heart.sum(1)
  rows = np.flatnonzero(widths)
  assert widths[rows[-1]] in (1, 3)                    # the tip
  assert widths.argmax() < rows.mean()                 # the lobes are above
  assert not heart[rows[0], 16] and heart[rows[0], :16].any()     # the notch between them
  below = widths[widths.argmax():rows[-1] + 1]
  assert (np.diff(below) <= 0).all()


def test_shapes_are_whole_filled_and_of_equal_areas(sprites):
  for sprite in sprites.reshape(-1, 33, 33):
    assert ndimage.label(sprite)[1] == 1
    chex.assert_trees_all_equal(ndimage.binary_fill_holes(sprite), sprite)
  areas = sprites.sum((-1, -2)).mean(-1)
  np.testing.assert_allclose(areas, np.tile(529 * dsprites.SCALES**2, (3, 1)), rtol=.02)


def test_orientation_turns_clockwise(sprites):
  """A quarter turn lies between two indices; the heart's centre of mass moves from top to right."""
  for index, angle in ((0, 0.), (10, 10 * 2 * np.pi / 39)):
    row, column = ndimage.center_of_mass(sprites[HEART, 5, index])
    np.testing.assert_allclose(np.arctan2(column - 16, 16 - row), angle, atol=.1)


def test_symmetries(sprites):
  """Both ends of the orientations are one angle; opposite angles are mirror images."""
  chex.assert_trees_all_equal(sprites[:, :, 0], sprites[:, :, 39])
  chex.assert_trees_all_equal(sprites[:, :, 1:], sprites[:, :, 38::-1, :, ::-1])


def test_every_step_of_a_factor_is_visible(sprites):
  for axis in range(3):
    changed = (np.diff(sprites.astype(int), axis=axis) != 0).sum((-1, -2))
    assert changed.min() >= 4


def test_prepared_data_of_this_version_hold_these_sprites(sprites):
  """Another picture needs another VERSION of the builder, or old caches go on being used."""
  digest = hashlib.sha256(np.packbits(sprites).tobytes()).hexdigest()[:16]
  assert (str(DspritesRendered.VERSION), digest) == ('1.0.0', '109f4d2339b5ddd5')
