"""One module a dataset: SOURCES maps the name of a source to a function that opens its images."""
