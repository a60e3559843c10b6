"""Learning: problems, compressors, tuners and agents; knows nothing of time, links or simpy."""
