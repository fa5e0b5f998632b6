"""Stands for Python in tests of the sweep: `fake.py -m MODULE FLAGS`, in milliseconds.

cvq.main "trains": leaves a checkpoint, fails on --config=bad, on --config=slow waits for a signal
the first time. Every call is a line of WORKDIR/calls.
"""

import json
import pathlib
import signal
import sys
import time


def main(module, *flags):
  given = dict(flag.lstrip('-').split('=', 1) for flag in flags)
  workdir = pathlib.Path(given['workdir'])
  with open(workdir / 'calls', 'a') as calls:
    calls.write(f'{module} {given.get("measure", "")}\n')
  if module == 'cvq.sweep.measure':
    names = [name for name in given['measure'].split(',') if name]
    (workdir / 'measured.json').write_text(json.dumps(
        {name: {'score': .5} for name in names} | {
            'device': 'none', 'versions': {'cvq': '0'},
            'revision': 'later' if 'two' in names else 'abc'}))
    return 0
  if given['config'] == 'bad':
    print('cvq: config is bad.\nTake a good one.', file=sys.stderr)
    return 2
  saved = workdir / 'checkpoints' / '1'
  new = not saved.exists()
  saved.mkdir(parents=True, exist_ok=True)
  if given['config'] == 'slow' and new:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (workdir / 'waiting').touch()
    time.sleep(60)
  (workdir / 'metrics.jsonl').write_text('{"step": 1, "seconds": 90.0}\n{"step": 2, "sec')
  (workdir / 'evaluation.json').write_text(json.dumps(
      {'retrieval': {'directed': .25 * (1 + int(given['config.seed']))}}))
  return 0


if __name__ == '__main__':
  sys.exit(main(*sys.argv[2:]))
