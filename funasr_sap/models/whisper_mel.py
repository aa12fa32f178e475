"""What Whisper's log-mel features are made of, for the frontend and the encoder that pads them."""

HOP = 160  # samples a frame: 10 ms
# The encoder's convolutions look two frames beyond the speech, and windows there still reach into it.
LOOKAHEAD = 2  # frames
# Whisper keeps 8 decades below the loudest value, in its scale of (log10 + 4) / 4; its floor is log10 = -10.
DYNAMIC_RANGE, FLOOR = 2.0, -1.5
