"""Files that are copied: whole, or as they were."""

import shutil

import pytest

from funasr_sap.data.files import copy_folder


def test_a_folder_is_copied_into_one_that_has_others(tmp_path):
    for name in ("old/a.txt", "old/deep/b.txt", "new/c.txt", "new/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    copy_folder(tmp_path / "old", tmp_path / "new")
    found = {path.name: path.read_text() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert found == {"a.txt": "old/a.txt", "b.txt": "old/deep/b.txt", "c.txt": "new/c.txt"}


def test_a_copy_that_breaks_off_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old/a.txt").write_text("of the other")
    (tmp_path / "new/a.txt").write_text("whole")

    def break_off(source, target):
        target.write(source.read(3))
        raise OSError(28, "the disk is full")

    monkeypatch.setattr(shutil, "copyfileobj", break_off)
    with pytest.raises(OSError, match="the disk is full"):
        copy_folder(tmp_path / "old", tmp_path / "new")
    assert [path.read_text() for path in (tmp_path / "new").iterdir()] == ["whole"]
