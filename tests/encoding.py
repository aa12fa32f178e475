"""Audio and video files of many kinds, written by ffmpeg's libraries."""

import av
import numpy as np

# Container, codec and rate of the codec, by suffix.
KINDS = {
    "m4a": ("ipod", "aac", 16000),
    "m4b": ("ipod", "alac", 16000),
    "mp4": ("mp4", "aac", 44100),
    "mov": ("mov", "pcm_s16le", 16000),
    "3gp": ("3gp", "libopencore_amrnb", 8000),
    "aac": ("adts", "aac", 16000),
    "latm": ("latm", "aac", 16000),
    "webm": ("webm", "libopus", 48000),
    "mkv": ("matroska", "libmp3lame", 16000),
    "mka": ("matroska", "aac", 44100),
    "wma": ("asf", "wmav2", 44100),
    "flv": ("flv", "aac", 44100),
    "avi": ("avi", "libmp3lame", 16000),
    "mpegts": ("mpegts", "aac", 16000),
    "mpg": ("mpeg", "mp2", 16000),
    "amr": ("amr", "libopencore_amrnb", 8000),
    "ac3": ("ac3", "ac3", 48000),
    "wv": ("wv", "wavpack", 16000),
    "tta": ("tta", "tta", 16000),
    "mp2": ("mp2", "mp2", 16000),
    "mp3": ("mp3", "libmp3lame", 16000),
    "flac": ("flac", "flac", 16000),
    "opus": ("ogg", "libopus", 48000),
    "ogg": ("ogg", "libopus", 48000),
    "caf": ("caf", "alac", 16000),
}


def encode(path, samples, suffix=None, streams=1, video=False, layout="mono", options=None):
    """Write a file of the kind that its suffix names.

    Args:
        path: the file.
        samples: (n,) or, with as many channels as ``layout``, (channels, n) fp32 at 16 kHz.
        suffix: of ``KINDS``, where the path has another one.
        streams: audio tracks; those after the first are silent.
        video: write a picture track before them.
        layout: of the channels.
        options: of the container.
    """
    form, codec, rate = KINDS[suffix or str(path).rpartition(".")[2]]
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        if video:
            picture = container.add_stream("mpeg4", rate=5)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        tracks = [container.add_stream(codec, rate=rate, layout=layout) for _ in range(streams)]
        if video:
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        for number, track in enumerate(tracks):
            _encode_track(container, track, np.atleast_2d(samples) * (number == 0), rate, layout)
    return path


def encode_video_alone(path):
    """Write an MP4 without sound."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(
                picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24"))
            )
        container.mux(picture.encode(None))
    return path


def _encode_track(container, track, samples, rate, layout) -> None:
    context = track.codec_context
    context.bit_rate = 64000
    if not context.is_open:  # the first packet of a picture opens all tracks
        context.open()
    resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), "fltp", layout)
    frame.sample_rate = 16000
    for part in (frame, None):
        for piece in resampler.resample(part):
            container.mux(track.encode(piece))
    container.mux(track.encode(None))
