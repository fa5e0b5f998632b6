"""The Python API: `cvq.load` gives a `model.Model`, `cvq.load_exported` an `exported.Exported`.

`interface` is what both share: checks (`inputs`), batches and names, answers (`results`). `export`,
`weights` and `card` write what leaves the run. Nothing is imported here: an exported model needs
JAX and NumPy alone.
"""
