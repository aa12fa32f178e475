"""What libsndfile does not read, through ffmpeg's libraries (PyAV): M4A, MP4, WebM, MKV, AAC, WMA ..."""

import contextlib
import logging
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

# Formats that may be opened, by ffmpeg's names. Playlists are none of them: they would open other files
# and addresses.
FORMATS = (
    "mov,mp4,matroska,webm,asf,aac,loas,amr,mpegts,mpeg,flv,avi,wav,w64,aiff,au,caf,flac,ogg,mp3,ac3,eac3,dts,"
    "wv,ape,tta,tak,mpc,mpc8,rm,voc,dsf,iff"
)
# Formats whose headers say how long they are; for the others ffmpeg guesses.
TIMED = {"mov", "matroska", "asf", "avi", "flv", "wav", "caf", "aiff"}
CUT = 0.5  # seconds less than promised that are no rounding

logger = logging.getLogger(__name__)


def decode_container(stream: BinaryIO, name: str) -> tuple[np.ndarray, int]:
    """Decode the first audio track of a container.

    Args:
        stream: a file object that can seek.
        name: of the audio, for a warning about a file that is cut or damaged; what can be decoded is used.

    Returns:
        samples, (n, channels) fp32, and their rate in Hz.

    Raises:
        ValueError: with the reason why there are none.
    """
    with _open(stream) as (container, track):
        promised = _promised_seconds(container, track)
        problems: list[str] = []
        pieces, rate = _to_arrays(_frames(container, track, problems))
    if not pieces:
        raise _without_samples(problems)
    samples = np.concatenate(pieces, 1).T
    seconds = len(samples) / rate
    if problems:
        text = "%s: cut off or damaged (%s); the %.1f s that can be decoded are used"
        logger.warning(text, name, problems[0], seconds)
    elif promised and seconds < promised - CUT:
        text = "%s: cut off at %.1f of %.1f s; what there is of it is used"
        logger.warning(text, name, seconds, promised)
    return samples, rate


def measure_container(stream: BinaryIO) -> tuple[int, int]:
    """Count the samples of the first audio track, without decoding where its packets say how long they are.

    Returns:
        samples and their rate in Hz.

    Raises:
        ValueError: with the reason why there are none.
    """
    with _open(stream) as (container, track):
        ticks, rate = _count_ticks(container, track), track.rate
        if ticks and rate:
            return round(ticks * track.time_base * rate), rate
    stream.seek(0)
    problems: list[str] = []
    with _open(stream) as (container, track):
        pieces, rate = _to_arrays(_frames(container, track, problems))
    if not pieces:
        raise _without_samples(problems)
    return sum(piece.shape[1] for piece in pieces), rate


def _count_ticks(container, track) -> int | None:
    """Add the packets' durations, in units of the track's time base; None where one has none."""
    from av.error import FFmpegError

    ticks, first = 0, None
    with contextlib.suppress(FFmpegError):  # a cut file: what there is of it counts
        for packet in container.demux(track):
            if not packet.size or packet.is_corrupt:
                continue
            if not packet.duration:
                return None
            first = packet.pts if first is None else first
            ticks += packet.duration
    return ticks + min(0, first or 0)  # what lies before the beginning is not played


def _without_samples(problems: list[str]) -> ValueError:
    return ValueError(f"not readable as audio ({problems[0] if problems else 'its audio track is empty'})")


@contextlib.contextmanager
def _open(stream: BinaryIO) -> Iterator[tuple]:
    """Open a container and find its first audio track; what ffmpeg says about it becomes one sentence."""
    import av.error  # takes a fifth of a second, and few files need it

    try:
        # Tags in an old encoding are no reason to fail.
        options = {"format_whitelist": FORMATS}
        with av.open(stream, metadata_errors="replace", container_options=options) as container:
            if not container.streams.audio:
                kinds = sorted({each.type for each in container.streams}) or ["nothing"]
                raise ValueError(f"holds no audio, only {' and '.join(kinds)}")
            track = container.streams.audio[0]
            if track.codec_context is None:
                raise ValueError("not readable as audio (its codec is not known)")
            yield container, track
    except av.error.FFmpegError as error:
        raise ValueError(f"not readable as audio ({_reason(error)})") from None


def _frames(container, track, problems: list[str]) -> Iterator:
    """Decode packet by packet, past damaged ones, which are noted."""
    from av.error import FFmpegError

    packets = container.demux(track)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:  # it goes no further
            problems.append(_reason(error))
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            if packet.size:
                problems.append(_reason(error))
            continue
        yield from frames


def _to_arrays(frames: Iterator) -> tuple[list[np.ndarray], int]:
    """Turn frames into (channels, n) fp32 of the first one's rate and layout, which a stream may change."""
    from av import AudioFrame, AudioResampler

    pieces, target, source, resampler = [], None, None, None

    def convert(resampler: AudioResampler, frame: AudioFrame | None) -> None:
        pieces.extend(each.to_ndarray() for each in resampler.resample(frame))

    for frame in frames:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        target = target or form
        if resampler is None or form != source:
            if resampler:
                convert(resampler, None)
            resampler, source = AudioResampler("fltp", target[1], target[2]), form
        convert(resampler, frame)
    if resampler:
        convert(resampler, None)
    return [piece for piece in pieces if piece.size], target[2] if target else 0


def _promised_seconds(container, track) -> float | None:
    if TIMED.isdisjoint(container.format.name.split(",")):
        return None
    if track.duration:
        return float(track.duration * track.time_base)
    if container.duration and len(container.streams) == 1:  # else it may be the picture's
        return container.duration / 1_000_000  # ffmpeg counts microseconds
    return None


def _reason(error) -> str:
    return getattr(error, "strerror", None) or str(error)
