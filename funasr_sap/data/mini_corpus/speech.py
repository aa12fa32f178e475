"""Speech from espeak-ng, called through ctypes in this process.

What espeak-ng says depends on all it said before: its oscillators and its flutter run on from call to call,
and neither ``espeak_ng_SetRandSeed`` nor a new voice sets them back. Starting it anew in one process
corrupts it. Bytes are therefore only repeatable from a fresh process on: render one talk per process.
"""

import ctypes
import functools
import itertools
from dataclasses import dataclass

import numpy as np

from funasr_sap.errors import ConfigError, DataError
from funasr_sap.extras import import_extra

SAMPLE_RATE = 22_050

# Of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
# Of 100, the default, at which the loud voices are clipped.
_QUIET = 25
_EVENTS_END, _WORD, _SENTENCE_END = 0, 1, 5


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # of the word's first character, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Prosody:
    """How to speak: ``rate`` in words a minute, ``pitch`` and ``range`` (of pitch) from 0 to 99."""

    rate: int
    pitch: int
    range: int


@dataclass(frozen=True)
class Speech:
    """What was said: ``samples`` (S,) int16 at 22.05 kHz, and when.

    Attributes:
        samples: the sound.
        words: (word, first sample, end sample) of the words that espeak-ng says on their own; it joins some,
            such as "of the".
    """

    samples: np.ndarray
    words: tuple[tuple[str, int, int], ...]


class Synthesizer:
    """espeak-ng; there is one a process: see ``get_synthesizer``."""

    def __init__(self):
        espeakng_loader = import_extra("espeakng_loader", "the mini corpus")
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._chunks: list[bytes] = []
        self._starts: list[tuple[int, int]] = []  # character and sample, of words and of the end
        # The library keeps the pointer only: without this attribute the callback would be freed.
        self._callback = _Callback(self._keep)
        data_path = str(espeakng_loader.get_data_path()).encode()
        rate = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, 0)
        if rate != SAMPLE_RATE:
            raise ConfigError(
                f"espeak-ng did not start: got {rate}, expected a sample rate of {SAMPLE_RATE} Hz"
            )
        self._library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        for event in itertools.takewhile(
            lambda each: each.type != _EVENTS_END, map(events.__getitem__, itertools.count())
        ):
            if event.type in (_WORD, _SENTENCE_END):
                # Words are counted from 1, the end of a sentence is after its last character.
                self._starts.append((event.text_position - (event.type == _WORD), event.sample))
        return 0

    def speak(self, text: str, voice: str, prosody: Prosody) -> Speech:
        """Synthesise a text.

        Args:
            text: what to say.
            voice: espeak-ng's name, such as ``en-us+f2``.
            prosody: rate and pitch.

        Returns:
            The sound, and when each word is said.
        """
        self._chunks.clear()
        self._starts.clear()
        status = self._library.espeak_SetVoiceByName(voice.encode())
        if status != 0:
            raise ConfigError(
                f"espeak-ng has no voice {voice!r} (status {status}): try another espeakng-loader"
            )
        parameters = {_RATE: prosody.rate, _VOLUME: _QUIET, _PITCH: prosody.pitch, _RANGE: prosody.range}
        for parameter, value in parameters.items():
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        status = self._library.espeak_Synth(data, size, 0, 0, 0, _CHARS_UTF8, None, None)
        samples = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
        if status != 0 or not samples.any():
            raise DataError(f"espeak-ng gave no sound for {text!r} in voice {voice!r} (status {status})")
        return Speech(samples, self._words(text))

    def _words(self, text: str) -> tuple[tuple[str, int, int], ...]:
        words = []
        for (here, start), (following, end) in itertools.pairwise(self._starts):
            said = text[here:following].split()
            if len(said) == 1:
                words.append((said[0], start, end))
        return tuple(words)


@functools.cache
def get_synthesizer() -> Synthesizer:
    """The synthesizer of this process."""
    return Synthesizer()
