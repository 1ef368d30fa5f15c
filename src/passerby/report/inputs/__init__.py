"""The inputs of a report: runs, their records and their evaluations."""
