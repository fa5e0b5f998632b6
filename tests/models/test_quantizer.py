"""Quantizer: disjoint codebooks, nearest codes, straight-through gradient."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from cvq.models import quantizer as vq

B, H, W, K, N, DIM = 2, 3, 4, 2, 7, 5
V = K * H * W


def make(unit=False, update='gradient', gradient='straight_through'):
  module = vq.Quantizer(
      codebooks=K, codes=N, dim=DIM, unit=unit, learning=update, gradient=gradient)
  latents = jax.random.normal(jax.random.key(0), (B, H, W, K * DIM))
  return module, module.init(jax.random.key(1), latents), latents


def brute_force(latents, codebook):
  """Loop over every variable, its codebook's own channels, and every code."""
  latents, codebook = np.asarray(latents), np.asarray(codebook)
  codes = np.zeros((B, K, H, W), np.int32)
  for b in range(B):
    for k in range(K):
      for row in range(H):
        for col in range(W):
          z = latents[b, row, col, k * DIM:(k + 1) * DIM]
          codes[b, k, row, col] = np.argmin(((codebook[k] - z) ** 2).sum(-1))
  return codes.reshape(B, V)


class QuantizerTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_codes_equal_brute_force(self):
    module, variables, latents = make()
    out = self.variant(lambda z: module.apply(variables, z))(latents)
    chex.assert_shape(out.codes, (B, V))
    chex.assert_shape([out.vectors, out.latents], (B, V, DIM))
    codebook = variables['params']['codebook']
    np.testing.assert_array_equal(out.codes, brute_force(latents, codebook))
    chex.assert_trees_all_close(out.vectors, vq.look_up(out.codes, codebook), atol=1e-6)

  @parameterized.parameters('gradient', 'ema')
  def test_unit_codes_and_latents_have_length_one(self, update):
    module, variables, latents = make(unit=True, update=update)
    out = module.apply(variables, latents)
    for x in (out.latents, out.codebook, out.vectors):
      chex.assert_trees_all_close(jnp.linalg.norm(x, axis=-1), jnp.ones(x.shape[:-1]), rtol=1e-4)

  def test_every_codebook_reads_its_own_block_of_channels(self):
    """DESIGN section 5, mistake 1: the published code read channels k .. k + D/K."""
    module, variables, latents = make()
    before = module.apply(variables, latents).codes.reshape(B, K, -1)
    for k in range(K):
      for channel in range(K * DIM):
        moved = module.apply(variables, latents.at[..., channel].add(100.)).codes
        changed = (moved.reshape(B, K, -1)[:, k] != before[:, k]).any()
        self.assertEqual(bool(changed), channel // DIM == k, f'{k=} {channel=}')

  def test_permuting_codebooks_permutes_the_result(self):
    module, variables, latents = make()
    swapped = {'params': {'codebook': variables['params']['codebook'][::-1]},
               'codebook': variables['codebook']}
    blocks = jnp.concatenate([latents[..., DIM:], latents[..., :DIM]], -1)
    codes = module.apply(variables, latents).codes.reshape(B, K, -1)
    permuted = module.apply(swapped, blocks).codes.reshape(B, K, -1)
    chex.assert_trees_all_equal(permuted, codes[:, ::-1])

  def test_gradient_goes_straight_through_to_latents_and_not_to_codes(self):
    module, variables, latents = make()
    weight = jax.random.normal(jax.random.key(2), (B, V, DIM))
    def loss(params, z):
      out = module.apply({**variables, 'params': params}, z)
      return jnp.sum(out.vectors * weight)
    to_params, to_latents = jax.grad(loss, (0, 1))(variables['params'], latents)
    chex.assert_trees_all_equal(to_params['codebook'], jnp.zeros((K, N, DIM)))
    chex.assert_trees_all_close(vq.to_variables(to_latents, K), weight)

  @chex.variants(with_jit=True, without_jit=True)
  def test_rotation_is_the_code_and_turns_its_gradient_with_it(self):
    """Against the matrix that turns z' to e' in their plane and leaves all else, in NumPy."""
    z, e, weight = (jax.random.normal(jax.random.key(seed), (B, V, DIM)) for seed in range(3))
    out, pull = jax.vjp(self.variant(vq.rotation), z, e)
    chex.assert_trees_all_close(out, e, rtol=1e-6)
    of_latents, of_codes = pull(weight)
    np.testing.assert_array_equal(of_codes, 0)
    for b in range(B):
      for v in range(V):
        x, y = np.float64(z[b, v]), np.float64(e[b, v])
        first = x / np.linalg.norm(x)
        second = y - (y @ first) * first
        second /= np.linalg.norm(second)
        cosine = y @ first / np.linalg.norm(y)
        sine = y @ second / np.linalg.norm(y)
        plane = np.stack([first, second])
        turn = np.eye(DIM) + plane.T @ (np.array([[cosine, -sine], [sine, cosine]]) - np.eye(2)
                                        ) @ plane
        scale = np.linalg.norm(y) / np.linalg.norm(x)
        np.testing.assert_allclose(scale * turn @ x, y, rtol=1e-9)
        np.testing.assert_allclose(of_latents[b, v], scale * turn.T @ weight[b, v],
                                   rtol=1e-3, atol=1e-4)

  def test_rotation_of_a_latent_that_is_its_code_or_its_opposite(self):
    """Where both agree the gradient is straight; where no plane is defined it stays finite."""
    z = vq.normalise(jax.random.normal(jax.random.key(0), (B, V, DIM)))
    same = jax.grad(lambda x: vq.rotation(x, z).sum())(z)
    np.testing.assert_allclose(same, 1, rtol=1e-3)
    out, pull = jax.vjp(lambda x: vq.rotation(x, -z), z)
    np.testing.assert_allclose(out, -z, rtol=1e-6)
    chex.assert_tree_all_finite(pull(jnp.ones_like(z)))

  def test_the_module_passes_gradients_as_it_is_told(self):
    latents_of = {}
    for gradient in vq.GRADIENTS:
      module, variables, latents = make(unit=True, gradient=gradient)
      loss = lambda z: jnp.sum(module.apply(variables, z).vectors * jnp.arange(DIM))
      latents_of[gradient] = loss(latents), jax.grad(loss)(latents)
    (value, straight), (turned_value, turned) = latents_of.values()
    np.testing.assert_allclose(value, turned_value, rtol=1e-5)
    self.assertGreater(float(jnp.abs(straight - turned).max()), .1)

  def test_grid_and_variables_are_inverse(self):
    latents = jax.random.normal(jax.random.key(0), (B, H, W, K * DIM))
    chex.assert_trees_all_equal(vq.to_grid(vq.to_variables(latents, K), K, (H, W)), latents)

  def test_assignments_equal_a_loop_and_add_up(self):
    module, variables, latents = make()
    out = module.apply(variables, latents)
    counts, sums = vq.assignments(out.codes, out.latents, out.codebook)
    expected_counts, expected_sums = np.zeros((K, N)), np.zeros((K, N, DIM))
    for b in range(B):
      for v in range(V):
        k, n = v // (H * W), int(out.codes[b, v])
        expected_counts[k, n] += 1
        expected_sums[k, n] += np.asarray(out.latents[b, v])
    np.testing.assert_array_equal(counts, expected_counts)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-5, atol=1e-6)
    first = vq.assignments(out.codes[:1], out.latents[:1], out.codebook)
    second = vq.assignments(out.codes[1:], out.latents[1:], out.codebook)
    chex.assert_trees_all_close((first[0] + second[0], first[1] + second[1]), (counts, sums),
                                rtol=1e-5, atol=1e-6)
