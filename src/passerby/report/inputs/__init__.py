"""What a report reads: the runs, their records and their evaluation."""
