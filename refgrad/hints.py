"""What the hints of public functions say.

Static checkers are told of NumPy's arrays.  Arrays of other libraries, traced arrays and NumPy's
scalars may stand for them.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

#: An array, of any shape and dtype.
Array: TypeAlias = np.typing.NDArray[Any]

#: An array, or any nesting of dict, list, tuple, namedtuple and dataclass of arrays.
Nest: TypeAlias = Any

#: One size for all axes, or one for each.
Sizes: TypeAlias = int | Sequence[int]

#: A function of arrays, and what a transform makes of it.
Function: TypeAlias = Callable[..., Any]
