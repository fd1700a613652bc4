"""The libraries that differentiate networks."""
