"""The training loop: sample, step, log, evaluate, save; resumes exactly where it stopped."""

from __future__ import annotations

import functools
import math
import os
import signal
import time
from typing import Any

import jax
import numpy as np

import cvq
from cvq import checkpoints, config as configuration, description
from cvq import collapse, evaluate, gallery, locks, parallel, session, steps, stored_config
from cvq import tracing, writers
from cvq.data import pipeline
from cvq.errors import Diverged, Interrupted, UserError

ALTERNATE = ('base', 'action', 'causal')
SHOWN = ('loss', 'reconstruction', 'action_nll', 'retrieval', 'retrieval_accuracy', 'global_exact')
STAGES = {'reconstruction': 'pretrain', 'global': 'train_global'}   # of modes; the others: train
FITTED = 1024                   # x by which the codes of the global level are placed
_STREAMS = {'train': 0, 'pretrain': 1_000_003, 'train_global': 2_000_006}   # added to the seed


def mode_of(config: Any, step: int) -> str:
  """Mode of a step, a pure function of seed and step.

  The alternating modes are drawn in the proportion of config.train.mode_weights.
  """
  if step < config.pretrain.steps:
    return 'reconstruction'
  if step >= config.pretrain.steps + config.train.steps:
    return 'global'
  if config.train.modes == 'mixed':
    early = step < config.pretrain.steps + config.train.split_at * config.train.steps
    return 'single' if early and configuration.has_alternatives(config) else 'mixed'
  weights = np.asarray(config.train.mode_weights, np.float64)
  u = np.random.Generator(np.random.Philox(key=config.seed, counter=step)).random()
  return ALTERNATE[int(np.searchsorted(np.cumsum(weights / weights.sum()), u, side='right'))]


def check_finite(scalars: dict, step: int, last_good: int | None) -> None:
  """Raises Diverged if a scalar of this step is NaN or infinite, naming all such terms."""
  bad = [name for name, value in scalars.items() if not math.isfinite(value)]
  if bad:
    terms = [name for name in bad if name not in ('loss', 'gradient_norm')] or bad
    raise Diverged(step, ', '.join(terms), last_good)


class _Stop:
  """Remembers a signal to stop while the loop finishes its step."""

  def __enter__(self):
    self.signum = None
    self._before = {s: signal.signal(s, self._note) for s in parallel.stop_signals()}
    return self

  def due(self, step: int) -> int | None:
    """The signal to stop for after this step, or None; once after every step, and at the end."""
    signum, self.signum = self.signum, None
    return parallel.agree_to_stop(signum, step)

  def _note(self, signum, _):
    self.signum = signum

  def __exit__(self, *_):
    for signum, handler in self._before.items():
      signal.signal(signum, handler)


def _say(text: str) -> None:
  if parallel.first():
    print(text, flush=True)


class Loop:
  """State of one run and what happens to it at every step.

  `run` trains to the end; the methods below it are its parts, in their order.
  """

  def __init__(self, config: Any, workdir: str):
    stored_config.check(workdir, config, but=('evaluation.',))
    self.config, self.workdir = config, workdir
    self.session = session.open_run(config)
    stored_config.write(workdir, config)
    if parallel.first():
      description.write(workdir, self.session.dataset)
    self.state = self.session.state
    self.total = config.pretrain.steps + config.train.steps + config.train_global.steps
    self.store = checkpoints.Checkpoints(
        workdir, keep_last=config.checkpoint.keep_last, keep_best=config.checkpoint.keep_best)
    self.step, self.seconds, self.saved = 0, 0., None
    self.evaluation: dict | None = None
    restored = self.store.restore(self.state, set_aside=True)
    positions = {}
    if restored is not None:
      self.state, self.step, self.saved = restored.state, restored.step, restored.step
      self.seconds, positions = restored.progress['seconds'], restored.data
      _say(f'Resuming {workdir} at step {self.step} of {self.total}.')
    self.state = parallel.place(self.state)
    self.iterators = {
        name: self._iterator(name, positions.get(name))
        for name in ('pretrain', 'train', 'train_global') if config[name].steps}
    self.train_steps = {
        mode: parallel.parallel_train_step(functools.partial(
            self.session.method.train_step, model=self.session.model,
            optimizer=self.session.optimizer, config=config, mode=mode, axis_name=parallel.AXIS))
        for mode in ('reconstruction', 'single', 'mixed', 'global', *ALTERNATE)}
    self.writer = writers.Writer(workdir, resume_step=self.step)
    self.trace = tracing.Trace(os.path.join(workdir, 'tensorboard'), config.log.trace)
    self.buffer: list[tuple[int, dict]] = []
    self.warned: set[str] = set()

  def _iterator(self, stage: str, position: Any, batch_size: int = 0):
    config, index_count = self.config, parallel.process()
    part = config[stage]
    iterator = pipeline.train_iterator(
        self.session.dataset, config.dataset, batch_size=batch_size or part.batch_size,
        targets=part.get('targets', 1), seed=config.seed + _STREAMS[stage],
        process_index=index_count[0], process_count=index_count[1])
    if position is not None:
      iterator.set_state(position)
    return iterator

  def run(self) -> dict:
    """Trains to the last step, evaluates, and returns what evaluation.json holds."""
    _say(f'{self.total - self.step} steps to go in {self.workdir}, on {parallel.describe()}.')
    signum = None
    with _Stop() as stop, writers.Progress(self.total, self.step) as progress:
      if self.step == 0:
        self._initialise_codebook()
      while self.step < self.total:
        self._train_one(progress)
        if self.step == self.total and self.config.train_global.steps:
          self._fit_lattice()
        c, signum = self.config, stop.due(self.step)
        if self._due(c.log.every) or signum:
          self._log(progress)
        if self._due(c.log.evaluate_every):
          self._validate(progress)
        if self._due(c.log.picture_every):
          self._draw()
        if self._due(c.checkpoint.every) or signum:
          self._save()
        if signum:
          break
      self.close()
      # What came since the last step was done; too late for several processes to agree, it is
      # left, and they end as usual: everything is saved.
      signum = signum or stop.due(self.total + 1)
      if signum:
        raise Interrupted(signum, self.step, self.workdir)
    return evaluate.write_evaluation(self.session, self.state, self.config, self.workdir)

  def _due(self, every: int) -> bool:
    return self.step % every == 0 or self.step == self.total

  def _initialise_codebook(self) -> None:
    quantizer = self.config.model.get('quantizer')       # a baseline has none
    if quantizer is None or quantizer.init != 'data':
      return
    batch = next(self._iterator('pretrain' if self.config.pretrain.steps else 'train', None))
    initialise = parallel.parallel_state_step(functools.partial(
        steps.initialise_codebook, model=self.session.model, config=self.config,
        axis_name=parallel.AXIS))
    self.state = initialise(self.state, parallel.shard(batch))

  def _fit_lattice(self) -> None:
    """Places the codes of the global level, whose coordinates rest from now on."""
    batch = next(self._iterator('train_global', None, parallel.round_up(FITTED)))
    fit = parallel.parallel_state_step(functools.partial(
        steps.fit_lattice, model=self.session.model, axis_name=parallel.AXIS))
    self.state = fit(self.state, parallel.shard(batch))

  def _train_one(self, progress) -> None:
    start = time.monotonic()
    mode = mode_of(self.config, self.step)
    stage = STAGES.get(mode, 'train')
    batch = next(self.iterators[stage])
    waited = time.monotonic() - start
    with self.trace.step(self.step, stage) as computed:
      self.state, scalars = self.train_steps[mode](self.state, parallel.shard(batch))
      computed.append(scalars)
    self.step += 1
    self.evaluation = None                             # it was of the state before
    self.buffer.append((self.step, scalars))
    self.seconds += time.monotonic() - start
    progress.update(self.step, self.config[stage].batch_size, waited)

  def _fetch(self) -> list[tuple[int, dict]]:
    """Scalars of the steps since the last line of the log, checked."""
    start = time.monotonic()
    self.buffer = [(step, {name: float(value) for name, value in scalars.items()})
                   for step, scalars in jax.device_get(self.buffer)]
    self.seconds += time.monotonic() - start
    for step, scalars in self.buffer:
      check_finite(scalars, step, self.saved)
    return self.buffer

  def _log(self, progress) -> None:
    """Writes the means of the scalars since the last line."""
    fetched, self.buffer = self._fetch(), []
    names = {name for _, scalars in fetched for name in scalars}
    means = {name: float(np.mean([s[name] for _, s in fetched if name in s])) for name in names}
    self.writer.scalars(self.step, {f'train/{name}': means[name] for name in sorted(means)}
                        | progress.rates() | {'seconds': self.seconds})
    progress.show({name: means.get(name) for name in SHOWN})
    self._warn_of_collapse(means)

  def _warn_of_collapse(self, means: dict[str, float]) -> None:
    """A line on each way to collapse, the first time."""
    if self.config.method != 'ct_vae':
      return
    model = self.session.model
    variables = model.quantizer.codebooks * math.prod(model.grid)
    layer = self.config.model.transition
    tied = layer.name == 'tied'                                      # a node for each position
    nodes = model.transition.possible_parents if tied else variables
    if tied and layer.edges != 'learned':                            # as asked for
      means = {name: value for name, value in means.items() if name != 'graph_size'}
    for kind, line in collapse.collapsed(means, variables, nodes).items():
      if kind not in self.warned:
        self.warned.add(kind)
        _say(f'Step {self.step}: {line}')

  def _validate(self, progress) -> None:
    self.evaluation = evaluate.evaluate_state(
        self.session, self.state, self.config, split='validation',
        examples=self.config.evaluation.during)
    flat = {f'validation/{part}/{name}': value for part, figures in self.evaluation.items()
            for name, value in figures.items() if isinstance(value, float)}
    self.writer.scalars(self.step, flat)
    progress.show({'validation_accuracy': self.evaluation['retrieval']['directed']})

  def _draw(self) -> None:
    for name, picture in gallery.draw(self.session, self.state, self.config).items():
      self.writer.picture(self.step, name, picture)

  def _save(self) -> None:
    self._fetch()                                      # nothing is saved that has diverged
    figures = self.evaluation and {'retrieval': self.evaluation['retrieval']['directed']}
    self.store.save(
        self.step, self.state,
        data={name: iterator.get_state() for name, iterator in self.iterators.items()},
        config=self.config, progress={'seconds': self.seconds, 'version': cvq.__version__,
                                      'device': parallel.describe()},
        metrics=figures)
    self.saved = self.step

  def close(self) -> None:
    """Waits for what is still being written."""
    self.store.wait()
    self.store.close()
    self.trace.close()
    self.writer.close()


def train(config: Any, workdir: str) -> dict:
  """Trains a config in a work directory, from its newest checkpoint if there is one.

  Returns:
    What evaluation.json holds.

  Raises:
    UserError: bad config, data or work directory, or one that another run works in.
    Interrupted: after a signal, state saved. Diverged: the loss is NaN or infinite.
  """
  configuration.check_training(config)
  workdir = os.path.abspath(workdir)
  configuration.check_workdir(workdir)
  with locks.hold(workdir):
    locks.check_shared(workdir, config)
    loop = Loop(config, workdir)
    try:
      return loop.run()
    except UserError as error:
      if error.code == Diverged.code:    # by its code: what process 0 met, others get as UserError
        loop.close()                     # the last good checkpoint may be on its way to the disk
      raise
