"""What the recogniser is told besides the speech: biasing lists, their retrieval, and the prompts."""
