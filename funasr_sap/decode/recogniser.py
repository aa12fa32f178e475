"""Any of FunASR's models behind one call: requests in, a result or a counted failure for each out."""

from funasr_sap.auto_model import AutoModel
from funasr_sap.decode.funasr_model import FunasrModel
from funasr_sap.errors import ConfigError
from funasr_sap.models.sap2 import SAP2
from funasr_sap.options import DECODING
from funasr_sap.request import Request

SHARED_OPTIONS = [each.name for each in DECODING if not each.only_sap2]


class Recogniser:
    """A model that decodes a batch at a time; the shared biasing list is with it, not with the requests.

    Args:
        model_dir: a model directory, or a name that FunASR knows.
        device: cpu, cuda:0, ...
        threads: on a CPU.
        vad_model: cuts long audio first; None for no cutting.
        hotwords: the biasing list of all utterances; None where each request has its own.
        options: of ``generate``: language, itn, and for SAP² what ``recognise`` takes.

    Raises:
        ConfigError: for a model or options that cannot be used.
    """

    def __init__(
        self,
        model_dir: str,
        device: str = "cpu",
        threads: int = 1,
        vad_model: str | None = None,
        hotwords: list[str] | None = None,
        options: dict | None = None,
    ):
        settings = {"device": device, "ncpu": threads, "log_level": "WARNING", "disable_pbar": True}
        self.model = AutoModel(model=model_dir, vad_model=vad_model, **settings)
        self.hotwords = hotwords
        self.options = dict(options or {})
        self._recognise = self._sap2
        if not isinstance(self.model.model, SAP2):
            self._check_options(model_dir)
            self._recognise = FunasrModel(self.model, self.options)

    def __call__(self, requests: list[Request]) -> list[dict]:
        """Recognise a batch.

        Returns:
            {"key", "text", "timestamp", ...} for each request, in order; one that cannot be decoded has an
            "error".
        """
        if self.hotwords is not None:
            requests = [Request(each.key, each.audio, self.hotwords) for each in requests]
        return self._recognise(requests)

    def _sap2(self, requests):
        return self.model.generate(requests, batch_size=len(requests), **self.options)

    def _check_options(self, model_dir: str) -> None:
        foreign = sorted(set(self.options).difference(SHARED_OPTIONS))
        if foreign:
            kind = type(self.model.model).__name__
            raise ConfigError(
                f"{', '.join(foreign)}: SAP²'s alone, and {model_dir} is a {kind}; leave it out"
            )
