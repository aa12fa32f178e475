"""Text: what a word is, where a keyword stands, and the words that users hand over."""
