"""The global level: what actions shift, codes from coordinates, factors from its losses."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cvq import losses
from cvq.models import global_level
from cvq.models.global_level import GlobalLevel

GRID, NODES, N = (4, 4), 8, 64
SIZES = (3, 6)                       # of the factors of the toy world below


def make(axes=2, codes=N):
  module = GlobalLevel(axes=axes, codes=codes, width=32, inner=8, grid=GRID)
  nodes = jax.random.normal(jax.random.key(0), (5, GRID[0] * GRID[1], NODES))
  return module, module.init(jax.random.key(1), nodes)['params'], nodes


class GlobalLevelTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_action_f_and_its_opposite_shift_variable_f_alone(self):
    actions = jnp.arange(6).reshape(2, 3)
    shifts = self.variant(global_level.shifts, static_argnums=1)(actions, 3)
    expected = np.stack([np.eye(3), -np.eye(3)])
    np.testing.assert_array_equal(shifts, expected)

  @chex.variants(with_jit=True, without_jit=True)
  def test_codes_are_the_nearest_of_an_even_grid(self):
    rng = np.random.default_rng(0)
    values = rng.uniform(-3, 3, (50, 2)).astype(np.float32)
    offset, spacing = np.float32([.3, -1.2]), np.float32([.8, 1.1])
    codes = self.variant(global_level.to_codes, static_argnums=3)(values, offset, spacing, 16)
    grid = offset + (np.arange(16)[:, None] - 8) * spacing                   # [N, G]
    nearest = np.abs(values[:, None] - grid).argmin(1)
    np.testing.assert_array_equal(codes, nearest)
    far = np.float32([[-1e3, 1e3]])
    np.testing.assert_array_equal(
        global_level.to_codes(far, offset, spacing, 16), [[0, 15]])

  def test_spacing_of_steps_that_were_never_seen_stays_away_from_zero(self):
    z = jnp.ones((1, 1))
    for spacing in (0., -1., global_level.LEAST_SPACING):
      in_steps = global_level.in_steps(z, jnp.zeros(1), jnp.full(1, spacing))
      self.assertEqual(float(in_steps[0, 0]), 1 / global_level.LEAST_SPACING)

  @chex.variants(with_jit=True, without_jit=True)
  def test_lattice_is_found_in_noisy_coordinates(self):
    rng = np.random.default_rng(0)
    offset, spacing = np.float32([.3, -.2]), np.float32([.93, 1.04])
    x = rng.integers([0, 0], [32, 6], (1000, 2))
    shifts = np.asarray(global_level.shifts(rng.integers(0, 4, (1000, 3)), 2))
    place = lambda code: np.float32(
        offset + spacing * code + rng.normal(scale=.15, size=code.shape))
    y = place(x[:, None] + shifts)
    got = self.variant(global_level.fit_lattice)(place(x), y, shifts)
    np.testing.assert_allclose(got[1], spacing, rtol=8e-3)
    np.testing.assert_allclose(got[0], offset, atol=.06)
    # By SGD's own measure no other lattice nearby is better.
    loss = lambda offset: float(losses.global_offset(y.reshape(-1, 2), offset, got[1]))
    for other in ([.1, 0], [-.1, 0], [0, .1], [0, -.1]):
      self.assertLess(loss(got[0]), loss(got[0] + jnp.float32(other)))

  def test_lattice_of_a_variable_that_never_moves_keeps_away_from_zero(self):
    x = jnp.zeros((4, 1))
    offset, spacing = global_level.fit_lattice(x, jnp.zeros((4, 2, 1)), jnp.zeros((4, 2, 1)))
    chex.assert_tree_all_finite((offset, spacing))
    self.assertEqual(float(spacing[0]), global_level.LEAST_SPACING)

  @chex.variants(with_jit=True, without_jit=True)
  def test_shapes_and_a_finite_gradient(self):
    module, params, nodes = make()
    out = self.variant(lambda p, x: module.apply({'params': p}, x))(params, nodes)
    chex.assert_shape([out.codes, out.values], (5, 2))
    chex.assert_type(out.codes, jnp.int32)
    chex.assert_shape([out.offset, out.spacing], (2,))
    gradient = jax.grad(lambda p: module.apply({'params': p}, nodes).values.sum())(params)
    chex.assert_tree_all_finite(gradient)

  def test_it_finds_the_factors_of_a_world_that_it_sees_in_disguise(self):
    """Two factors, mixed by a random map; trained on (x, y, a) alone, codes are the factors."""
    module, _, _ = make()
    rng = np.random.default_rng(0)
    inputs = np.concatenate([np.eye(size)[values] for size, values in zip(
        SIZES, np.indices(SIZES).reshape(2, -1))], axis=-1)                  # [18, 9]
    mixed = np.tanh(inputs @ rng.normal(size=(9, 16 * NODES))).astype(np.float32)
    world = jnp.asarray(mixed.reshape(*SIZES, 16, NODES))
    steps = [((i, j), (i + di, j + dj), a)
             for i, j in np.ndindex(SIZES) for a, (di, dj) in enumerate(
                 [(1, 0), (0, 1), (-1, 0), (0, -1)])
             if 0 <= i + di < SIZES[0] and 0 <= j + dj < SIZES[1]]
    x, y, action = (np.array(part) for part in zip(*steps))
    shifts = global_level.shifts(action[:, None], 2)
    params = module.init(jax.random.key(0), world.reshape(-1, 16, NODES))['params']
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(params, state):
      def loss(params):
        out = module.apply({'params': params}, world.reshape(-1, 16, NODES))
        values = out.values.reshape(*SIZES, 2)
        from_x, from_y = values[tuple(x.T)], values[tuple(y.T)][:, None]
        own, others = losses.global_steps(from_x, from_y, shifts)
        return (own + others + losses.global_spacing(from_x, from_y, shifts, out.spacing)
                + losses.global_offset(out.values, out.offset, out.spacing))
      updates, state = optimizer.update(jax.grad(loss)(params), state)
      return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(300):
      params, state = step(params, state)
    codes = np.asarray(module.apply({'params': params}, world.reshape(-1, 16, NODES)).codes)
    factors = np.indices(SIZES).reshape(2, -1).T
    np.testing.assert_array_equal(codes - codes[0], factors)
