"""`python -m cvq.sweep`, as a user runs it: no cell is trained here."""

from cvq.sweep import __main__ as sweep, curves


def test_write_leaves_the_drawings_of_the_page_and_no_older_ones(tmp_path, capsys):
  folder = tmp_path / curves.FOLDER
  folder.mkdir(parents=True)
  for name in ('of_a_former_table.svg', 'of_another_page.svg'):
    (folder / name).write_text('<svg/>')
  page = tmp_path / 'results.md'
  page.write_text(f'![A table]({curves.FOLDER}/of_a_former_table.svg)')
  assert sweep.main(['--write', f'--page={page}']) == 0
  assert f'Wrote {page}.' in capsys.readouterr().out
  drawn = {path.name for path in folder.iterdir()}
  assert 'of_a_former_table.svg' not in drawn
  drawn.remove('of_another_page.svg')
  text = page.read_text()
  assert drawn and all(f'{curves.FOLDER}/{name}' in text for name in drawn)
