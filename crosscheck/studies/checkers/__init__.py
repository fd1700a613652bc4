"""Other gradient checkers on the same functions: what they notice, what they blame wrongly, how long they take."""
