"""Tests of cvq.data.buffers."""

from concurrent import futures
import gc

import chex
import jax
import numpy as np
import pytest

from cvq.data.buffers import Buffers


def place(array):
  return array.ctypes.data


def test_arrays_are_new_as_long_as_others_are_in_use():
  buffers = Buffers((3, 5))
  arrays = [buffers.empty() for _ in range(4)]
  for number, array in enumerate(arrays):
    chex.assert_shape(array, (3, 5))
    assert array.dtype == np.uint8 and array.flags.c_contiguous and array.flags.writeable
    array[:] = number
  for number, array in enumerate(arrays):
    assert (array == number).all()


def test_memory_is_used_again():
  buffers = Buffers((3, 5))
  places = [place(buffers.empty()) for _ in range(9)]
  assert len(set(places)) == 1


@pytest.mark.parametrize('keep', [
    lambda x: x[1:], lambda x: x.reshape(-1)[::2], lambda x: x.view(np.int8), memoryview,
    lambda x: np.split(x[None], 3, axis=1)])
def test_a_view_keeps_the_memory(keep):
  buffers = Buffers((3, 5))
  array = buffers.empty()
  first, kept = place(array), keep(array)
  del array
  gc.collect()
  assert place(buffers.empty()) != first
  del kept
  assert place(buffers.empty()) == first


def test_jax_keeps_the_memory():
  """JAX shares such arrays with the CPU: while it has one, nothing may be written there."""
  buffers = Buffers((4, 64, 64, 3))
  shared = []
  for number in range(8):
    array = buffers.empty()
    array[:] = number
    shared.append(jax.device_put(array))
    shared.append(jax.device_put(array.reshape(1, 4, -1)))
  del array
  gc.collect()
  for _ in range(8):
    buffers.empty()[:] = 255
  for number, array in enumerate(shared):
    assert (np.asarray(array) == number // 2).all()


def test_a_step_sees_the_batch_it_was_given():
  """Steps are queued: what they have not read yet must not be written over."""
  buffers = Buffers((1, 64, 64, 64))
  step = jax.pmap(lambda total, x: (total + x.max(), x.min()), in_axes=(None, 0),
                  out_axes=(None, 0))
  total, least = jax.numpy.int32(0), []
  for number in range(20):
    array = buffers.empty()
    array[:] = number
    total, low = step(total, array)
    least.append(low)
    del array
  assert int(total) == sum(range(20))
  assert [int(low[0]) for low in least] == list(range(20))


def test_threads_never_share_an_array():
  buffers = Buffers((64,))

  def work(number):
    for _ in range(300):
      array = buffers.empty()
      array[:] = number
      assert (array == number).all()
  with futures.ThreadPoolExecutor(4) as threads:
    list(threads.map(work, range(4)))
