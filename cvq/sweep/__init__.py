"""Tables of runs: datasets x methods x seeds, run cell by cell and written as Markdown.

`cells` says what a cell and a table are, `run` runs them, `measure` adds what evaluation.json does
not have, `goals` says whether goals are met, `markdown` writes the page. The tables and goals
stand in configs/tables/.
"""
