"""Links: media on integer nanoseconds; knows nothing of learning or simpy."""
