"""What a file is, by how it begins: audio, something else that has a name, or neither."""

import codecs
import contextlib

HEAD = 16384  # bytes that tell
_TEXT = 4096  # of them, for text
_SMALL_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_CONTROLS = bytes({*range(32), 127} - {*b"\b\t\n\f\r\x1b"})  # which no text holds

# Audio, and containers that may hold it: what libsndfile or ffmpeg's libraries may read.
_AUDIO = (
    *(
        b"RIFF",
        b"RIFX",
        b"RF64",
        b"BW64",
        b"riff\x2e\x91\xcf\x11",
        b"FORM",
        b"caff",
        b".snd",
        b"dns.",
        b"NIST_1A",
    ),
    *(b"fLaC", b"OggS", b"ID3", b"wvpk", b"MAC ", b"TTA1", b"tBaK", b"MPCK", b"MP+", b"DSD ", b"FRM8"),
    *(b"Creative Voice File", b" paf", b"fap ", b"2BIT", b"PVF1", b"ALawSoundFile", b"\x64\xa3\x03\x00"),
    *(b"#!AMR", b"\x0b\x77", b"\x7f\xfe\x80\x01", b".RMF", b"FLV\x01", b"\x00\x00\x01\xba"),
    *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # Matroska and WebM; ASF: WMA, WMV
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof", b"sidx")

_OTHERS = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"\x1f\x8b\x08": "gzip data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "Zstandard data",
    b"\x04\x22\x4d\x18": "LZ4 data",
    b"LZIP": "lzip data",
    b"Rar!\x1a\x07": "a RAR archive",
    b"MSCF\x00": "a CAB archive",
    b"!<arch>\n": "an ar archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"8BPS": "a Photoshop image",
    b"%PDF": "a PDF file",
    b"\xd0\xcf\x11\xe0": "an Office file",
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
    b"\xca\xfe\xba\xbe": "a program",
    b"\x00asm": "a WebAssembly program",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"CDF\x01": "a NetCDF file",
    b"MATLAB 5.0": "a MATLAB file",
    b"\xd6\xfd\xb2\x7e": "a transducer (OpenFst)",
    b"ARROW1": "an Arrow file",
    b"\x80\x02}": "a pickle",
    b"\x80\x02]": "a pickle",
    b"\x80\x03}": "a pickle",
    b"\x80\x03]": "a pickle",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
    b"MThd": "a MIDI file, notes without sound",
    b"wOFF": "a font",
    b"wOF2": "a font",
}
_LFS = b"version https://git-lfs"


def is_audio(head: bytes) -> bool:
    """Tell whether bytes begin as audio or as a container that may hold audio does."""
    return (
        (head.startswith(_AUDIO) and head[8:12] != b"WEBP")
        or head[4:8] in _MP4_BOXES
        or _is_transport_stream(head)
        or any(_is_chain(head, length) for length in (_mpeg_length, _adts_length, _latm_length))
    )


def name_other(head: bytes) -> str | None:
    """Name what bytes are that are no audio; None where they may be anything."""
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            return name
    if head[8:12] == b"WEBP":
        return "a WebP image"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[1:4] == b"\r\r\n":
        return "compiled Python"
    if head[:4] in (b"\x00\x01\x00\x00", b"OTTO", b"true") and b"cmap" in head[:512]:
        return "a font"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "a BMP image"
    return _name_text(head)


def _name_text(head: bytes) -> str | None:
    text = _decode_text(head[:_TEXT])
    if not text:
        return None
    begin = text.lstrip("\ufeff \t\r\n").lower()
    if begin.startswith(("<!doctype html", "<html")) or "<html" in begin[:1000] or "<body" in begin[:1000]:
        return "an HTML page"
    if head.startswith(_LFS):
        return "a Git LFS pointer, whose file was not fetched (git lfs pull)"
    if begin.startswith("<?xml"):
        return "XML"
    return "JSON" if begin.startswith(("{", "[")) else "text"


def _decode_text(head: bytes) -> str | None:
    """Decode bytes as text; None for bytes that no text holds, though samples do."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as that of UTF-16
        text = head[: len(head) // 4 * 4].decode("utf-32", "replace")
        return text if _is_text(text) else None
    wide = _wide_encoding(head)
    if wide:
        return head[: len(head) // 2 * 2].decode(wide)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # also the samples -2 and -257
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
        letters = sum(each.isascii() and _is_in_texts(each) for each in text)
        return text if letters > 0.15 * len(text) and _is_text(text) else None
    if len(head.translate(None, _CONTROLS)) < len(head):
        return None
    for encoding in ("utf-8", "gb2312", "shift_jis", "euc_jp", "euc_kr", "big5"):
        with contextlib.suppress(UnicodeDecodeError):  # the end may lie within a character
            text = codecs.getincrementaldecoder(encoding)().decode(head)
            return text if _is_text(text) else None
    # Of an older encoding: letters of ASCII are at even and odd places, while quiet samples have none as
    # their upper bytes.
    parts = (head[::2], head[1::2])
    return (
        head.decode("cp437") if all(sum(map(_is_ascii, part)) > 0.15 * len(part) for part in parts) else None
    )


def _wide_encoding(head: bytes) -> str | None:
    """Tell UTF-16 without a mark, of Latin letters: small letters and blanks, with nothing in between.

    Quiet samples with an offset are numbers as small, but not these alone.
    """
    for encoding, low, high in (("utf-16-le", head[::2], head[1::2]), ("utf-16-be", head[1::2], head[::2])):
        letters = sum(byte in _SMALL_LETTERS for byte in low)
        blanks = low.count(b" ") + low.count(b"\n")
        if not high.strip(b"\0") and 20 * blanks > len(low) and letters + blanks > 0.8 * len(low):
            return encoding
    return None


def _is_text(text: str) -> bool:
    return sum(map(_is_in_texts, text)) >= 0.95 * len(text)


def _is_in_texts(character: str) -> bool:
    # Quiet samples, read as UTF-16, are characters from U+FF00 on.
    known = character.isprintable() or character.isspace() or character in "\b\x1b\ufeff"
    return known and (character < "\uff66" or character > "\uffff")


def _is_ascii(byte: int) -> bool:
    return byte < 128


def _is_transport_stream(head: bytes) -> bool:
    """Tell MPEG-TS: packets of 188 bytes, in M2TS with 4 more before each."""
    return any(
        len(head) > start + 2 * step and all(head[start + k * step] == 0x47 for k in range(3))
        for start, step in ((0, 188), (4, 192))
    )


def _is_chain(head: bytes, frame_length) -> bool:
    """Tell three frames, or fewer to the very end: the bits that mark one occur in samples by chance."""
    start = 0
    for _ in range(3):
        length = frame_length(head[start:])
        start += length
        if not length or start > len(head):
            return False
        if start == len(head):
            return True
    return True


def _adts_length(head: bytes) -> int:
    """Bytes of an AAC frame (ADTS), 0 where none begins."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


def _latm_length(head: bytes) -> int:
    """Bytes of an AAC frame (LATM), 0 where none begins."""
    if len(head) < 4 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return 0
    return ((head[1] & 31) << 8 | head[2]) + 3


# kbit/s of MPEG 1, layers 2 and 3; and of MPEG 2 and 2.5, both layers.
_LAYER_2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44100, 48000, 32000)  # Hz of MPEG 1; MPEG 2 has half of it, MPEG 2.5 a quarter


def _mpeg_length(head: bytes) -> int:
    """Bytes of an MP3 or MP2 frame, 0 where none begins."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3  # 3, 2, 0: MPEG 1, 2, 2.5; 2, 1: layers 2, 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bitrate in (0, 15) or rate == 3:
        return 0
    kbits = (_LOW if version != 3 else _LAYER_3 if layer == 1 else _LAYER_2)[bitrate]
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    slots = 72 if layer == 1 and version != 3 else 144
    return slots * 1000 * kbits // hertz + (head[2] >> 1 & 1)
