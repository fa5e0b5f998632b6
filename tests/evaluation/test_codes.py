"""Tests of cvq.evaluation.codes against brute force and known answers."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import numpy as np
from scipy import stats

from cvq.evaluation import codes

K, H, W, N = 3, 2, 4, 5


def _codes(seed=0, n=7):
  return np.random.default_rng(seed).integers(N, size=(n, K * H * W))


class CodesTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_count_against_brute_force(self):
    ids = _codes()
    counts = self.variant(lambda c: codes.count(c, K, N))(ids)
    expected = np.zeros((len(ids), K, N), int)
    for i, row in enumerate(ids):
      for v, code in enumerate(row):
        expected[i, v // (H * W), code] += 1
    np.testing.assert_array_equal(counts, expected)

  @chex.variants(with_jit=True, without_jit=True)
  def test_changed_against_brute_force(self):
    x, y = _codes(0), _codes(1)
    y[0] = x[0]                                                # nothing changes
    y[1] = x[1]
    y[1, [2, 2 + H * W]] = (x[1, [2, 2 + H * W]] + 1) % N      # two codebooks, one position
    variables, positions = self.variant(lambda x, y: codes.changed(x, y, K))(x, y)
    expected = [(sum(a != b), len({v % (H * W) for v in range(K * H * W) if a[v] != b[v]}))
                for a, b in zip(x, y)]
    np.testing.assert_array_equal(np.stack([variables, positions], -1), expected)
    self.assertEqual((int(variables[0]), int(positions[0])), (0, 0))
    self.assertEqual((int(variables[1]), int(positions[1])), (2, 1))

  def test_batches_add_up(self):
    ids = _codes()
    whole = codes.count(ids, K, N).sum(0)
    parts = sum(codes.count(part, K, N).sum(0) for part in np.array_split(ids, 3))
    np.testing.assert_array_equal(whole, parts)

  def test_by_hand(self):
    counts = np.array([[3, 3, 3, 3], [9, 0, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(codes.usage(counts), [1, .25, .5, 0])
    np.testing.assert_allclose(codes.perplexity(counts), [4, 1, 2, 0])

  def test_perplexity_against_scipy(self):
    counts = np.random.default_rng(0).integers(0, 50, size=(K, 40))
    np.testing.assert_allclose(codes.perplexity(counts), np.exp(stats.entropy(counts, axis=-1)))

  @parameterized.parameters(codes.usage, codes.perplexity)
  def test_invariances(self, figure):
    counts = np.random.default_rng(0).integers(0, 5, size=(K, N))
    expected = figure(counts)
    np.testing.assert_allclose(figure(counts * 10), expected)              # of the sample size
    np.testing.assert_allclose(figure(counts[:, ::-1]), expected)          # of the codes' names
    np.testing.assert_allclose(figure(counts[::-1]), expected[::-1])       # codebooks are apart

  def test_rate_of_constant_even_and_positioned_codes(self):
    n, v = 64, 6                                       # 2 codebooks of 4 codes, 3 positions
    constant = codes.rate(np.zeros((n, v), int), 2, 4)
    self.assertAlmostEqual(constant['nominal'], 12)
    self.assertAlmostEqual(constant['by_codebook'], 0)
    self.assertAlmostEqual(constant['by_variable'], 0)
    even = codes.rate(np.tile(np.arange(n)[:, None] % 4, v), 2, 4)
    self.assertAlmostEqual(even['by_codebook'], 12)
    self.assertAlmostEqual(even['by_variable'], 12)
    # A code that its position gives away costs nothing, once positions are told apart.
    fixed = codes.rate(np.tile([0, 1, 2, 3, 3, 3], (n, 1)), 2, 4)
    self.assertAlmostEqual(fixed['by_codebook'], 3 * np.log2(3))
    self.assertAlmostEqual(fixed['by_variable'], 0)


if __name__ == '__main__':
  absltest.main()
