from funasr_sap.text.columns import align, display_width


def test_chinese_is_twice_as_wide():
    assert [display_width(text) for text in ("abc", "光合", "e\u0301")] == [3, 4, 1]
    assert align([("a", "bc"), ("光", "d")]) == [["a ", "bc"], ["光", "d "]]
