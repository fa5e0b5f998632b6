"""The exceptions that reach a user as a message instead of a traceback."""

import signal


class UserError(Exception):
  """Something the user can mend: one to three lines that name field, value and remedy.

  `cvq.main` prints the message and leaves with exit code `code`.
  """
  code = 2


class Diverged(UserError):
  """A loss, a gradient or the state is NaN or infinite.

  Args:
    step: of it. what: is not finite. last_good: step of the newest checkpoint, or None.
  """
  code = 3

  def __init__(self, step: int, what: str, last_good: int | None):
    good = 'none yet' if last_good is None else f'step {last_good}'
    super().__init__(
        f'Step {step}: {what} is not finite. Last good checkpoint: {good}.\n'
        'Lower --config.train.learning_rate or set --config.train.clip=1, and start again with '
        'another --workdir.')


class Unwritable(UserError):
  """The disk of a run is full, or refuses to be written."""


class Interrupted(UserError):
  """A signal asked the run to stop, and its state is saved."""

  def __init__(self, signum: int, step: int, workdir: str):
    super().__init__(f'Stopped by {signal.Signals(signum).name} at step {step}; everything is '
                     f'saved in {workdir}.\nThe same command goes on from there.')
    self.code = 128 + signum
