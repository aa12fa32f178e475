from pathlib import Path

import pytest

from funasr_sap.configurations import FOLDER, find_configuration, list_configurations
from funasr_sap.errors import ConfigError

ROOT = Path(__file__).parents[1]


def test_the_checkout_has_the_packages_own():
    assert (ROOT / "conf").resolve() == FOLDER.resolve() and "finetune" in list_configurations()


def test_found_by_name_and_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sap2_osum", "sap2_osum.yaml", "conf/sap2_osum.yaml"):
        assert find_configuration(name) == FOLDER / "sap2_osum.yaml"
    assert find_configuration("conf/deepspeed/zero2.json") == FOLDER / "deepspeed/zero2.json"
    (tmp_path / "sap2_osum.yaml").touch()
    assert find_configuration("sap2_osum.yaml") == Path("sap2_osum.yaml")
    for name in ("sap2_osmu", "conf", "none/finetune.yaml"):
        with pytest.raises(
            ConfigError, match=r"no such configuration: .*; expected a file, or one of auto_f"
        ):
            find_configuration(name)
