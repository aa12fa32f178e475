"""Decoding: from encoded speech and biasing lists to results, in steps over utterances."""
