"""Whisper's log-mel features behind the interface of FunASR's frontends."""

import torch
from funasr.register import tables
from transformers import WhisperFeatureExtractor

from funasr_sap.errors import DataError
from funasr_sap.models.whisper_mel import HOP, LOOKAHEAD


@tables.register("frontend_classes", "WhisperMel")
class WhisperMel(torch.nn.Module):
    """Whisper's features without their padding, which its encoder adds again.

    Args:
        fs: Hz; Whisper's is 16,000.
        n_mels: mel bands.
        chunk_length: seconds that the encoder hears at most; longer audio is an error.
        subsampling: not read: the encoder tells it; older configurations have it.
    """

    frame_shift = 10  # ms
    lfr_n = 1  # FunASR's name for the frames that make one

    def __init__(
        self, fs: int = 16000, n_mels: int = 80, chunk_length: int = 30, subsampling: int | None = None
    ):
        super().__init__()
        self.fs, self.n_mels, self.max_seconds = fs, n_mels, chunk_length
        self.extractor = WhisperFeatureExtractor(
            feature_size=n_mels, sampling_rate=fs, hop_length=HOP, chunk_length=chunk_length
        )

    def output_size(self) -> int:
        """Tell the width of the features."""
        return self.n_mels

    def forward(self, waveforms: torch.Tensor, lengths, **kwargs) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute features.

        Args:
            waveforms: (B, samples).
            lengths: B numbers of samples.
            **kwargs: what else FunASR hands to every frontend; not read.

        Returns:
            features: (B, frames, n_mels), the look-ahead included.
            lengths: (B,) frames, the look-ahead included.

        Raises:
            DataError: for audio that is longer than the encoder hears.
        """
        lengths = torch.as_tensor(lengths)
        longest, limit = int(lengths.max()) / self.fs, self.extractor.chunk_length
        if longest > limit:
            raise DataError(
                f"audio of {longest:.2f} s; expected {limit} s at most, which is all that Whisper's encoder "
                "hears: cut it, by vad_model or beforehand"
            )
        speech = [waveform[:length].numpy() for waveform, length in zip(waveforms, lengths, strict=True)]
        mel = self.extractor(speech, sampling_rate=self.fs, return_tensors="pt").input_features.transpose(
            1, 2
        )
        frames = (-(-lengths // HOP)).clamp(max=mel.shape[1]) + LOOKAHEAD
        mel = torch.nn.functional.pad(mel, (0, 0, 0, LOOKAHEAD))
        return mel[:, : int(frames.max())], frames
