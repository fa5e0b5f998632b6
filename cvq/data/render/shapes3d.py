"""A room with an object, ray-cast here: floor, two visible walls, sky, and one of four solids.

Factors and their values as in the published set (Burgess & Kim 2018): scale linspace(.75, 1.25, 8),
orientation linspace(-30, 30, 15) degrees. Hues are 0, .1 ... .9, as stored in the published file,
although its README says linspace(0, 1, 10): hue is a circle, 0 and 1 are the same red, and then the
first and the last image of every hue would be identical.

The camera turns around the object, which stands in the middle of a square room; at orientation 0 it
looks into a corner and at a face of the cube. Lengths are in units of the room; z points up, and
the camera looks along +y. Light from a lamp (Lambert) makes a pixel linear in the three colours:

  image = floor_share * floor_rgb + wall_share * wall_rgb + object_share * object_rgb + constant

where the constant holds the sky and the highlight. That holds after antialiasing too, so that 480
geometries, coloured as they are read, make all 480,000 images.
"""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np

FRAME = 64
SCALES = np.linspace(.75, 1.25, 8)
ORIENTATIONS = np.linspace(-30, 30, 15)                # degrees
HUES = np.linspace(0, .9, 10)
LAYERS = ('floor', 'wall', 'object')                   # coloured by a hue each

SAMPLES = 3                                            # rays of a pixel, a side
CAMERA_DISTANCE, CAMERA_HEIGHT = 5.6, 2.8
TARGET_HEIGHT = 1.05                                   # of the point in the middle of the frame
HALF_WIDTH = np.tan(np.radians(21.))                   # of the frame, at distance 1
WALL_DISTANCE, WALL_HEIGHT = 6., 2.7
LAMP = np.asarray([-2.4, -3.8, 7.5])
AMBIENT, DIFFUSE = .42, .56
HIGHLIGHT, SHARPNESS = .25, 24
SHADOW, SHADOW_WIDTH = .6, .3                          # darkness, and how far it reaches
SKY = np.asarray([.80, .90, .98])


@dataclasses.dataclass(frozen=True)
class Box:
  """Upright on the floor, its faces along the axes."""
  half: float
  height: float

  def distance(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """How far rays go until they enter. origin: [3]. rays: [3, n]. Returns [n], inf: they miss."""
    low = np.asarray([-self.half, -self.half, 0], np.float32)
    high = np.asarray([self.half, self.half, self.height], np.float32)
    one, other = ((side - origin)[:, None] / rays for side in (low, high))
    enter, leave = np.minimum(one, other).max(0), np.maximum(one, other).min(0)
    return np.where(enter < leave, enter, np.inf)

  def normal(self, points: np.ndarray) -> np.ndarray:
    """Outward unit normal at points of the surface. points, result: [3, n]."""
    middle = np.asarray([[0], [0], [self.height / 2]], np.float32)
    from_middle = (points - middle) / np.asarray([[self.half], [self.half], [self.height / 2]])
    outermost = abs(from_middle).argmax(0) == np.arange(3)[:, None]
    return np.where(outermost, np.sign(from_middle), 0)

  def gap(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of points of the floor from where it stands."""
    return np.hypot(np.maximum(abs(x) - self.half, 0), np.maximum(abs(y) - self.half, 0))


@dataclasses.dataclass(frozen=True)
class Cylinder:
  """Upright on the floor, around the z axis."""
  radius: float
  height: float

  def distance(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    top = (self.height - origin[2]) / rays[2]
    top_hit = np.hypot(*(origin[:2, None] + top * rays[:2])) < self.radius
    side = _first_root(origin[:2], rays[:2], self.radius)
    z = origin[2] + side * rays[2]
    side_hit = (z > 0) & (z < self.height)
    return np.where(top_hit & (top > 0), top, np.where(side_hit, side, np.inf))

  def normal(self, points: np.ndarray) -> np.ndarray:
    top = points[2] > self.height * (1 - 1e-5)
    return np.where(top, [[0], [0], [1]], points * [[1], [1], [0]] / self.radius)

  def gap(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y) - self.radius, 0)


@dataclasses.dataclass(frozen=True)
class Capsule:
  """Upright on the floor, a cylinder between half spheres; height 2 radius: a sphere."""
  radius: float
  height: float

  def distance(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    low, high = self.radius, self.height - self.radius
    side = _first_root(origin[:2], rays[:2], self.radius)
    z = origin[2] + side * rays[2]
    nearest = np.where((z > low) & (z < high), side, np.inf)
    for centre in {low, high}:                         # a ray meets the inner halves later
      from_centre = origin - np.asarray([0, 0, centre], np.float32)
      nearest = np.minimum(nearest, _first_root(from_centre, rays, self.radius))
    return nearest

  def normal(self, points: np.ndarray) -> np.ndarray:
    axis = np.clip(points[2], self.radius, self.height - self.radius)
    return np.stack([points[0], points[1], points[2] - axis]) / self.radius

  def gap(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # It touches the floor in a point; a shadow that starts there would be hidden below it.
    return np.maximum(np.hypot(x, y) - self.radius * .6, 0)


SHAPES = {                                             # at scale 1, in the published order
    'cube': Box(.85, 1.7), 'cylinder': Cylinder(.9, 1.7), 'sphere': Capsule(1., 2.),
    'capsule': Capsule(.75, 2.3)}


def palette() -> np.ndarray:
  """Colours of the hues, fully saturated: uint8 [10, 3]."""
  return np.rint([np.multiply(colorsys.hsv_to_rgb(hue, 1, 1), 255) for hue in HUES]).astype(
      np.uint8)


def render_geometries() -> tuple[np.ndarray, np.ndarray]:
  """Every scale, shape and orientation, without colours.

  Returns:
    (shares uint8 [8, 4, 15, FRAME, FRAME, 3] of the layers' colours, 255 for all of it;
    constant uint8 [8, 4, 15, FRAME, FRAME, 3], RGB). They add to at most 255 in every pixel.
  """
  shape = (len(SCALES), len(SHAPES), len(ORIENTATIONS), FRAME, FRAME, 3)
  shares, constant = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
  for turn, angle in enumerate(ORIENTATIONS):
    room = Room(angle)
    for kind, solid in enumerate(SHAPES.values()):
      for size, scale in enumerate(SCALES):
        place = size, kind, turn
        shares[place], constant[place] = room.render(solid, float(scale))
  return shares, constant


class Room:
  """The empty room, seen at an orientation (degrees): what every ray meets, and how it is lit."""

  def __init__(self, angle: float):
    self._camera, self._rays = camera(angle)
    camera_, rays = self._camera, self._rays
    down = rays[2] < 0
    floor = np.where(down, -camera_[2] / np.where(down, rays[2], 1), np.inf)
    # The walls are level lines of the coordinates along (1, 1) and (-1, 1).
    across = np.asarray([[1, 1], [-1, 1]], np.float32) / np.float32(np.sqrt(2))
    start, slope = across @ camera_[:2], across @ rays[:2]
    walls = (np.sign(slope) * WALL_DISTANCE - start[:, None]) / slope
    wall = walls.min(0)
    on_floor = floor < wall
    on_wall = ~on_floor & (camera_[2] + wall * rays[2] < WALL_HEIGHT)
    self._distance = np.where(on_floor, floor, np.where(on_wall, wall, np.inf))
    self._floor, = np.nonzero(on_floor)
    self._floor_points = self._points(self._floor, floor)
    inward = -(across.T @ np.where(walls.argmin(0) == [[0], [1]], np.sign(slope), 0))
    inward = np.concatenate([inward, np.zeros_like(inward[:1])])
    wall_points = self._points(on_wall, wall)
    # Rows: the three layers, then red, green and blue of the constant.
    self._light = np.zeros((6, rays.shape[1]), np.float32)
    self._light[0, on_floor] = lit(self._floor_points, np.asarray([[0], [0], [1]]))
    self._light[1, on_wall] = lit(wall_points, inward[:, on_wall])
    self._light[3:, ~on_floor & ~on_wall] = SKY[:, None]

  def render(self, solid: Box | Cylinder | Capsule, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares [FRAME, FRAME, 3] and constant [FRAME, FRAME, 3] with an object, uint8."""
    light = self._light.copy()
    x, y = self._floor_points[:2] / np.float32(scale)
    gap = solid.gap(x, y) / np.float32(SHADOW_WIDTH)
    light[0, self._floor] *= 1 - np.float32(SHADOW) * np.exp(-gap**2)
    # In units of the object's size, from a camera that is nearer or farther by as much.
    distance = solid.distance(self._camera / np.float32(scale), self._rays) * np.float32(scale)
    hit, = np.nonzero(distance < self._distance)
    points = self._points(hit, distance)
    normal = solid.normal(points / np.float32(scale))
    light[:3, hit] = 0
    light[2, hit] = lit(points, normal)
    light[3:, hit] = glossy(points, normal, self._camera)
    light[2, hit] *= 1 - light[3, hit]                 # what is reflected as white
    pixels = light.reshape(6, FRAME, SAMPLES, FRAME, SAMPLES).mean((2, 4))
    pixels = np.rint(pixels * 255).astype(np.uint8).transpose(1, 2, 0)
    return pixels[..., :3], pixels[..., 3:]

  def _points(self, which: np.ndarray, distance: np.ndarray) -> np.ndarray:
    return self._camera[:, None] + distance[which] * self._rays[:, which]


def camera(angle: float) -> tuple[np.ndarray, np.ndarray]:
  """Position [3] and rays [3, n] (not of unit length), n = (FRAME SAMPLES)^2, row by row."""
  angle = np.radians(angle)
  position = np.asarray([CAMERA_DISTANCE * np.sin(angle), -CAMERA_DISTANCE * np.cos(angle),
                         CAMERA_HEIGHT])
  forward = np.asarray([0, 0, TARGET_HEIGHT]) - position
  forward /= np.linalg.norm(forward)
  right = np.asarray([np.cos(angle), np.sin(angle), 0])
  up = np.cross(right, forward)
  side = FRAME * SAMPLES
  offset = ((np.arange(side) + .5) / side * 2 - 1) * HALF_WIDTH
  rays = (forward[:, None, None] + right[:, None, None] * offset
          - up[:, None, None] * offset[:, None])
  return position.astype(np.float32), rays.reshape(3, -1).astype(np.float32)


def lit(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
  """Brightness of matt surfaces. points, normal: [3, n]. Returns [n]."""
  return AMBIENT + DIFFUSE * np.maximum((_towards(points, LAMP) * normal).sum(0), 0)


def glossy(points: np.ndarray, normal: np.ndarray, eye: np.ndarray) -> np.ndarray:
  """White highlight (Blinn). points, normal: [3, n]. eye: [3]. Returns [n]."""
  half = _towards(points, LAMP) + _towards(points, eye)
  cosine = (half * normal).sum(0) / np.linalg.norm(half, axis=0)
  return HIGHLIGHT * np.maximum(cosine, 0)**SHARPNESS


def _towards(points: np.ndarray, goal: np.ndarray) -> np.ndarray:
  direction = goal.astype(np.float32)[:, None] - points
  return direction / np.linalg.norm(direction, axis=0)


def _first_root(origin: np.ndarray, rays: np.ndarray, radius: float) -> np.ndarray:
  """Where rays enter a circle or sphere around 0. origin: [d]. rays: [d, n]. inf: they miss."""
  a, b = (rays * rays).sum(0), origin @ rays
  root = b * b - a * np.float32(origin @ origin - radius**2)
  return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
