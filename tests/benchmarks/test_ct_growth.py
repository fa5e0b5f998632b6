"""Exponents, and which points the peer has room for."""

import pytest

from benchmarks import ct_growth as benchmark


def test_exponent_of_a_power():
  assert benchmark.exponent([16, 64, 256], [3 * v ** 1.5 for v in (16, 64, 256)]) == '1.50'
  assert benchmark.exponent([16], [1.]) == ''


def test_the_peer_keeps_more_with_every_size():
  base = benchmark.peer_gb(benchmark.BASE)
  assert base == pytest.approx(2., rel=.5)               # 2.2 GB measured, with the interpreter
  for axis, sizes in benchmark.SIZES.items():
    assert benchmark.peer_gb(benchmark.BASE | {axis: 2 * sizes[-1]}) > 2 * base
