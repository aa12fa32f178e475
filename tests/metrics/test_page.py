import html.parser
import json
import re

import pytest

from funasr_sap.metrics import Options, Run, evaluate, score
from funasr_sap.metrics.page import render_page

EVIL = "</script><script>alert(1)</script>"
REFERENCES = {
    "s-1": f"the {EVIL} zebra & gnu",
    'u<b>"2': "we saw a zebra 42",
    "s-3": "{{ 7 * 7 }} right",
    "s-4": "the '\" zebra",
}
WITHOUT = REFERENCES | {"s-1": "the <i>deep zeb & gnu", 'u<b>"2': "we saw zebu 42", "s-4": "'\" zebra <!--"}
WITH = REFERENCES | {"s-1": f"the {EVIL} zebra & knew"}
LISTS = {"s-1": ["zebra", "<u>"], 'u<b>"2': ["zebra", "gnu", "&amp;"], "s-3": [], "s-4": ["zebra"]}
VOID = {"meta", "input", "line", "rect", "circle", "path", "polyline"}


def run(hyp, texts, lists=LISTS):
    result = score(REFERENCES, texts, lists)
    return Run(hyp, "lists", texts, lists, None, result)


def rendered(runs, compared=None, options=None):
    options = options or Options(50, 0, {utt_id: f"{utt_id[0]}<s>" for utt_id in REFERENCES}, True, True)
    report = evaluate(runs, compared, options) | {"ref": "<ref>", "normalize": "none", "unit": "word"}
    return report, render_page(report, REFERENCES, [*runs, *([compared] if compared else [])])


class Page(html.parser.HTMLParser):
    """The elements of a page: open tags, texts, figures by path, and text that is neither figure nor data."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.figures, self.prose, self.stack, self.attributes = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop()[0] == tag, "tags are not well nested"

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, text):
        tag, attributes = self.stack[-1] if self.stack else ("", {})
        classes = (attributes.get("class") or "").split()
        if "data-path" in attributes:
            self.figures.append((attributes["data-path"], attributes.get("value"), text))
        elif "data" in classes:
            self.texts.append(text)
        elif tag not in ("style", "script", "title") and not {"tick", "key"} & set(classes):
            self.prose.append(text)


def looked_up(report, path):
    for key in path.split("."):
        report = report[int(key) if isinstance(report, list) else key]
    return len(report) if isinstance(report, list) else report


@pytest.fixture(scope="module")
def compared():
    return rendered([run("hyp<1>", WITHOUT)], run("hyp<2>", WITH))


def test_every_number_equals_the_json(compared):
    report, page = compared
    report = json.loads(json.dumps(report))
    found = Page(page).figures
    assert len(found) > 150
    for path, value, shown in found:
        expected = looked_up(report, path)
        if value is not None:
            assert value == str(expected)
        if expected is None:
            assert shown == "-"
        elif isinstance(expected, float):
            digits = 4 if path.endswith("p_value") else 2
            assert float(shown) == round(expected, digits)
        else:
            assert shown.lstrip("+") == str(expected)


def test_all_results_are_shown_and_nothing_else_is_a_number(compared):
    _, page = compared
    parsed = Page(page)
    paths = {path for path, _, _ in parsed.figures}
    for prefix in ("", "compare."):
        for rate in ("wer", "u_wer", "b_wer"):
            assert {
                f"{prefix}{rate}.{count}" for count in ("error_rate", "ref_words", "subs", "ins", "dels")
            } <= paths
            assert {f"{prefix}bootstrap.{rate}.{bound}" for bound in (0, 1)} <= paths
    assert {"compare.helped", "compare.hurt", "compare.difference.b_wer.p_value"} <= paths
    assert {f"per_utterance.{place}.gain" for place in range(4)} <= paths
    assert {
        "sessions.1.wer.error_rate",
        "by_n.2.b_wer.error_rate",
        "hotword.f1",
        "sentence_error_rate",
    } <= paths
    assert not re.search(r"\d", "".join(parsed.prose).replace("F1", ""))


def test_texts_ids_and_names_are_escaped(compared):
    _, page = compared
    parsed = Page(page)
    assert parsed.stack == []
    assert parsed.tags.count("script") == 1
    assert not {"b", "i", "u", "s", "ref"} & set(parsed.tags)
    assert EVIL in parsed.texts and "<i>deep" in parsed.texts
    assert "{{ 7 * 7 }} right" in parsed.texts and "<!--" in parsed.texts
    assert {"hyp<1>", "hyp<2>", "<ref>", 'u<b>"2', "s<s>"} <= set(parsed.texts)
    ids = {attributes["data-id"] for tag, attributes in parsed.attributes if tag == "article"}
    assert ids == set(REFERENCES)


def test_the_page_needs_nothing_else(compared):
    _, page = compared
    parsed = Page(page)
    for tag, attributes in parsed.attributes:
        assert not {"src", "href", "action", "srcset", "style", "onclick"} & attributes.keys(), tag
    assert not {"link", "img", "iframe", "object"} & set(parsed.tags)
    assert "url(" not in page and "@import" not in page and "http:" not in page and "https:" not in page
    assert "default-src 'none'" in page


def test_mended_words_are_marked_and_the_largest_gain_comes_first(compared):
    _, page = compared
    parsed = Page(page)
    assert page.count('class="data mended">zebra<') == 2
    assert page.count('class="data wrong">zeb<') == 1 and page.count('class="data wrong">knew<') == 1
    gains = [int(attributes["data-gain"]) for tag, attributes in parsed.attributes if tag == "article"]
    assert gains == sorted(gains, reverse=True)


def test_bars_and_intervals_stand_at_the_height_of_their_figures(compared):
    report, page = compared
    charts = page.split("<svg")[1]
    ticks = re.findall(r'<text class="tick" x="\d+" y="([\d.]+)" text-anchor="end">([\d.]+)</text>', charts)
    (zero, bottom), (top, height) = ((float(label), float(y) - 4) for y, label in (ticks[0], ticks[-1]))
    assert zero == 0.0
    bars = re.findall(r'<rect class="f(\d)" x="[\d.]+" y="([\d.]+)"', charts)
    rates = [
        system[rate]["error_rate"]
        for rate in ("wer", "u_wer", "b_wer")
        for system in (report, report["compare"])
    ]
    for rate, (_, y) in zip(rates, bars, strict=True):
        assert float(y) == pytest.approx(bottom + (height - bottom) * rate / top, abs=0.01)
    assert [number for number, _ in bars] == ["1", "2"] * 3
    assert charts.split("</svg>")[0].count("whisker") == 6


def test_several_lists_give_a_curve_in_the_order_of_n():
    longer = {utt_id: [*words, "a", "b", "c"] for utt_id, words in LISTS.items()}
    options = Options(by_utterance=True)
    report, page = rendered([run("long", WITH, longer), run("short", WITHOUT)], None, options)
    chart = page.split("<svg")[2].split("</svg>")[0]
    assert re.findall(r'data-path="(runs\.\d\.n)"', chart) == ["runs.1.n", "runs.0.n"]
    assert chart.count("<circle") == 2 and chart.count("<polyline") == 1 and "whisker" not in chart
    assert [report["runs"][place]["n"] for place in (1, 0)] == [1, 4]


def test_one_system_alone_has_neither_gains_nor_a_curve():
    _, page = rendered([run("hyp", WITHOUT)], None, Options(by_utterance=True))
    parsed = Page(page)
    assert page.count("<svg") == 1 and "mended" not in page.split("</style>")[1]
    assert not any(path.endswith("gain") for path, _, _ in parsed.figures)
