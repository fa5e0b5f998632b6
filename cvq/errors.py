"""The exceptions that reach a user as a message instead of a traceback."""

import signal


class UserError(Exception):
  """Something the user can mend: one to three lines that name field, value and remedy.

  `cvq.main` prints the message and leaves with exit code `code`.
  """
  code = 2


class Diverged(UserError):
  """The loss is NaN or infinite; the message names step, term and last good checkpoint."""
  code = 3


class Interrupted(UserError):
  """A signal asked the run to stop, and its state is saved."""

  def __init__(self, signum: int, step: int, workdir: str):
    super().__init__(f'Stopped by {signal.Signals(signum).name} at step {step}; everything is '
                     f'saved in {workdir}.\nThe same command goes on from there.')
    self.code = 128 + signum
