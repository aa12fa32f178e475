import html.parser
import json
import math
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from funasr_sap.errors import ConfigError, DataError
from funasr_sap.train.log import Point, Stage, Validation, read_stages
from funasr_sap.train.log_charts import make_charts, stage_bounds, thin_out
from funasr_sap.train.log_report import write_html, write_png

REAL = Path(__file__).parent / "logs" / "cpu_training.txt"
TOOL = Path(__file__).parents[2] / "tools" / "train_log_analyzer.py"
PNG = b"\x89PNG\r\n\x1a\n"


def stage(name, losses, **more):
    points = [
        Point(10 * n, 0, 0, 0, {"loss": loss, "lr": 0.1, "loss_ctc": loss, "loss_llm": loss} | more, None, 0)
        for n, loss in enumerate(losses, 1)
    ]
    last = points[-1].step
    return Stage(name, {0: points}, [Validation(last + 5, 0, {"loss": 0.5, "acc": 0.9, "wer": 20.0})])


def chart(charts, title):
    return {curve.label: curve.points for each in charts if each.title == title for curve in each.curves}


def data(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_steps_go_on_from_stage_to_stage():
    stages = [stage("a", [1.0, 2.0]), stage("b", [3.0, math.nan])]
    assert stage_bounds(stages) == [("a", 0, 25), ("b", 25, 50)]
    curves = chart(make_charts(stages), "Loss")
    assert list(curves) == ["training, each", "training", "validation", "ctc", "llm"]
    assert curves["training, each"] == [(10, 1), (20, 2), (20, None), (35, 3), (45, None), (45, None)]
    assert curves["training"] == [(10, 1), (20, 1.5), (20, None), (35, 3), (35, None)]
    assert curves["validation"] == [(25, 0.5), (25, None), (50, 0.5), (50, None)]


def test_charts_without_values_are_left_out():
    titles = [each.title for each in make_charts(read_stages([REAL]))]
    assert titles == ["Loss", "Learning rate"]  # no accuracy, and a GPU of 0 GB is none
    everything = make_charts([stage("a", [1.0], acc=0.5, gpu_peak=3.0, gpu_usage=2.0)])
    assert [each.title for each in everything] == [
        "Loss",
        "Accuracy",
        "Learning rate",
        "Error rates",
        "GPU memory",
    ]


def test_error_rates():
    stages = [stage("a", [1.0], cer=0.25), stage("b", [1.0])]
    curves = chart(make_charts(stages, {"b": {"wer": 18.0, "b_wer": None}}), "Error rates")
    assert curves == {
        "WER, validation": [(15, 20.0), (15, None), (30, 20.0), (30, None)],
        "WER, test": [(30, 18.0)],
        "CER, training": [(10, 25.0), (10, None)],
    }


def test_thinning_keeps_peaks_and_gaps():
    points = [(step, 1.0) for step in range(10000)]
    points[777] = (777, 9.0)
    points[5001] = (5001, -9.0)
    points[6000] = (6000, None)
    thin = thin_out(points, limit=100)
    assert len(thin) <= 101
    assert {points[777], points[5001], points[6000]} <= set(thin)
    assert thin == sorted(thin, key=lambda point: point[0])
    assert thin_out(points, limit=10000) == points


def test_page(tmp_path):
    evil = "</script><b>&"
    stages = [stage("a", [1.0, math.nan]), stage(evil, [1.0] * 5000)]
    write_html(tmp_path / "page.html", stages, title=evil)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "{{" not in text
    assert text.count("</script>") == 2
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in text
    found = data(tmp_path / "page.html")
    assert [each["name"] for each in found["stages"]] == ["a", evil]
    assert [each["name"] for each in found["summaries"]] == ["a", evil]
    assert all(len(each["colors"]) == len(each["curves"]) for each in found["charts"])
    assert all(len(curve["points"]) < 4000 for each in found["charts"] for curve in each["curves"])


def test_the_page_needs_nothing_from_outside(tmp_path):
    write_html(tmp_path / "page.html", read_stages([REAL]))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert set(re.findall(r"\w+://[^\s\"')]+", text)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, nothing is fetched
    opened = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert not {"src", "href"} & dict(attrs).keys()
            opened.append(tag)

    Parser().feed(text)
    assert "svg" not in opened and "script" in opened and "link" not in opened


def test_png(tmp_path):
    write_png(tmp_path / "a.png", [stage("a", [1.0, math.nan]), stage("b", [2.0])])
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def score_file(path):
    rates = {name: {"error_rate": value} for name, value in (("wer", 18.5), ("u_wer", 15.0), ("b_wer", 30.5))}
    path.write_text(json.dumps(rates))
    return path


def test_tool(tmp_path, capsys):
    (tmp_path / "stage1").mkdir()
    log = Path(shutil.copy(REAL, tmp_path / "stage1" / "train.log"))
    main = runpy.run_path(str(TOOL))["main"]
    main([str(log), "--html", f"--score=stage1={score_file(tmp_path / 'score.json')}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage1"
    assert lines[1] == "  steps                     3466 of 15372 (23 %), epoch 3"
    assert "  best validation loss      0.7169 at step 3416 (epoch 2)" in lines
    assert lines[-2:] == [str(tmp_path / "stage1" / name) for name in ("train_log.png", "train_log.html")]
    assert (tmp_path / "stage1" / "train_log.png").read_bytes().startswith(PNG)
    titles = [each["title"] for each in data(tmp_path / "stage1" / "train_log.html")["charts"]]
    assert titles == ["Loss", "Learning rate", "Error rates"]
    main([str(tmp_path), f"--output-dir={tmp_path / 'out'}"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train_log.png"]


def test_bad_scores(tmp_path):
    main = runpy.run_path(str(TOOL))["main"]
    score = score_file(tmp_path / "score.json")
    with pytest.raises(ConfigError, match="for the stage 'x', expected one of logs"):
        main([str(REAL), f"--score=x={score}", f"--output-dir={tmp_path}"])
    score.write_text("{}")
    with pytest.raises(DataError, match="is not a result of funasr-sap score"):
        main([str(REAL), f"--score=logs={score}", f"--output-dir={tmp_path}"])
    with pytest.raises(SystemExit):
        main([str(REAL), "--score=logs"])


ACTIONS = """<script>
const chart = document.querySelector("section .plot").parentNode, svg = chart.querySelector("svg");
const count = () => svg.querySelectorAll("path").length;
const seen = [count()];
const buttons = chart.querySelectorAll("button");
buttons[1].click(); seen.push(count());
buttons[1].click(); chart.querySelector("input").click(); seen.push(count());
const box = svg.getBoundingClientRect();
const place = {clientX: box.left + box.width * 0.9, clientY: box.top + 50};
svg.dispatchEvent(new PointerEvent("pointermove", place));
const tip = chart.querySelector(".tip");
document.body.setAttribute("data-seen", JSON.stringify([seen, tip.style.visibility, tip.innerText]));
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium")
def test_page_in_a_browser(tmp_path):
    write_html(tmp_path / "page.html", [stage("a", [1.0, 2.0]), stage("b", [4.0, 3.0])])
    page = tmp_path / "page.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", ACTIONS), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
        "--dump-dom",
    ]
    done = subprocess.run(["chromium", *options, page.as_uri()], capture_output=True, text=True, timeout=120)
    seen = json.loads(html.unescape(re.search(r'data-seen="(.*?)"', done.stdout)[1]))
    assert seen[:2] == [[3, 2, 3], "visible"]
    assert seen[2].splitlines()[0] == "b, step 20"
    assert "training: 3.5" in seen[2] and "validation: 0.5 (step 25)" in seen[2]
