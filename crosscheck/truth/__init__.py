"""What is known at a point: exact (ball arithmetic) or estimated (differences of floats)."""
