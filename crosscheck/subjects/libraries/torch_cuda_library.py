"""torch on a GPU: the same library, with its arrays there and products in the full precision of
their dtype."""

from __future__ import annotations

from contextlib import contextmanager

import torch

from .torch_library import Torch, tf32


class TorchOnCuda(Torch):
    """torch on the current GPU.

    Raises ImportError if torch finds none.
    """

    name, device = "torch-cuda", "cuda"
    imports = "import torch, torch.nn.functional as F; torch.set_default_device('cuda')"

    def __init__(self):
        if not torch.cuda.is_available():
            raise ImportError("library 'torch-cuda': torch finds no GPU (torch.cuda.is_available() "
                              "is False)")

    @contextmanager
    def at_work(self):
        with super().at_work(), tf32(allowed=False):
            yield


LIBRARY = TorchOnCuda()
