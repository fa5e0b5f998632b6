"""What a trained cell is measured for besides its evaluation.

  python -m cvq.sweep.measure --config=... --workdir=DIR --measure=disentanglement,multi_step

The flags are those of cvq.main. Writes DIR/measured.json: each measurement, versions and revision.
"""

from __future__ import annotations

import pathlib
from typing import Any, Callable

from absl import flags
import jax
import numpy as np

from cvq import arguments, evaluate, files, main as command, parallel, runs, session
from cvq.api.model import Model
from cvq.baselines import planning as planners
from cvq.baselines.trained import TrainedLatent
from cvq.data.splits import members
from cvq.errors import UserError
from cvq.evaluation import oracle as judges, planning
from cvq.evaluation.disentanglement import battery
from cvq.report import provenance
from cvq.report.runs import plain

_MEASURE = flags.DEFINE_list('measure', [], 'Names of measurements.')
IMAGES = 15_000          # of the disentanglement metrics: 10,000 to train, 5,000 to test
PAIRS = 128              # of multi-step retrieval, for each number of steps
BEAM = 8                 # plans kept at every length of a search
AHEAD = 4                # actions of a plan that is made anew after each


def represent(run: session.Run, state: Any, index: np.ndarray, *, whole: bool = False,
              batch_size: int = 64) -> np.ndarray | None:
  """How a model represents images of the dataset.

  Args:
    run, state: of any method. index: [n] int. whole: by the global level.

  Returns:
    [n, V] int32 codes or [n, L] float32 latents; None where the method represents no images.
  """
  function = run.method.global_level if whole else run.method.represent
  step = jax.jit(lambda variables, images: function(variables, images, model=run.model))
  rows = []
  for start in range(0, len(index), batch_size):
    part = np.resize(index[start:start + batch_size], batch_size)            # one shape to compile
    images = run.dataset.images.read(part).astype(np.float32) / 255
    found = step(state.variables, images)
    if not found:
      return None
    rows.append(np.asarray(found.get('codes', found.get('latents')))[:len(index) - start])
  return np.concatenate(rows)


def disentanglement(run: session.Run, state: Any, config: Any, workdir: str, *,
                    images: int = IMAGES) -> dict:
  """Every metric on images of the whole dataset, of the model and of an untrained one.

  A model with a global level is judged by that, and besides, under 'local', by its codes.

  Returns:
    {'images', 'columns', 'trained', 'untrained': metric -> scores, 'notes': metric -> what is to
    be known of those of the trained one, 'local': the same of the codes}; {} without
    representation.
  """
  del workdir
  index = _sample(run, config, images)
  factors = run.dataset.images.factors(index)
  if represent(run, state, index[:1]) is None:
    return {}

  def judged(whole: bool) -> dict:
    trained, untrained = (represent(run, of, index, whole=whole) for of in (state, run.state))
    known = battery.battery(trained, factors, tell=_tell)
    floor = battery.battery(untrained, factors, cheap=not whole, tell=_tell)
    return {'columns': trained.shape[1], 'trained': _part(known, 'scores'),
            'untrained': _part(floor, 'scores'), 'notes': _part(known, 'notes')}

  found = {'images': len(index)}
  if getattr(run.model, 'global_level', None) is None:
    return found | judged(False)
  return found | judged(True) | {'local': judged(False)}


def true_factors(run: session.Run, state: Any, config: Any, workdir: str, *,
                 images: int = IMAGES) -> dict:
  """Every metric of the true factors themselves, and with look-alikes taken as one.

  Returns:
    {'images', 'whole', 'folded': metric -> scores}, on the images of `disentanglement`; without
    'folded', `cvq.evaluation.oracle.folded`, where they are a sample of the combinations.
  """
  del state, workdir
  source, index = run.dataset.images, _sample(run, config, images)
  factors = source.factors(index)
  scores = lambda representation: _part(
      battery.battery(representation, factors, tell=_tell), 'scores')
  found = {'images': len(index), 'whole': scores(factors)}
  if source.combination is None:
    found['folded'] = scores(judges.folded(source, index))
  return found


def _sample(run: session.Run, config: Any, images: int) -> np.ndarray:
  """So many images of the whole dataset, or all: [n] int."""
  rng, total = np.random.default_rng(config.evaluation.seed), run.dataset.images.num_images
  return rng.choice(total, images, replace=False) if total > images else np.arange(total)


def _part(parts: dict[str, dict], key: str) -> dict:
  """Of a battery, by metric, where there is any."""
  return {name: found[key] for name, found in parts.items() if found[key]}


def multi_step(run: session.Run, state: Any, config: Any, workdir: str, *,
               steps: tuple[int, ...] = (2, 4, 8), pairs: int = PAIRS) -> dict:
  """Plans between images several steps apart, judged on the true factors.

  Returns:
    {n: `cvq.evaluation.planning.figures`}, and where the true image after each action is shown to
    the model: 'shown', the likeliest action follows, and 'shown_search', the first of a new plan
    of at most 4. An inverse model plans nothing: 'random', 'none' and 'shown' alone.
  """
  images, names = run.dataset.images, run.dataset.space.action_names
  inside = members(images, config.dataset, config.evaluation.split)
  choices = {'shown': _likeliest(run, state, pairs)}
  model = None
  if config.method != 'inverse':
    model = _model(run, state, config, workdir)
    choices['shown_search'] = _planned(model, names)
  found = {}
  for n in steps:
    proposals = planning.propose(model, images, inside, steps=n, pairs=pairs, beam=BEAM)
    start, target = proposals.start, proposals.target
    found[str(n)] = planning.figures(images, proposals)
    for name, choose in choices.items():
      plans = planners.shown_the_truth(choose, images, start, target, n)
      found[str(n)][name] = planning.judge(images, start, target, plans)
  return found


def oracle(run: session.Run, state: Any, config: Any, workdir: str) -> dict:
  """Precision and stability of interventions, `cvq.evaluation.oracle.judge`.

  The first on a dataset trains the reader. {} of a method that generates nothing, and for images
  that are a sample of the combinations.
  """
  if config.method == 'inverse':
    return {}
  return judges.judge(_model(run, state, config, workdir), run.dataset, tell=_tell) or {}


def _model(run: session.Run, state: Any, config: Any, workdir: str) -> Model | TrainedLatent:
  """A trained model that draws."""
  if config.method == 'ct_vae':
    return Model(runs.read_run(workdir))
  return TrainedLatent(run.model, state.params, config, run.dataset.images.space.action_names)


def _tell(line: str) -> None:
  print(f'  {line}', flush=True)


def _likeliest(run: session.Run, state: Any, pairs: int) -> Callable:
  """Chooses the action that the posterior says, for as many pairs at a time."""
  no_action = np.zeros((pairs, 1), np.int32)           # nothing that it decides is asked for
  posterior = jax.jit(lambda state, x, y: run.method.eval_step(
      state, {'x': x, 'y': y[:, None], 'action': no_action}, model=run.model)['posterior'])
  return lambda seen, goal, left: np.asarray(posterior(state, seen, goal)).argmax(-1)


def _planned(model: Any, names: tuple[str, ...]) -> Callable:
  """Chooses the first action of a plan for what is left."""
  def choose(seen, goal, left):
    plans = model.plan(seen, goal, max_steps=min(left, AHEAD), beam=BEAM)
    return np.array([names.index(plan.actions[0]) if plan.actions else -1 for plan in plans])
  return choose


MEASUREMENTS = {'disentanglement': disentanglement, 'true_factors': true_factors,
                'multi_step': multi_step, 'oracle': oracle}


def measure(config: Any, workdir: str, names: list[str]) -> dict:
  """Measures a finished run and writes WORKDIR/measured.json.

  Raises:
    UserError: an unknown measurement, no checkpoint.
  """
  unknown = [name for name in names if name not in MEASUREMENTS]
  if unknown:
    raise UserError(f'Unknown measurement {unknown[0]!r}; known: {", ".join(MEASUREMENTS)}')
  found: dict = {'device': parallel.describe(), 'versions': provenance.versions(),
                 'revision': provenance.revision()}
  if names:
    run, restored = evaluate.open_checkpoint(config, workdir, mode='evaluate')
    for name in names:
      print(name, flush=True)
      found[name] = plain(MEASUREMENTS[name](run, restored.state, config, workdir))
  files.write_json(pathlib.Path(workdir) / 'measured.json', found)
  return found


def main(argv: list[str]) -> None:
  """Measures what the command line names. Raises UserError."""
  given = arguments.parse(argv, usage=__doc__)
  measure(given.config, given.workdir, _MEASURE.value)


if __name__ == '__main__':
  command.run(main)
