"""The messages of a JSONL line: the audio that they name, the context between its tags, the answer.

Tags frame audio and context. What looks like a tag inside a frame, or in an answer, is data: keywords come
from slides and from users, and may hold anything.
"""

import re
from typing import NamedTuple

CONTEXT_START, CONTEXT_END = "<|startofcontext|>", "<|endofcontext|>"

_SPEECH = re.compile(r"<\|startofspeech\|>!(.*?)<\|endofspeech\|>", re.DOTALL)
_AUDIO_TAG = re.compile(r"<audio>(.+?)</audio>", re.DOTALL)
# Greedy: a keyword may hold the end tag, but nothing that could hold one stands behind a context.
_CONTEXT = re.compile(f"{re.escape(CONTEXT_START)}(.*){re.escape(CONTEXT_END)}", re.DOTALL)


class Chat(NamedTuple):
    """One exchange.

    Attributes:
        audio: the paths or URLs that it names, as the line has them: a string, or a list.
        prompt: the user's message without its context.
        context: what stands between the tags of the context; None where there are none.
        answer: the assistant's message; None where there is none.
    """

    audio: object
    prompt: str
    context: str | None
    answer: str | None


def parse_chat(record: dict) -> Chat:
    """Take a line's ``messages`` (and ``audios``) apart; ValueError with the reason where it cannot be."""
    user, answer = _user_and_answer(record["messages"])
    if CONTEXT_START not in user:
        return Chat(record.get("audios") or _named_audio(user), user, None, answer)
    frame = _CONTEXT.search(user)
    if not record.get("audios"):
        speech = _SPEECH.search(user)
        if speech and frame and speech.start() < frame.start():
            frame = _CONTEXT.search(user, speech.end())
    prompt = user[: frame.start()] + user[frame.end() :] if frame else user
    context = frame.group(1) if frame else None
    return Chat(record.get("audios") or _named_audio(prompt), prompt, context, answer)


def _named_audio(prompt: str) -> list[str]:
    return _SPEECH.findall(prompt) or _AUDIO_TAG.findall(prompt)


def _user_and_answer(messages: object) -> tuple[str, str | None]:
    users, answers = [], []
    for message in messages if isinstance(messages, list) else [None]:
        if not isinstance(message, dict) or "content" not in message:
            raise ValueError('"messages" is not a list of objects with "role" and "content"')
        role = message.get("role")
        if role == "user":
            users.append(message["content"])
        elif role == "assistant":
            answers.append(message["content"])
    if len(users) != 1 or not isinstance(users[0], str) or len(answers) > 1:
        raise ValueError(f"expected one user message and its answer, got {len(users)} and {len(answers)}")
    answer = answers[0] if answers else None
    if answer is not None and not isinstance(answer, str):
        raise ValueError(f"the transcript is {answer!r:.80}, expected a string")
    return users[0], answer
