"""The vocabulary of random networks: every layer and loss, a file for each kind."""

from . import activations as activations
from . import affine as affine
from . import losses as losses
from . import norms as norms
from . import sequences as sequences
from . import spatial as spatial
