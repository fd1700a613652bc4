"""The report: tables, plots, the page."""
