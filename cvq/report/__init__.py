"""The report of a run: one HTML page, and every number on it as JSON.

`runs` reads work directories, `sections` asks the model, `collect` joins both; `charts` draws,
`figures` chooses what is drawn, `page` fills the template; `collect.write_report` does it all.
"""
