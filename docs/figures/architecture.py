#!/usr/bin/env python3
"""Draw the architecture: python docs/figures/architecture.py [--output architecture.png].

Coordinates are pixels of the figure, from its left lower corner.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

WIDTH, HEIGHT, DPI = 1600, 780, 100
SPEECH, CONTEXT, CTC, LLM, PLAIN = "#dbe9f6", "#fde5cc", "#dcefdc", "#e8e0f0", "#ffffff"
EDGE = {SPEECH: "#3b75af", CONTEXT: "#c9731d", CTC: "#3f8f45", LLM: "#6d5297", PLAIN: "#666666"}
TITLE, DETAIL = 16, 14  # points
LINE = 26  # pixels a line of text


class Figure:
    """A page of boxes and arrows."""

    def __init__(self):
        self.page = plt.figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        self.axes = self.page.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        self.axes.axis("off")

    def box(self, x, y, width, height, colour, title="", *details, dashed=False):
        """Draw a box whose left lower corner is (x, y), with a bold title and lines of detail."""
        style = "round,pad=0,rounding_size=12"
        edge = {"edgecolor": EDGE[colour], "linewidth": 1.8, "linestyle": "--" if dashed else "-"}
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, style, facecolor=colour, **edge))
        top = y + height / 2 + LINE * len(details) / 2
        self.text(x + width / 2, top, title, size=TITLE, weight="bold")
        for number, line in enumerate(details, 1):
            self.text(x + width / 2, top - number * LINE, line)

    def text(self, x, y, words, align="center", size=DETAIL, **style):
        """Write words, centred on y."""
        self.axes.text(x, y, words, size=size, ha=align, va="center", color="#222222", **style)

    def arrow(self, *points, colour, dashed=False):
        """Draw a line through points, with a head at the last one."""
        xs, ys = zip(*points, strict=True)
        pattern = (0, (4, 2)) if dashed else "-"
        self.axes.plot(xs, ys, color=EDGE[colour], linewidth=2.2, linestyle=pattern)
        (x, y), (tip_x, tip_y) = points[-2:]
        length = abs(tip_x - x) + abs(tip_y - y)
        near = (tip_x - (tip_x - x) / length, tip_y - (tip_y - y) / length)
        head = {"arrowstyle": "-|>", "color": EDGE[colour], "mutation_scale": 22, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", xy=(tip_x, tip_y), xytext=near, arrowprops=head)


def draw() -> Figure:
    """Lay out speech above, hotwords below, the CTC head between them, the LLM to the right."""
    figure = Figure()
    draw_speech(figure)
    draw_context(figure)
    draw_llm(figure)
    return figure


def draw_speech(figure):
    """Draw the upper row, and the CTC head that hangs from it."""
    figure.box(15, 600, 135, 100, PLAIN, "speech", "any rate")
    figure.box(190, 585, 220, 130, SPEECH, "frontend", "80 mel filters,", "60 ms a frame")
    figure.box(450, 585, 220, 130, SPEECH, "audio encoder", "runs once", "for both stages")
    figure.box(710, 585, 220, 130, SPEECH, "audio adaptor", "drops blank frames,", "adds heard tokens")
    for left, right in ((150, 190), (410, 450), (670, 710), (930, 1260)):
        figure.arrow((left, 650), (right, 650), colour=SPEECH)
    figure.text(1095, 674, "audio embeddings [B, Ta, D]")
    figure.arrow((1085, 650), (1085, 280), colour=SPEECH)
    figure.text(1097, 455, "what does the", "left")
    figure.text(1097, 455 - LINE, "speech look at?", "left")
    figure.box(450, 375, 220, 130, CTC, "CTC head", "token posteriors", "of every frame")
    figure.arrow((560, 585), (560, 505), colour=SPEECH)
    figure.arrow((670, 470), (820, 470), (820, 585), colour=CTC)
    figure.arrow((670, 405), (730, 405), colour=CTC)
    figure.box(730, 375, 180, 60, PLAIN, "timestamps")
    figure.arrow((560, 375), (560, 280), colour=CTC)
    figure.text(546, 341, "acoustic evidence,", "right")
    figure.text(546, 315, "judged by the span head", "right")


def draw_context(figure):
    """Draw the lower row."""
    figure.box(15, 165, 135, 100, PLAIN, "hotwords", "thousands")
    figure.box(190, 150, 220, 130, CONTEXT, "biasing list", "cleaned,", "no doubles")
    figure.box(450, 150, 220, 130, CONTEXT, "coarse retrieval", "ranks all keywords,", "keeps a handful")
    figure.box(710, 150, 220, 130, CONTEXT, "context", "LLM tokens plus", "acoustic evidence")
    figure.box(985, 150, 220, 130, CONTEXT, "pooling", "speech-driven,", "by windows of W")
    for left, right in ((150, 190), (410, 450), (670, 710), (930, 985), (1205, 1260)):
        figure.arrow((left, 215), (right, 215), colour=CONTEXT)
    figure.text(820, 302, "[B, Tc, D]")
    figure.text(1085, 128, "[B, ceil(Tc / W), D]")


def draw_llm(figure):
    """Draw the LLM with its two stages, and what comes out."""
    figure.box(1260, 100, 215, 670, LLM)
    figure.text(1367, 742, "LLM", size=TITLE + 4, weight="bold")
    figure.box(1278, 585, 180, 130, PLAIN, "transcribe", "stage 2")
    for number, line in enumerate(("one set of weights,", "the prompt", "names the task")):
        figure.text(1367, 450 - number * LINE, line, style="italic")
    figure.box(1278, 150, 180, 130, PLAIN, "prune", "stage 1,", "optional", dashed=True)
    figure.arrow((1458, 650), (1510, 650), colour=LLM)
    figure.box(1510, 615, 80, 70, PLAIN, "text")
    figure.arrow((1367, 150), (1367, 50), (820, 50), (820, 150), colour=CONTEXT, dashed=True)
    figure.text(1085, 72, "kept keywords")


def main(argv=None):
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default=Path(__file__).with_suffix(".png"), help="(default: %(default)s)")
    draw().page.savefig(parser.parse_args(argv).output, dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    main()
