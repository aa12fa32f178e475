"""Training: from nothing, and finetuning, with FunASR's Trainer."""
