"""The lines of the SAP²-ASR release: ``messages`` with the biasing list between context tags, and ``audios``.

The prompt names the task: select keywords, transcribe (with or without a context), or both. Keywords stand
side by side with commas between them, "none" is no keyword. (github.com/jymh/SAP2-ASR at eeb5d55: README.md,
extract_predicted_keywords.py and data_preprocess.ipynb.)
"""

import json
import os
import re
from collections.abc import Iterable

from funasr_sap.context.prompt_table import load_prompts
from funasr_sap.data.chat import CONTEXT_END, CONTEXT_START
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import check_id
from funasr_sap.data.utterance import Utterance
from funasr_sap.text.hotwords import COMMAS, split_hotwords

SEPARATOR, NONE = ", ", "none"
# What must be known of an utterance, besides its audio, to write the line of a task.
NEEDS = {"prune": ("hotwords", "keywords"), "joint": ("hotwords", "keywords", "text")}

_SELECT = re.compile(r"select key ?words|选择", re.IGNORECASE)
_THEN = re.compile(r"then transcribe|转写", re.IGNORECASE)
_JOINT_ANSWER = re.compile(
    r"(?:Selected keywords are: |选择的关键词是：)(.*?)[.。]\s*\n\s*(?:Transcription: |转写结果：)(.*)",
    re.DOTALL,
)


def split_keywords(text: str) -> tuple[str, ...]:
    """Part keywords at their commas, English or Chinese ones; blanks around keywords and empty ones go."""
    return tuple(split_hotwords(text, COMMAS))


def split_kept(answer: str) -> tuple[str, ...]:
    """Read the keywords of a pruning answer, "none" being none."""
    return () if answer.strip() == NONE else split_keywords(answer)


def split_answer(prompt: str, answer: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """Part an answer into transcript and kept keywords, None for what the prompt does not ask for.

    Args:
        prompt: the user's message without its context, whose keywords ask for nothing.
        answer: the assistant's message.

    Raises:
        ValueError: the answer of a prompt that asks for both has not the form of both.
    """
    if answer is None or not _SELECT.search(prompt):
        return answer, None
    if not _THEN.search(prompt):
        return None, split_kept(answer)
    joint = _JOINT_ANSWER.fullmatch(answer)
    if not joint:
        raise ValueError(
            f"the answer {answer!r:.80} has not the form 'Selected keywords are: ….\\nTranscription: …'"
        )
    return joint.group(2), split_kept(joint.group(1))


def write_sap2(path: str | os.PathLike, utterances: Iterable[Utterance], task: str) -> int:
    """Write utterances as one JSON array, an entry a line, atomically; returns how many.

    Raises:
        ValueError: an utterance that `format_sap2_record` cannot write.
    """
    count = 0
    with atomic_write(path) as stream:
        for count, utterance in enumerate(utterances, 1):
            record = json.dumps(format_sap2_record(utterance, task), ensure_ascii=False)
            stream.write(("[\n" if count == 1 else ",\n") + record)
        stream.write("\n]\n" if count else "[]\n")
    return count


def format_sap2_record(utterance: Utterance, task: str) -> dict:
    """Return the object of one line.

    Besides what the release has, it has ``key``; and ``hotwords`` or ``keywords`` as lists where commas alone
    could not tell them, for example with a keyword that holds a comma.

    Args:
        utterance: what the task needs of it must be known.
        task: "transcribe", "prune" or "joint".

    Raises:
        ValueError: naming what is missing, or what a line cannot hold.
    """
    hotwords, keywords = utterance.hotwords, utterance.keywords
    missing = [name for name in NEEDS.get(task, ()) if getattr(utterance, name) is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} not known, which the task {task} needs")
    if not utterance.source or utterance.source.strip() in ("", "!"):
        raise ValueError(f"the source {utterance.source!r} names no audio")
    prompt, answer = _texts(utterance, task)
    context = "" if hotwords is None else CONTEXT_START + SEPARATOR.join(hotwords) + CONTEXT_END
    messages = [{"role": "user", "content": f"<audio>{prompt}{context}"}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    record = {"key": check_id(utterance.key), "messages": messages, "audios": utterance.source}
    if hotwords is not None and split_keywords(SEPARATOR.join(hotwords)) != hotwords:
        record["hotwords"] = list(hotwords)
    if task in NEEDS:
        text, kept = split_answer(prompt, answer)
        if task == "joint" and text != utterance.text:
            raise ValueError("a keyword that the answer of the task joint cannot tell from the transcript")
        if kept != keywords:
            record["keywords"] = list(keywords or ())
    return record


def _texts(utterance: Utterance, task: str) -> tuple[str, str | None]:
    """Return the prompt without its context, and the answer, in the words of the table of prompts."""
    tasks = load_prompts()["tasks"]
    name = "transcribe_with_context" if task == "transcribe" and utterance.hotwords else task
    prompt = tasks[name]["en"]["user"].format(context="", audio="")
    if task == "transcribe":
        return prompt.rstrip() if name == task else prompt, utterance.text
    kept = SEPARATOR.join(utterance.keywords or ()) or NONE
    return prompt, tasks[task]["en"]["answer"].format(keywords=kept, text=utterance.text)
