"""Speed, codecs and validation: each a folder with a page or a table of its own."""
