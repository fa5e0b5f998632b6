"""What processes do together, in two of them: python -m tests.together FOLDER; prints JSON."""

import json
import pathlib
import sys

import numpy as np

from cvq import checkpoints, locks, parallel
from cvq.errors import UserError
from tests import small


def refusal(function, *args) -> str:
  """What a function refuses with; empty if it does not."""
  try:
    function(*args)
  except UserError as error:
    return str(error)
  return ''


def restore(folder):
  """(step, data, sum) of the newest good checkpoint, [] for none, or what is said of it."""
  store = checkpoints.Checkpoints(str(folder), keep_last=3, keep_best=0)
  state = {'w': np.zeros(5, np.float32), 'n': np.zeros((), np.int32)}
  try:
    found = store.restore(state, set_aside=True)
    return [] if found is None else [found.step, found.data, float(found.state['w'].sum())]
  except UserError as error:
    return str(error)
  finally:
    store.close()


def main() -> None:
  parallel.start()
  folder = pathlib.Path(sys.argv[1])
  index, _ = parallel.process()
  config = small.config()
  results = {}
  locks.check_shared(str(folder), config)
  locks.check_shared(str(folder), small.config(dataset__data_dir=f'own/{index}'))
  results['another_config'] = refusal(
      locks.check_shared, str(folder), small.config(seed=index))
  own = folder / f'disk{index}'
  own.mkdir()
  results['another_folder'] = refusal(locks.check_shared, str(own), config)
  results['left'] = sorted(p.name for p in folder.glob('.shared*'))

  odd = np.asarray([-0., 0., np.nan, 1e-45, -np.inf], np.float32)
  sent = parallel.from_first({'a': odd if index == 0 else odd * 0, 'b': np.int8(3 - index)})
  results['exact'] = sent['a'].tobytes() == odd.tobytes() and sent['b'].item() == 3
  results['text'] = parallel.text_from_first('zero: ü' if index == 0 else 'a longer one')
  results['everywhere'] = parallel.everywhere(index == 1)

  with locks.hold(str(folder)):
    results['held'] = refusal(lambda: locks.hold(str(folder)).__enter__())
    results['empty'] = restore(folder)
    store = checkpoints.Checkpoints(str(folder), keep_last=3, keep_best=0)
    for step in (1, 2):
      state = {'w': np.full(5, step, np.float32), 'n': np.int32(step)}
      store.save(step, state, data={'next': step}, config=config, progress={'seconds': 1.},
                 metrics={'retrieval': .5})
    store.close()
    results['newest'] = restore(folder)
    parallel.everywhere(True)
    if index == 0:
      for path in (folder / 'checkpoints' / '2' / 'state').rglob('*'):
        if path.is_file():
          path.write_bytes(b'')
    results['fallback'] = restore(folder)
    if index == 0:
      for path in (folder / 'checkpoints' / '1' / 'state').rglob('*'):
        if path.is_file():
          path.write_bytes(b'')
    results['all_damaged'] = restore(folder)
  print(json.dumps(results))


if __name__ == '__main__':
  main()
