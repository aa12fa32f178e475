"""funasr_sap: SAP², contextual speech recognition with long keyword lists, for FunASR.

Importing it makes the model, its dataset and the embedded default (``model="sap2"``) known to FunASR.
FunASR takes seconds to import, so that happens only when it is first needed: tools that score or
convert data start at once.
"""

import wrapt

__version__ = "0.2.0"


@wrapt.when_imported("funasr")
def _register(funasr):
    from funasr_sap.registration import register

    register()


def __getattr__(name: str):
    if name == "AutoModel":
        from funasr_sap.auto_model import AutoModel

        return AutoModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
