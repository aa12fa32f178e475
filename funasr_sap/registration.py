"""Make FunASR know SAP²: its classes in the tables, its embedded default under a name."""

from pathlib import Path

PRETRAINED = Path(__file__).parent / "pretrained"
# Its name, and the short one.
EMBEDDED = {name: PRETRAINED / "sap2_tiny" for name in ("sap2-tiny", "sap2")}


def register() -> None:
    """Register the classes and the names; doing it again changes nothing."""
    from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms

    import funasr_sap.data.dataset
    import funasr_sap.models.adaptor
    import funasr_sap.models.encoders
    import funasr_sap.models.filter_augment
    import funasr_sap.models.frontend
    import funasr_sap.models.sap2  # noqa: F401  (importing them registers the classes)

    for name, path in EMBEDDED.items():
        name_maps_ms[name] = name_maps_hf[name] = str(path)
