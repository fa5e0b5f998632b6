"""Tests of cvq.data.hashing."""

import chex
import numpy as np

from cvq.data import hashing


class TestHash:

  def test_matches_the_published_splitmix64_stream(self):
    """First outputs of SplitMix64 from state 0 and 1234567 (Vigna's reference program)."""
    assert int(hashing.hash64(0)) == 0xE220A8397B1DCDAF
    assert int(hashing.hash64(1234567)) == 6457827717110365317

  def test_is_elementwise_and_broadcasts(self):
    rows, columns = np.arange(3)[:, None], np.arange(4)
    both = hashing.hash64(7, rows, columns)
    chex.assert_shape(both, (3, 4))
    for i, j in np.ndindex(3, 4):
      assert both[i, j] == hashing.hash64(7, i, j)
    assert len(np.unique(both)) == 12

  def test_order_and_sign_of_words_matter(self):
    assert hashing.hash64(1, 2) != hashing.hash64(2, 1)
    assert hashing.hash64(-1) == hashing.hash64(2**64 - 1) != hashing.hash64(1)

  def test_numbers_below_a_limit_are_even(self):
    counts = np.bincount(hashing.below(hashing.hash64(0, np.arange(70_000)), 7), minlength=7)
    assert counts.size == 7 and abs(counts - 10_000).max() < 500       # 5 standard deviations

  def test_limits_may_differ_by_element(self):
    bits = hashing.hash64(0, np.arange(1000))
    limits = np.arange(1000) % 5 + 1
    drawn = hashing.below(bits, limits)
    assert (drawn < limits).all() and (drawn == limits - 1).sum() > 300
    assert drawn[7] == hashing.below(bits[7:8], int(limits[7]))[0]

  def test_unit_interval(self):
    u = hashing.unit(hashing.hash64(0, np.arange(10_000)))
    assert 0 <= u.min() and u.max() < 1 and abs(u.mean() - .5) < .015
