#!/usr/bin/env python3
"""Give a model's audio encoder more blocks. Until they are trained, the model does what it did before.

python tools/deepen_encoder.py --model-dir exp/mine --num-blocks 9 --output-dir exp/deeper
"""

import argparse
from pathlib import Path

from funasr_sap.tool import run


def main(argv=None):
    """Read a model, deepen its encoder, write the new one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="a model directory")
    parser.add_argument("--num-blocks", type=int, required=True, help="blocks that its encoder is to have")
    parser.add_argument("--output-dir", type=Path, required=True, help="the directory to write")
    arguments = parser.parse_args(argv)
    from funasr_sap.models.deepening import deepen_encoder
    from funasr_sap.models.standalone import read_standalone, write_standalone

    state, config, tokenizer = read_standalone(arguments.model_dir, "model.pt")
    state = deepen_encoder(state, arguments.num_blocks)
    config["audio_encoder_conf"]["num_blocks"] = arguments.num_blocks
    write_standalone(arguments.output_dir, state, config, source=arguments.model_dir, tokenizer=tokenizer)
    print(f"{arguments.output_dir}: {sum(value.numel() for value in state.values()) / 1e6:.2f} M parameters")


if __name__ == "__main__":
    run(main)
