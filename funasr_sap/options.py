"""What users may choose when they have speech recognised: each option once, for helps, tools and READMEs.

    python -m funasr_sap.options README.md README_zh.md

writes the tables of the two documents anew, between their ``<!-- options -->`` marks.
"""

import dataclasses
import re
import sys
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.text.columns import align, display_width


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of recognition.

    Attributes:
        name: as in ``AutoModel.generate`` and behind + or ++ in the shell.
        type: of its value; a value may be None, which stands for the model's default.
        value: what a shell's help shows for its value; "false" or "true" where ``help`` says what that does.
        help: what it does, with the unit.
        zh: the same in Chinese.
        changes_results: whether texts, keywords or scores are others with it.
        only_sap2: whether FunASR's other models do not know it.
        shell: for ``help``, where a shell takes other values than Python.
    """

    name: str
    type: type
    value: str
    help: str
    zh: str
    changes_results: bool = True
    only_sap2: bool = True
    shell: str | None = None


FASTER, FASTER_ZH = "faster, less accurate", "更快，但准确率较低"
SPEECH = (
    Option(
        *("input", str, "INPUT"),
        "a path, URL, bytes, array (with `fs=`, or `(array, rate)`) or tensor; a list of these; `wav.scp` or "
        "JSONL",
        "路径、URL、字节、数组（配合 `fs=`，或 `(array, rate)`）或张量；以上各项的列表；`wav.scp` 或 "
        "JSONL 文件",
        only_sap2=False,
        shell="an audio or video file, wav.scp, JSONL, a URL, or - for stdin; '[a.wav,b.wav]' for several",
    ),
    Option(
        *("key", str, "ID"),
        "the id of the utterance, or a list of them (default: by the names of files)",
        "句子的编号，或编号的列表（默认取自文件名）",
        changes_results=False,
        only_sap2=False,
    ),
    Option(
        *("hotwords", str, "LIST"),
        "a list, one list an utterance, text with commas or line breaks, a file, or a `biasing_list` by "
        "utterance id",
        "一个列表；每句一个列表；用逗号或换行分隔的文本；文件；或按句子编号的 `biasing_list`",
        shell="'[word,word]', 'word,word', or a file of keywords, one a line",
    ),
    Option(
        *("biasing_list", str, "FILE"),
        "hotwords by utterance id: lines of `utt word$word`, in a file of any name",
        "按句子编号的热词：每行 `utt word$word`，文件名任意",
    ),
)
DECODING = (
    Option(
        *("prune", str, "MODE"),
        "who cuts the list of hotwords: `retrieval` (default), `llm`, `none` or `joint`",
        "由谁裁剪热词列表：`retrieval`（默认）、`llm`、`none` 或 `joint`",
    ),
    Option(*("top", int, "N"), "keywords that retrieval keeps at most", "检索最多保留的关键词数"),
    Option(
        *("threshold", float, "X"),
        "the least confidence of a kept keyword, from 0 to 1; given here, none below it is tried",
        "保留一个关键词所需的最低置信度，0 到 1；在此给出时，低于它的词都不会尝试",
    ),
    Option(
        *("guards", bool, "false"),
        "believes every transcript, loops and inventions as well",
        "相信每一句转写，包括循环和臆造",
    ),
    Option(
        *("repair", bool, "false"),
        "writes no keyword that the LLM did not write",
        "不写入 LLM 没有写出的关键词",
    ),
    Option(
        *("rescore", bool, "false"),
        f"makes no other transcripts to choose from: {FASTER}",
        f"不再生成其他转写以供选择：{FASTER_ZH}",
    ),
    Option(
        *("use_llm", bool, "false"),
        f"takes the CTC head's transcript, repaired by the keywords: {FASTER}",
        f"采用 CTC 头的转写并按关键词修正：{FASTER_ZH}",
    ),
    Option(
        *("speculate", bool, "false"),
        "lets the LLM write token by token: slower",
        "让 LLM 逐个 token 书写：较慢",
        changes_results=False,
    ),
    Option(
        *("language", str, "CODE"),
        "the language spoken, as the model names it: `en`, `zh`, ...",
        "所说的语言，用模型的名称：`en`、`zh` 等",
        only_sap2=False,
    ),
    Option(
        *("itn", bool, "true"),
        "writes numbers in digits, where the model can",
        "在模型支持时用数字书写数目",
        only_sap2=False,
    ),
    Option(
        *("index_dir", str, "DIR"),
        "a folder that keeps the indexes of long hotword lists for later runs",
        "保存长热词列表索引的目录，供以后使用",
        changes_results=False,
    ),
    Option(*("bf16", bool, "true"), "multiplies the LLM's matrices in bf16", "LLM 的矩阵以 bf16 相乘"),
    Option(*("fp16", bool, "true"), "multiplies the LLM's matrices in fp16", "LLM 的矩阵以 fp16 相乘"),
)
RUNNING = (
    Option(
        *("batch_size", int, "N"),
        "utterances decoded together",
        "一起解码的句子数",
        changes_results=False,
        only_sap2=False,
    ),
    Option(
        *("output_dir", str, "DIR"),
        "also writes `1best_recog/text`, and `score`, `time_stamp` and `keywords` beside it",
        "同时写出 `1best_recog/text`，旁边还有 `score`、`time_stamp` 和 `keywords`",
        changes_results=False,
        only_sap2=False,
    ),
)
LOADING = (
    Option(
        *("model", str, "NAME"),
        "`sap2` (the embedded default), a model directory, or any FunASR model",
        "`sap2`（内置的默认模型）、模型目录，或 FunASR 的任何模型",
        only_sap2=False,
    ),
    Option(
        *("vad_model", str, "NAME"),
        "cuts long audio first, for example `silero-vad`",
        "先切分长音频，例如 `silero-vad`",
        only_sap2=False,
    ),
    Option(
        *("device", str, "NAME"),
        "cpu, cuda:0, ... (default: a GPU where there is one)",
        "cpu、cuda:0 等（默认：有 GPU 时用 GPU）",
        changes_results=False,
        only_sap2=False,
    ),
)
OF_CALLS = (*SPEECH, *DECODING, *RUNNING)
OF_THE_SHELL = (LOADING[0], *SPEECH, *LOADING[1:], *RUNNING, *DECODING)

HEADERS = {
    "en": ("argument", "what it does", "results"),
    "zh": ("参数", "作用", "结果"),
}
EFFECTS = {"en": ("the same", "change"), "zh": ("不变", "会变")}
MARK = "<!-- options -->"


def shell_help() -> str:
    """Return a line for each option, as ``+name=VALUE  what it does``."""
    rows = [(f"+{each.name}={each.value}", each.shell or each.help) for each in OF_THE_SHELL]
    width = max(len(option) for option, _ in rows)
    return "".join(f"  {option:{width}}  {text}\n" for option, text in rows).replace("`", "")


def tool_help(option: Option) -> str:
    """Return what the option does, for a tool that runs other models, too."""
    says = f"{option.value} " if option.type is bool else ""
    return ("SAP²: " if option.only_sap2 else "") + says + option.help.replace("`", "")


def readme_table(language: str) -> str:
    """Return the Markdown table of the options of a call, "en" or "zh"."""
    rows = [HEADERS[language]]
    for each in OF_CALLS:
        text = each.help if language == "en" else each.zh
        says = f"`{each.value.capitalize()}` " if each.type is bool else ""
        rows.append((f"`{each.name}`", says + text, EFFECTS[language][each.changes_results]))
    head, *body = align(rows)
    lines = [head, ["-" * display_width(cell) for cell in head], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_table(document: str, language: str) -> str:
    """Put the table into a document, between its marks."""
    between = re.compile(f"(?<={MARK}\n\n).*?(?=\n\n{MARK})", re.DOTALL)
    return between.sub(lambda _: readme_table(language), document)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        text = with_table(Path(name).read_text(encoding="utf-8"), "zh" if "_zh" in name else "en")
        with atomic_write(name) as stream:
            stream.write(text)
