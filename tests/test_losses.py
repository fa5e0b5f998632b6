"""Every loss term against a NumPy oracle or a known answer, with its gradient."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import entropy

from cvq import losses
from cvq.models import prediction as pred

B, T, M, V, N, S = 2, 3, 4, 5, 6, 5


def make_prediction(copies: bool, scale: float = 1.) -> pred.Prediction:
  keys = jax.random.split(jax.random.key(0), 3)
  return pred.Prediction(
      logits=scale * jax.random.normal(keys[0], (B, M, V, N)),
      mask_logits=jax.random.normal(keys[1], (B, M, V)), mask=jnp.ones((B, M, V)),
      edge_logits=jax.random.normal(keys[2], (B, 1, S, S)), observational_logits=None,
      graph=jnp.ones((B, M, S, S)), copies=copies)


def make_codes() -> tuple[jax.Array, jax.Array]:
  x = jax.random.randint(jax.random.key(1), (B, V), 0, N)
  y = jax.random.randint(jax.random.key(2), (B, T, V), 0, N)
  return x, y.at[:, 0].set(x)          # the first target equals x


class PredictionTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(True, False)
  def test_log_probability_equals_a_loop(self, copies):
    prediction, (x, y) = make_prediction(copies), make_codes()
    got = self.variant(pred.log_probability)(prediction, x, y)
    chex.assert_shape(got, (B, T, M, V))
    logits = np.asarray(prediction.logits, np.float64)
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    m = 1 / (1 + np.exp(-np.asarray(prediction.mask_logits, np.float64)))
    for b, t, h, v in np.ndindex(B, T, M, V):
      p = q[b, h, v, y[b, t, v]]
      if copies:
        p = m[b, h, v] * p + (1 - m[b, h, v]) * (y[b, t, v] == x[b, v])
      np.testing.assert_allclose(got[b, t, h, v], np.log(p), rtol=1e-4)

  @parameterized.parameters(True, False)
  def test_probabilities_sum_to_one_and_agree_with_the_likelihood(self, copies):
    prediction, (x, y) = make_prediction(copies), make_codes()
    p = pred.probabilities(prediction, x)
    chex.assert_trees_all_close(p.sum(-1), jnp.ones((B, M, V)), rtol=1e-5)
    log_prob = pred.log_probability(prediction, x, y)[:, 1]
    taken = jnp.take_along_axis(p, y[:, 1][:, None, :, None], -1)[..., 0]
    chex.assert_trees_all_close(jnp.exp(log_prob), taken, rtol=1e-4)

  def test_likeliest_leaves_one_alternative_of_each_hypothesis(self):
    prediction = make_prediction(True)                   # M hypotheses: 2 actions, M / 2 of each
    weights = jax.random.normal(jax.random.key(5), (B, 2, M // 2))
    vectors = jax.random.normal(jax.random.key(6), (B, M, V, 3))
    got = pred.likeliest(prediction.replace(weights=weights, vectors=vectors))
    self.assertIsNone(got.weights)
    for name, array in (('logits', prediction.logits), ('mask_logits', prediction.mask_logits),
                        ('mask', prediction.mask), ('graph', prediction.graph),
                        ('vectors', vectors)):
      for b, a in np.ndindex(B, 2):
        row = a * (M // 2) + int(np.argmax(weights[b, a]))
        np.testing.assert_array_equal(getattr(got, name)[b, a], array[b, row])
    self.assertIs(pred.likeliest(prediction), prediction)

  @parameterized.parameters(True, False)
  def test_gradient_lives_where_the_model_is_confidently_wrong(self, copies):
    """DESIGN section 5, mistake 4: log(clamp(p, 1e-4)) has gradient 0 just there."""
    x, y = make_codes()
    base = make_prediction(copies)
    wrong = (x + 1) % N
    def loss(logits):
      prediction = base.replace(logits=logits)
      return -pred.log_probability(prediction, x, wrong[:, None]).sum()
    logits = 60. * jax.nn.one_hot(x, N)[:, None] * jnp.ones((B, M, V, N))
    self.assertLess(float(jax.nn.softmax(logits).min()), 1e-20)
    gradient = jax.grad(loss)(logits)
    right = jnp.take_along_axis(gradient, wrong[:, None, :, None], -1)
    chex.assert_tree_all_finite(gradient)
    self.assertLess(float(right.max()), -.9)

  def test_expected_vectors_are_means_of_the_codebook(self):
    prediction, (x, _) = make_prediction(False), make_codes()
    codebook = jax.random.normal(jax.random.key(3), (1, N, 7))
    got = pred.expected_vectors(prediction, x, jnp.zeros((B, V, 7)), codebook)
    expected = np.asarray(jax.nn.softmax(prediction.logits)) @ np.asarray(codebook[0])
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


class LossesTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_reconstruction(self):
    logits = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype(np.float32)
    images = np.random.default_rng(1).random((2, 4, 4, 1)).astype(np.float32)
    p = 1 / (1 + np.exp(-logits))
    bernoulli = -(images * np.log(p) + (1 - images) * np.log(1 - p)).mean()
    loss = self.variant(losses.reconstruction, static_argnums=2)
    np.testing.assert_allclose(loss(logits, images, 'bernoulli'), bernoulli, rtol=1e-5)
    np.testing.assert_allclose(
        loss(logits, images, 'gaussian'), ((logits - images) ** 2).mean(), rtol=1e-5)

  def test_codebook_loss_moves_codes_and_commitment_moves_latents(self):
    z, e = jax.random.normal(jax.random.key(0), (2, B, 4, 3))
    expected = sum(float(((z - e)[:, k * 2:k * 2 + 2] ** 2).mean()) for k in range(2))
    self.assertAlmostEqual(float(losses.codebook(z, e, 2)), expected, places=5)
    self.assertAlmostEqual(float(losses.commitment(z, e, 2)), expected, places=5)
    for loss, still in ((losses.codebook, 0), (losses.commitment, 1)):
      gradients = jax.grad(loss, (0, 1))(z, e, 2)
      self.assertEqual(float(jnp.abs(gradients[still]).max()), 0.)
      self.assertGreater(float(jnp.abs(gradients[1 - still]).min()), 0.)

  @chex.variants(with_jit=True, without_jit=True)
  def test_code_entropy_equals_a_loop(self):
    z, e = jax.random.normal(jax.random.key(0), (B, 4, 3)), jax.random.normal(
        jax.random.key(1), (2, N, 3))
    found = self.variant(losses.code_entropy)(z, e)
    expected = 0.
    for k in range(2):                                   # of codebook k: its two variables
      p = [np.exp(-np.square(np.asarray(z)[b, v] - np.asarray(e)[k]).sum(-1) / .1)
           for b in range(B) for v in (2 * k, 2 * k + 1)]
      p = [row / row.sum() for row in p]
      expected += (np.mean(entropy(p, axis=1)) - entropy(np.mean(p, axis=0))) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-4)

  def test_code_entropy_is_least_where_every_code_is_chosen_alike_and_surely(self):
    e = 9. * jnp.eye(N)[None]
    alike, one = e, jnp.broadcast_to(e[:, :1], e.shape)
    np.testing.assert_allclose(losses.code_entropy(alike, e), -np.log(N), rtol=1e-5)
    np.testing.assert_allclose(losses.code_entropy(one, e), 0., atol=1e-5)
    chex.assert_tree_all_finite(jax.grad(losses.code_entropy, (0, 1))(one, e))

  @parameterized.parameters(0, 1)
  def test_code_entropy_of_devices_has_the_gradient_of_all_latents(self, of):
    z, e = jax.random.normal(jax.random.key(0), (4, 4, 3)), jax.random.normal(
        jax.random.key(1), (2, N, 3))
    both = lambda axis_name: lambda z, e: jax.value_and_grad(losses.code_entropy, of)(
        z, e, axis_name)
    value, gradient = both(None)(z, e)
    values, gradients = jax.vmap(both('batch'), in_axes=(0, None), axis_name='batch')(
        z.reshape(2, 2, 4, 3), e)
    np.testing.assert_allclose(values.mean(), value, rtol=1e-5)
    gradients = gradients.mean(0) if of else gradients.reshape(z.shape) / 2
    chex.assert_trees_all_close(gradients, gradient, rtol=1e-4, atol=1e-6)

  def test_negative_log_likelihood_sums_over_variables(self):
    log_prob = -jnp.ones((B, T, V))
    self.assertAlmostEqual(float(losses.negative_log_likelihood(log_prob)), V, places=5)

  @chex.variants(with_jit=True, without_jit=True)
  def test_alternatives_are_a_mixture_of_tempered_likelihoods(self):
    """A sum of probabilities by hand; the first M, next to each other, belong to action 0."""
    log_prob = jax.random.normal(jax.random.key(0), (B, T, 3 * M, V))
    weights = jax.nn.log_softmax(jax.random.normal(jax.random.key(1), (B, 3, M)))
    got = self.variant(losses.posterior_logits)(log_prob, jnp.float32(2.), weights)
    chex.assert_shape(got, (B, T, 3))
    for b, t, a in np.ndindex(B, T, 3):
      mixture = sum(np.exp(float(weights[b, a, i]) + float(log_prob[b, t, a * M + i].sum()) / 2)
                    for i in range(M))
      np.testing.assert_allclose(got[b, t, a], np.log(mixture), rtol=1e-4, atol=1e-4)

  def test_equal_alternatives_are_one_whatever_their_weights(self):
    log_prob = jax.random.normal(jax.random.key(0), (B, T, M, V))
    weights = jax.nn.log_softmax(jax.random.normal(jax.random.key(1), (B, M, 2)))
    two = losses.posterior_logits(jnp.repeat(log_prob, 2, axis=2), jnp.float32(2.), weights)
    chex.assert_trees_all_close(two, losses.posterior_logits(log_prob, jnp.float32(2.)), rtol=1e-5,
                                atol=1e-5)

  def test_posterior_is_the_softmax_of_nll_over_temperature(self):
    log_prob = jax.random.normal(jax.random.key(0), (B, T, M, V))
    logits = losses.posterior_logits(log_prob, jnp.float32(2.))
    nll = -np.asarray(log_prob).sum(-1)
    expected = np.exp(-nll / 2) / np.exp(-nll / 2).sum(-1, keepdims=True)
    np.testing.assert_allclose(jax.nn.softmax(logits), expected, rtol=1e-4)
    actions = jnp.array([[0, 1, 2], [3, 0, 1]])
    cross = -np.log(np.take_along_axis(expected, np.asarray(actions)[..., None], -1)).mean()
    np.testing.assert_allclose(losses.retrieval(logits, actions), cross, rtol=1e-4)

  def test_graph_identity(self):
    self.assertEqual(float(losses.graph_identity(jnp.eye(S)[None])), 0.)
    self.assertAlmostEqual(float(losses.graph_identity(jnp.zeros((1, 4, 4)))), .25, places=6)

  def test_edge_kl_is_that_of_bernoulli_variables_with_a_fixed_prior(self):
    """DESIGN section 5, mistake 5: the published target was fresh noise at every call."""
    logits = jax.random.normal(jax.random.key(0), (B, 1, S, S))
    a = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    expected = (a * np.log(a / .1) + (1 - a) * np.log((1 - a) / .9)).mean()
    self.assertAlmostEqual(float(losses.edge_kl(logits, .1)), expected, places=5)
    at_prior = jnp.full((1, S, S), jnp.log(.1 / .9))
    self.assertAlmostEqual(float(losses.edge_kl(at_prior, .1)), 0., places=6)
    chex.assert_trees_all_close(jax.grad(losses.edge_kl)(at_prior, .1), 0 * at_prior, atol=1e-6)
    chex.assert_tree_all_finite(jax.grad(losses.edge_kl)(200. * logits, .1))

  def test_graph_size_counts_parents(self):
    graph = jnp.zeros((1, 3, 3)).at[0, 0].set(1.).at[0, 2, 1].set(.5)
    self.assertAlmostEqual(float(losses.graph_size(graph)), (3 + 0 + .5) / 3, places=6)

  def test_no_parent_is_the_product_over_parents(self):
    logits = jax.random.normal(jax.random.key(0), (B, 1, S, S))
    a = 1 / (1 + np.exp(-np.asarray(logits)))
    self.assertAlmostEqual(float(losses.no_parent(logits)), (1 - a).prod(-1).mean(), places=5)
    # The penalty is on rows: a child with one sure parent adds nothing, whatever its children.
    sure = jnp.full((1, 2, 2), -30.).at[0, 0, 1].set(30.)
    self.assertAlmostEqual(float(losses.no_parent(sure)), .5, places=5)


class GlobalLevelTest(chex.TestCase):
  G = 3

  def make(self):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(B, self.G)), rng.normal(size=(B, T, self.G))
    shifts = np.zeros((B, T, self.G))
    for b, t in np.ndindex(B, T):
      shifts[b, t, (b + t) % self.G] = rng.choice([-1, 1])
    return tuple(jnp.asarray(a, jnp.float32) for a in (x, y, shifts))

  @chex.variants(with_jit=True, without_jit=True)
  def test_steps_equal_a_loop(self):
    x, y, shifts = self.make()
    own, others = self.variant(losses.global_steps)(x, y, shifts)
    sums = np.zeros(2)
    for b, t, g in np.ndindex(B, T, self.G):
      moves = float(shifts[b, t, g])
      sums[int(moves == 0)] += (float(y[b, t, g] - x[b, g]) - moves) ** 2 / (B * T)
    np.testing.assert_allclose((own, others), sums, rtol=1e-5)
    exact = x[:, None] + shifts
    self.assertLess(max(map(float, losses.global_steps(x, exact, shifts))), 1e-12)

  def test_spacing_learns_the_mean_step_and_moves_nothing_else(self):
    x, y, shifts = self.make()
    spacing = jnp.ones(self.G)
    gradients = jax.grad(losses.global_spacing, (0, 1, 3))(x, y, shifts, spacing)
    self.assertEqual(max(float(jnp.abs(g).max()) for g in gradients[:2]), 0.)
    times = np.asarray(jnp.abs(shifts).sum((0, 1)))
    mean = np.asarray(((y - x[:, None]) * shifts).sum((0, 1))) / times
    at_mean = jax.grad(losses.global_spacing, 3)(x, y, shifts, jnp.asarray(mean))
    np.testing.assert_allclose(at_mean, 0., atol=1e-5)
    self.assertGreater(float(jnp.abs(gradients[2]).min()), 0.)

  def test_offset_moves_codes_towards_coordinates_and_nothing_else(self):
    spacing = jnp.float32([.9, 1.1])
    values = jnp.float32([.1, -.2]) + spacing * jnp.float32([[-3, 4], [0, 2], [5, -1]])
    at = lambda offset: losses.global_offset(values, jnp.float32(offset), spacing)
    self.assertAlmostEqual(float(at([.1, -.2])), 0., places=5)
    half = [.1 + .45, -.2]                       # midway between two codes: the worst of one
    self.assertAlmostEqual(float(at(half)), 2., places=4)
    by_values, by_offset, by_spacing = jax.grad(losses.global_offset, (0, 1, 2))(
        values, jnp.float32([.2, -.2]), spacing)
    self.assertEqual(float(jnp.abs(by_values).max()), 0.)
    self.assertEqual(float(jnp.abs(by_spacing).max()), 0.)
    self.assertGreater(float(by_offset[0]), 0.)
    self.assertAlmostEqual(float(by_offset[1]), 0., places=4)
