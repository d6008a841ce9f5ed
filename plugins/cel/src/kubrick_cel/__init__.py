"""CEL, the language of policies, conditions, selectors and custom resources' rules, as Kubernetes declares it.

`shapes` says what a variable is made of, `declarations` which variables and functions there are where,
`environment` compiles and checks an expression and says what is wrong in Kubernetes' words. The engine is Google's
(cel-expr-python), imported when the first expression is looked at. A library: it answers no hooks.
"""

from kubrick_cel.shapes import ANY, BOOL, INT, STRING, ListOf, MapOf, Shape, Struct

__all__ = ["ANY", "BOOL", "INT", "STRING", "ListOf", "MapOf", "Shape", "Struct"]
