"""The errors of the report."""


class ReportError(Exception):
    """A file of the report is missing, broken, of another kind or cannot be written; says which and
    what to do."""
