"""torch programs as NumPy programs: tensors that carry an array, and what ATen's operations mean on
it.

Any torch code reaches ATen's operations. `carrier` has a tensor that carries an array which speaks
NumPy's two protocols (a Ball, a Tracer of Balls, an ndarray, a Symbol) and the mode that sees every
operation; the files beside it say what each operation is in NumPy, or in refgrad.nn, a line for
each:

    elementwise   functions of one entry, or of entries at the same place
    shapes        views, copies, joining and padding
    positions     reading and writing at positions: gather, scatter, index, embedding
    reductions    sums, products, extremes, norms; sorting
    matrices      products, decompositions, solving
    layers        what torch.nn.functional's layers reach
    losses        what its losses reach

An operation enters the table by the decorators of `table`.
"""

from importlib import import_module

from .carrier import carried as carried
from .table import OPERATIONS as OPERATIONS
from .table import NoLine as NoLine

for _family in ("elementwise", "shapes", "positions", "reductions", "matrices", "layers", "losses"):
    import_module(f"{__name__}.{_family}")
