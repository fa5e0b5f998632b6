"""A toy run that looks at what it holds, with memory kept as `cvq.main` keeps it.

  python -m tests.reliability.soak WORKDIR STEPS

Prints JSON, a row for every 50th step. `heap`: bytes that were allocated and not freed; malloc has
more from the kernel, in pieces between these. `resident`: bytes of memory behind heap and pieces;
pieces lose theirs when malloc trims, and get it back when they are used. `blocks`: of Python.
"""

from cvq import memory

if __name__ == '__main__':
  memory.keep()

import ctypes  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402

from cvq import train  # noqa: E402
from tests import tiny  # noqa: E402
from tests.reliability import fuzzing  # noqa: E402


class _Mallinfo(ctypes.Structure):
  """struct mallinfo2 of glibc 2.33."""
  _fields_ = [(name, ctypes.c_size_t) for name in (
      'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
      'fordblks', 'keepcost')]


def heap() -> int:
  """Bytes that this process has allocated by malloc and not freed."""
  mallinfo2 = ctypes.CDLL(None).mallinfo2
  mallinfo2.restype = _Mallinfo
  found = mallinfo2()
  return found.uordblks + found.hblkhd


def main(workdir: str, steps: int) -> None:
  """With a line of the log every 10 steps, an evaluation and a picture and a save every 50."""
  seen = []
  train_one = train.Loop._train_one

  def watched(self, progress):
    train_one(self, progress)
    if self.step % 50 == 49:                           # nothing is being saved
      self.store.wait()
      seen.append({
          'step': self.step, 'heap': heap(), 'resident': fuzzing.resident('RssAnon'),
          'blocks': sys.getallocatedblocks(), 'descriptors': len(os.listdir('/proc/self/fd')),
          'threads': threading.active_count()})
  train.Loop._train_one = watched
  # The last stage begins after the last look: it has a pipeline, with threads, of its own.
  config = tiny.get_config(f'steps={steps - 8}')
  config.log.update(every=10, evaluate_every=50, picture_every=50)
  config.checkpoint.every = 50
  train.train(config, workdir)
  print(json.dumps(seen))


if __name__ == '__main__':
  main(sys.argv[1], int(sys.argv[2]))
