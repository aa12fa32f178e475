"""Decoding a list of utterances with any of FunASR's models: in batches, in processes, resumable."""
