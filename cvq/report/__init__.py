"""The report of a run: one HTML page, and every number on it as JSON.

`runs` reads work directories, `sections` asks the model, `collect` joins both; `charts` draws,
`figures` chooses what is drawn, `page` fills the template; `write_report` does it all.
"""

from cvq.report.collect import write_report
from cvq.report.sections import Sizes

__all__ = ['Sizes', 'write_report']
