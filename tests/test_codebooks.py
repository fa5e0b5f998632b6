"""Care of the codebooks: EMA, k-means, revival, also over several devices."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from cvq import codebooks, state as train_state
from cvq.models import quantizer as vq
from tests import small

K, N, DIM, S = 2, 6, 3, 4


def latents_of(seed, batch=8):
  return jax.random.normal(jax.random.key(seed), (batch, K * S, DIM))


class CodebooksTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_ema_equals_sum_over_count(self):
    """van den Oord et al. 2017, equations 6 to 8, kept as two running averages."""
    code = jax.random.normal(jax.random.key(0), (K, N, DIM))
    stats = {'code': code, 'count': jnp.ones((K, N))}
    total, count = np.array(code), np.ones((K, N))
    for seed in range(1, 5):
      z = latents_of(seed)
      counts, sums = vq.assignments(vq.nearest_codes(z, stats['code']), z, code)
      stats = self.variant(lambda s, c, t: codebooks.ema(s, c, t, .9))(stats, counts, sums)
      total = .9 * total + .1 * np.array(sums)
      count = .9 * count + .1 * np.array(counts)
      np.testing.assert_allclose(stats['code'], total / count[..., None], rtol=1e-4, atol=1e-5)

  def test_ema_leaves_an_unused_code_in_its_place_for_ever(self):
    code = jax.random.normal(jax.random.key(0), (K, N, DIM))
    stats = {'code': code, 'count': jnp.full((K, N), 1e-30)}
    for _ in range(3):
      stats = codebooks.ema(stats, jnp.zeros((K, N)), jnp.zeros((K, N, DIM)), .5)
    chex.assert_trees_all_equal(stats['code'], code)

  def test_k_means_finds_separate_clusters(self):
    centres = jnp.eye(N, 8) * 10
    labels = jax.random.randint(jax.random.key(0), (64, 2 * 16), 0, N)
    z = centres[labels] + .01 * jax.random.normal(jax.random.key(1), (64, 32, 8))
    found = codebooks.k_means(jax.random.key(2), z, (2, 4 * N, 8), unit=False)
    distance = jnp.linalg.norm(found[:, :, None] - centres, axis=-1)         # [2, 4N, N]
    self.assertLess(float(distance.min(1).max()), .5)   # every centre has a code
    self.assertLess(float(distance.min(2).max()), .5)   # every code is at a centre

  def test_only_unused_codes_are_revived_and_at_latents(self):
    z = latents_of(0)
    codebook = jax.random.normal(jax.random.key(1), (K, N, DIM))
    usage = jnp.array([[0, 1, 0, 2, 3, 1], [1, 1, 1, 1, 1, 0]])
    revived, dead = codebooks.revive(jax.random.key(2), z, codebook, usage)
    np.testing.assert_array_equal(dead, usage == 0)
    chex.assert_trees_all_equal(revived[usage > 0], codebook[usage > 0])
    groups = np.asarray(z).reshape(8, K, S, DIM)
    for k, n in np.argwhere(np.asarray(usage) == 0):
      nearest = np.abs(groups[:, k] - np.asarray(revived[k, n])).max(-1).min()
      self.assertEqual(nearest, 0.)

  def test_latents_that_have_a_code_already_are_not_drawn(self):
    """An empty background is served by one code: revival must not spend more on it."""
    blank = jnp.ones(DIM)
    z = latents_of(0, batch=40).at[:30].set(blank)
    codebook = jax.random.normal(jax.random.key(1), (K, N, DIM)).at[:, 0].set(blank)
    drawn = codebooks.sample_latents(jax.random.key(2), z, codebook)
    self.assertGreater(float(jnp.abs(drawn - blank).max(-1).min()), 1e-3)

  def test_fewer_latents_than_codes_are_repeated(self):
    z = latents_of(0, batch=1)
    drawn = codebooks.sample_latents(jax.random.key(0), z, jnp.zeros((K, 11, DIM)))
    chex.assert_shape(drawn, (K, 11, DIM))
    self.assertEqual(len(np.unique(np.asarray(drawn[0]), axis=0)), S)

  @parameterized.parameters('muon', 'adam')
  def test_moments_of_revived_codes_are_reset_and_no_others(self, optimizer):
    params = {'quantizer': {'codebook': jnp.ones((K, N, DIM))}, 'kernel': jnp.ones((K, N)),
              'other': jnp.ones((K, N, DIM))}
    optimizer = train_state.make_optimizer(small.config(train__optimizer=optimizer))
    _, before = optimizer.update(params, optimizer.init(params), params)
    rows = jnp.zeros((K, N), bool).at[0, 2].set(True)
    leaves = lambda state: dict(jax.tree_util.tree_leaves_with_path(state))
    after, moments = leaves(codebooks.reset_rows(before, rows)), 0
    for path, leaf in leaves(before).items():
      if 'codebook' in jax.tree_util.keystr(path):
        moments += 1
        self.assertGreater(float(jnp.abs(leaf).min()), 0)
        leaf = leaf.at[0, 2].set(0)
      chex.assert_trees_all_equal(after[path], leaf)
    self.assertEqual(moments, 2)

  def test_devices_agree_and_their_number_does_not_matter(self):
    z = latents_of(0)
    codebook = jax.random.normal(jax.random.key(1), (K, N, DIM))
    usage = jnp.zeros((K, N))
    key = jax.random.key(2)
    alone, _ = codebooks.revive(key, z, codebook, usage)
    def on_device(part):
      return codebooks.revive(key, codebooks.gather(part, 'd'), codebook, usage)[0]
    # out_axes=None makes vmap raise if the devices differ.
    together = jax.vmap(on_device, axis_name='d', out_axes=None)(z.reshape(4, 2, K * S, DIM))
    chex.assert_trees_all_close(together, alone)
