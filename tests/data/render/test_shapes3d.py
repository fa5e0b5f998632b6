"""Tests of cvq.data.render.shapes3d, against a scalar ray-marcher through distance fields."""

import colorsys
import math

import chex
import numpy as np
import pytest

from cvq.data.builders.shapes3d import Shapes3dRendered
from cvq.data.render import shapes3d

CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
FLOOR, WALL, OBJECT = range(3)


@pytest.fixture(name='geometries', scope='module')
def fixture_geometries():
  return shapes3d.render_geometries()


@pytest.fixture(name='shares')
def fixture_shares(geometries):
  return geometries[0]


def object_field(shape, scale, p):
  """Signed distance to the object: exact for every shape."""
  x, y, z = (value / scale for value in p)
  if shape == CUBE:
    half = .85
    q = [abs(x) - half, abs(y) - half, abs(z - half) - half]
    field = math.hypot(*(max(value, 0) for value in q)) + min(max(q), 0)
  elif shape == CYLINDER:
    q = [math.hypot(x, y) - .9, abs(z - .85) - .85]
    field = math.hypot(*(max(value, 0) for value in q)) + min(max(q), 0)
  elif shape == SPHERE:
    field = math.hypot(x, y, z - 1) - 1
  else:
    field = math.hypot(x, y, z - min(max(z, .75), 1.55)) - .75
  return field * scale


def room_fields(p):
  """Distances to the floor and to the nearest wall."""
  across = max(abs(p[0] + p[1]), abs(p[0] - p[1])) / math.sqrt(2)
  return p[2], shapes3d.WALL_DISTANCE - across


def unit(vector):
  return np.asarray(vector) / np.linalg.norm(vector)


def march(shape, scale, angle, across, down):
  """Light of one ray: [floor, wall, object, red, green, blue]. across, down: -1 .. 1."""
  turn = math.radians(angle)
  eye = np.asarray([math.sin(turn), -math.cos(turn), 0]) * shapes3d.CAMERA_DISTANCE
  eye[2] = shapes3d.CAMERA_HEIGHT
  pitch = math.atan2(eye[2] - shapes3d.TARGET_HEIGHT, shapes3d.CAMERA_DISTANCE)
  # In the camera's frame (right, up, forward), then pitched down, then turned around z.
  right, up, forward = across * shapes3d.HALF_WIDTH, -down * shapes3d.HALF_WIDTH, 1.
  level = forward * math.cos(pitch) + up * math.sin(pitch)
  rise = up * math.cos(pitch) - forward * math.sin(pitch)
  ray = unit([right * math.cos(turn) - level * math.sin(turn),
              right * math.sin(turn) + level * math.cos(turn), rise])
  p = eye
  for _ in range(2000):
    fields = [*room_fields(p), object_field(shape, scale, p)]
    if min(fields) < 1e-7:
      break
    p = p + ray * min(fields)
  layer = int(np.argmin(fields))
  light = np.zeros(6)
  if layer == WALL and p[2] > shapes3d.WALL_HEIGHT:
    light[3:] = shapes3d.SKY
    return light

  def field(q):
    return object_field(shape, scale, q) if layer == OBJECT else room_fields(q)[layer]
  normal = unit([field(p + step) - field(p - step) for step in np.eye(3) * 1e-5])
  lamp, view = unit(shapes3d.LAMP - p), unit(eye - p)
  light[layer] = shapes3d.AMBIENT + shapes3d.DIFFUSE * max(lamp @ normal, 0)
  if layer == FLOOR:
    x, y = p[:2] / scale
    gap = {CUBE: math.hypot(max(abs(x) - .85, 0), max(abs(y) - .85, 0)),
           CYLINDER: max(math.hypot(x, y) - .9, 0), SPHERE: max(math.hypot(x, y) - .6, 0),
           CAPSULE: max(math.hypot(x, y) - .45, 0)}[shape]
    light[FLOOR] *= 1 - shapes3d.SHADOW * math.exp(-(gap / shapes3d.SHADOW_WIDTH)**2)
  if layer == OBJECT:
    white = shapes3d.HIGHLIGHT * max(unit(lamp + view) @ normal, 0)**shapes3d.SHARPNESS
    light[3:], light[OBJECT] = white, light[OBJECT] * (1 - white)
  return light


def pixel(shape, scale, angle, row, column):
  """Mean of the rays of a pixel, 0 to 255."""
  n = shapes3d.SAMPLES
  centres = [(number + .5) / n for number in range(n)]
  rays = [march(shape, scale, angle, (column + right) / 32 - 1, (row + low) / 32 - 1)
          for right in centres for low in centres]
  return 255 * np.mean(rays, axis=0)


@pytest.mark.parametrize('shape, size, turn', [
    (CUBE, 7, 0), (CUBE, 2, 8), (CYLINDER, 5, 12), (CYLINDER, 0, 3), (SPHERE, 6, 14),
    (SPHERE, 1, 7), (CAPSULE, 7, 5), (CAPSULE, 3, 10)])
def test_pixels_are_those_of_a_ray_marcher(geometries, shape, size, turn):
  scale, angle = .75 + size * .5 / 7, -30 + turn * 60 / 14
  rng = np.random.default_rng([shape, size, turn])
  places = [*rng.integers(0, 64, (12, 2)), *rng.integers(20, 46, (12, 2))]
  for row, column in places:
    found = np.concatenate([part[size, shape, turn, row, column] for part in geometries])
    np.testing.assert_allclose(found, pixel(shape, scale, angle, row, column), atol=.6,
                               err_msg=f'row {row}, column {column}')


def test_sizes_and_values(geometries):
  for part in geometries:
    chex.assert_shape(part, (8, 4, 15, 64, 64, 3))
    assert part.dtype == np.uint8
  assert tuple(shapes3d.SHAPES) == ('cube', 'cylinder', 'sphere', 'capsule')
  np.testing.assert_allclose(shapes3d.SCALES[[0, 7]], [.75, 1.25])
  np.testing.assert_allclose(shapes3d.ORIENTATIONS[[0, 7, 14]], [-30, 0, 30])


def test_light_never_overflows(geometries):
  shares, constant = geometries
  assert (shares.sum(-1, dtype=int)[..., None] + constant).max() <= 255


def test_hues_are_ten_distinct_ones_of_the_circle():
  colours = shapes3d.palette()
  assert colours.dtype == np.uint8 and len({*map(tuple, colours)}) == 10
  chex.assert_trees_all_equal(colours[0], np.asarray([255, 0, 0], np.uint8))
  hues = [colorsys.rgb_to_hsv(*colour / 255)[0] for colour in colours]
  np.testing.assert_allclose(hues, np.arange(10) / 10, atol=2e-3)
  distance = abs(colours[:, None].astype(int) - colours).sum(-1) + 999 * np.eye(10, dtype=int)
  assert distance.min() > 100


def test_objects_stand_free_in_the_frame(shares):
  visible = shares[..., OBJECT] > 0
  assert not visible[..., [0, 1, -2, -1], :].any() and not visible[..., [0, 1, -2, -1]].any()
  widths = visible[:, :, 7].any(-2).sum(-1)            # at orientation 0: [scale, shape]
  assert widths.min() >= 15 and widths.max() <= 48
  for image in visible.reshape(-1, 64, 64)[::7]:       # whole: every row is one run
    edges = np.diff(np.pad(image, ((0, 0), (1, 1))).astype(int), axis=1)
    assert ((edges == 1).sum(1) <= 1).all()


def test_objects_grow_with_scale(shares):
  area = (shares[..., OBJECT] > 0).sum((-1, -2))
  assert (np.diff(area, axis=0) > 0).all()


def test_opposite_orientations_are_mirror_images(shares):
  """Of the room and of every object; the lamp stands on the left, so light is not mirrored."""
  present = shares > 0
  chex.assert_trees_all_equal(present, present[:, :, ::-1, :, ::-1])
  assert (shares != shares[:, :, ::-1, :, ::-1]).any()


def test_camera_turns_around_the_object(shares):
  """The sphere stays, the corner of the room behind it moves from one side to the other."""
  masks = shares[4, SPHERE, :, ..., OBJECT] > 0
  assert (masks != masks[7]).sum((-1, -2)).max() <= 4
  floor_from = (shares[0, SPHERE, ..., FLOOR] > 0).argmax(1)           # [15, 64] first floor row
  corners = [np.flatnonzero(rows == rows.min()).mean() for rows in floor_from]
  assert (np.diff(corners) > 0).all() or (np.diff(corners) < 0).all()
  assert abs(corners[0] - corners[-1]) > 40


def test_layers_from_top_to_bottom(geometries):
  """The sky is a constant; below it wall, then floor, each lit and without the others."""
  shares, constant = geometries
  assert not shares[..., 0, :, :].any()
  sky = constant[..., 0, :, :]
  np.testing.assert_allclose(sky, np.broadcast_to(255 * shapes3d.SKY, sky.shape), atol=1)
  wall, floor = shares[..., 15, 0, :], shares[..., 60, 32, :]
  assert wall[..., WALL].min() > 80 and not wall[..., [FLOOR, OBJECT]].any()
  assert floor[..., FLOOR].min() > 80 and not floor[..., [WALL, OBJECT]].any()


def test_the_floor_is_darker_below_the_object(shares):
  for shape in range(4):
    image = shares[4, shape, 7]
    row = np.flatnonzero((image[..., OBJECT] > 0).any(1))[-1] + 1
    assert image[row, 32, FLOOR] < .8 * image[62, 32, FLOOR]


def test_every_step_of_a_geometry_factor_is_visible(shares):
  for axis in range(3):
    changed = (abs(np.diff(shares.astype(int), axis=axis)) > 8).any(-1).sum((-1, -2))
    assert changed.min() >= 20


def test_prepared_data_of_this_version_hold_these_pictures(geometries):
  """Another picture needs another VERSION of the builder, or old caches go on being used."""
  means = np.concatenate([part.mean((0, 1, 2, 3, 4)) for part in geometries])
  assert str(Shapes3dRendered.VERSION) == '1.0.0'
  np.testing.assert_allclose(means, [97.266, 55.575, 29.999, 21.508, 24.114, 26.299], atol=.01)
