"""How long value and gradient take: refgrad and the frameworks, as multiples of NumPy written by hand.

    problems     the programs, as data, and the one interpreter that runs them in a framework's functions
    contenders   who takes part; a file for each: `numpy_by_hand`, `refgrad_side`, `peers/...`
    worker       the process in which one contender lives
    measure      agreement first, then rounds in random order
    aims         what the project set out to reach, and whether it did
"""
