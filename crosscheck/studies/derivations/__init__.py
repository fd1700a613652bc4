"""The book of derivations: worked examples, classical identities and random expressions, derived and proved."""
