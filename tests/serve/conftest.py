"""A model that is arithmetic, and its page: every answer can be foretold, nothing compiles."""

import numpy as np
import pytest

from cvq.api.interface import Facts, Interface
from cvq.api.results import Plan
from cvq.serve import app as application

SIDE, GRID, BOOKS = 16, 4, 2


class Shifter(Interface):
  """Images of 16 x 16 that actions move by one position of the grid (4 pixels), around the edge.

  The code of a position is 0 or 1 by its brightness, in both codebooks.
  """

  def __init__(self, channels: int = 1):
    facts = Facts('toy (made up)', (SIDE, SIDE, channels), ('right+1', 'down+1', 'right-1',
                                                            'down-1'),
                  (GRID, GRID), BOOKS, 2, step=7, seed=3, version='0', largest_batch=4)
    super().__init__(facts, {'encode': self._encode, 'decode': self._decode,
                             'intervene': self._intervene, 'retrieve': self._retrieve})

  def _encode(self, images):
    cells = images.reshape(-1, GRID, SIDE // GRID, GRID, SIDE // GRID, images.shape[-1])
    codes = (cells.mean((2, 4, 5)) > .5).astype(np.int32)
    return {'codes': np.concatenate([codes.reshape(len(images), -1)] * BOOKS, axis=1)}

  def _decode(self, codes):
    cells = codes[:, :GRID * GRID].reshape(-1, GRID, GRID, 1).astype(np.float32)
    scale = SIDE // GRID
    return {'images': np.repeat(cells.repeat(scale, 1).repeat(scale, 2),
                                self.facts.image_shape[-1], -1)}

  def _intervene(self, images, actions):
    moved = np.stack([self.shift(x, a) for x, a in zip(images, actions)])
    return {'images': moved, 'codes': self._encode(moved)['codes'],
            'mask': np.full((len(images), 2 * GRID * GRID), .25, np.float32),
            'graph': np.full((len(images), GRID * GRID, GRID * GRID), .5, np.float32)}

  def _retrieve(self, images, targets):
    right = np.stack([[(self.shift(x, a) == y).all() for a in range(4)]
                      for x, y in zip(images, targets)])
    likely = np.where(right, 10., 1.)
    return {'probabilities': (likely / likely.sum(-1, keepdims=True)).astype(np.float32)}

  def plan(self, image, target, *, max_steps, beam):
    """The one action that leads there, if one does; else nothing."""
    del max_steps, beam
    codes = [self.encode(image)]
    name, probability = self.retrieve(image, target).best()[0]
    if probability < .5:
      return Plan((), 0., np.stack(codes))
    return Plan((name,), 0., np.stack([*codes, self.encode(target)]))

  @staticmethod
  def shift(image, action):
    """[H, W, C] moved by action 0 to 3."""
    return np.roll(image, (1 if action < 2 else -1) * SIDE // GRID, axis=1 - action % 2)


class Examples:
  """A white block in the top left corner, and the same moved to the right."""
  has_pairs = True

  def image(self):
    block = np.zeros((SIDE, SIDE, 1), np.uint8)
    block[:4, :4] = 255
    return block

  def pair(self, steps):
    assert steps == 1
    return self.image(), Shifter.shift(self.image(), 0), ['right+1']


@pytest.fixture(name='shifter')
def fixture_shifter():
  return Shifter()


@pytest.fixture(name='toy_app')
def fixture_toy_app(shifter):
  """The page of a run called 'toy'."""
  return application.make_app(shifter, Examples(), name='toy')


@pytest.fixture(name='client')
def fixture_client(toy_app):
  """Speaks to it as a browser on this machine does."""
  client = toy_app.test_client()
  client.environ_base['HTTP_HOST'] = 'localhost:8000'
  return client
