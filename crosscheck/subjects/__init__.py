"""What can be on trial: a function of named arrays, with ways to its derivatives."""
