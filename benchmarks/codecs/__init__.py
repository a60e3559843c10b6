"""Every codec's bits and errors; ``make codecs`` writes docs/compressors.md."""
