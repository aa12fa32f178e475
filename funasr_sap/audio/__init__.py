"""Audio from whatever users hand over, or one clear sentence why it cannot be used.

Nothing here imports torch or PyAV before it is needed: tools that only measure audio start at once.
"""

from funasr_sap.audio.load import SAMPLE_RATES, load_audio

__all__ = ["SAMPLE_RATES", "load_audio"]
