"""Data on disk: Kaldi directories, JSONL, biasing lists, and the synthetic mini corpus."""
