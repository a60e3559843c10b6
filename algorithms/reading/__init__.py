"""Files of datasets: where they lie and how they are read."""
