"""The object machinery: schemas, defaults, validation, merges, selectors, tables."""
