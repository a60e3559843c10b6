"""What codecs are made of; `codec.Codec` is the contract of a compressor."""
