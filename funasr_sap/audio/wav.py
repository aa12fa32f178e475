"""The header of a WAV file, whose length many programs never write."""

import struct
from typing import NamedTuple

PCM, FLOAT = 1, 3  # format tags
_CHUNK = "4sI"  # a chunk's name and length in bytes
_FORMAT = "HHI4xHH"  # tag, channels, rate, bytes of all channels' samples, bits of one
# Chunks that stand behind the samples; where there are none at all, one of them follows at once.
_BEHIND = (b"LIST", b"id3 ", b"ID3 ", b"fact", b"bext", b"cue ", b"smpl", b"JUNK", b"PAD ", b"_PMX", b"iXML")


class WavHeader(NamedTuple):
    """Of a WAV file: format tag, channels, Hz, bytes of all channels' samples, bits, and where data lie."""

    tag: int
    channels: int
    rate: int
    block: int
    bits: int
    start: int
    length: int


def parse_wav(head: bytes) -> WavHeader | None:
    """Read the header from the first bytes of a file; None where it is another file, or they are too few."""
    if head[:4] not in (b"RIFF", b"RF64", b"RIFX") or head[8:12] != b"WAVE":
        return None
    chunk, fields = (struct.Struct(_order(head) + each) for each in (_CHUNK, _FORMAT))
    form, start = None, 12
    while start + chunk.size <= len(head):
        name, length = chunk.unpack_from(head, start)
        start += chunk.size
        if name == b"data":
            return WavHeader(*form, start, length) if form else None
        if name == b"fmt ":
            if start + fields.size > len(head):
                return None
            tag, channels, rate, block, bits = fields.unpack_from(head, start)
            form = tag, channels, rate, block, bits
        start += length + length % 2  # chunks begin at even places
    return None


def _order(head: bytes) -> str:
    """Tell the order of the bytes of a number: RIFX has the largest first."""
    return ">" if head[:4] == b"RIFX" else "<"


def mend_length(data: bytes) -> bytes | None:
    """Write the length of all that follows into a header that has 0; None where that is not what is wrong."""
    if data[:4] == b".snd" and data[8:12] == bytes(4):
        return data[:8] + b"\xff\xff\xff\xff" + data[12:]  # AU's sign of a length that is not known
    header = parse_wav(data)
    if header is None:
        return None
    rest = data[header.start :]
    unknown = header.length == 0 or (data[:4] == b"RF64" and header.length == 2**32 - 1)
    if not rest or not unknown or rest.startswith(_BEHIND):
        return None
    length = struct.pack(_order(data) + "I", min(len(rest), 2**32 - 2))
    # RF64 has its lengths in a chunk that RIFF does not know.
    return (
        (b"RIFX" if data[:4] == b"RIFX" else b"RIFF")
        + b"\xff\xff\xff\xff"
        + data[8 : header.start - 4]
        + length
        + rest
    )
