"""Server-side apply: who owns which fields of an object, and what an apply makes of it.

- sets: sets of field paths in the shape of FieldsV1, their algebra, order and text
- shape: a type as a tree of structs, maps and lists, each one value or many · values: structs by value in Go
- leaves, structs, lists: what each shape answers · tracker: one kind, as update and apply need it
- entries: metadata.managedFields as sets by owner, and back
- update: what a create, update or patch makes of the entries · apply: what an apply makes of everything
- conflict: the 409 · reset: fields that a strategy puts back, so that nobody owns them

All of it is pure: dicts in, dicts out. The rules are those of structured-merge-diff and of apimachinery's
managedfields package.
"""
