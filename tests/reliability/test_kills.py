"""kill -9 at seeded moments, each time followed by the same command, ends as an unbroken run does.

  CVQ_LONG_TESTS=1 python -m pytest -n0 -s tests/reliability/test_kills.py      # 30 kills
"""

import shutil
import signal

import pytest

from tests.reliability import chaos

KILLED = -signal.SIGKILL
SHORT = (chaos.Strike('preparation', 1, .2), chaos.Strike('save', 2, .01),
         chaos.Strike('evaluation', 1, .1))
SEED = 7
LONG_RUN = (*chaos.SMALL, '--config.train.steps=172', '--config.log.every=5',
            '--config.log.evaluate_every=40', '--config.log.picture_every=60')


def place_in(folder, cache, *fields):
  folder.mkdir()
  return chaos.Place(folder, cache, folder.parent / 'log', fields)


def check_survived(place):
  """Every start went on from the newest checkpoint that was there, and no file is half written."""
  assert place.starts and all(began == before for began, before in place.starts), place.starts
  assert chaos.half_written(place.folder) == []


@pytest.mark.slow
def test_a_few_kills(tmp_path, tiny_run, cache):
  """The work directory and the data move to another place after each."""
  place = place_in(tmp_path / 'first', cache)
  for number, strike in enumerate(SHORT):
    assert place.start(strike=strike) == KILLED, place.log.read_text()
    place.move(tmp_path / f'moved-{number}')
  assert place.start() == 0, place.log.read_text()
  check_survived(place)
  assert 'Resuming' in place.log.read_text()
  assert 0 < place.starts[1][0] < 20                   # steps were lost, but not all
  assert chaos.results(place.workdir, means=False) == chaos.results(tiny_run, means=False)


@pytest.mark.slow
def test_thirty_kills(tmp_path, cache, long):
  if not long:
    pytest.skip('30 kills take half an hour: CVQ_LONG_TESTS=1')
  whole = place_in(tmp_path / 'whole', cache, *LONG_RUN)
  assert whole.start() == 0 and whole.start('--mode=report') == 0, whole.log.read_text()
  place = place_in(tmp_path / 'broken', cache, *LONG_RUN)
  landed = 0
  for number, strike in enumerate(chaos.strikes(
      SEED, preparation=5, step=8, save=7, evaluation=4, oracle=1, report=5), start=1):
    if strike.kind == 'preparation':                   # an earlier one may have come too late
      shutil.rmtree(place.folder / 'data', ignore_errors=True)
    flags = ['--mode=report'] if strike.kind in ('oracle', 'report') else []
    if flags and not (place.workdir / 'evaluation.json').exists():
      assert place.start() == 0, place.log.read_text()
    code = place.start(*flags, strike=strike)
    assert code == KILLED or code == 0 and strike.kind not in ('step', 'save'), \
        place.log.read_text()
    landed += code == KILLED
    print(f'{number}: {strike}, code {code}; newest checkpoint {chaos.newest(place.workdir)}; '
          f'{len(place.starts)} times in the loop, last from {place.starts[-1:]}', flush=True)
  assert landed >= 27
  assert place.start() == 0 and place.start('--mode=report') == 0, place.log.read_text()
  check_survived(place)
  assert chaos.results(place.workdir, means=True) == chaos.results(whole.workdir, means=True)
  assert chaos.data(place.folder / 'data') == chaos.data(whole.folder / 'data')
