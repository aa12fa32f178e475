"""Prompts: from a task and a language to token ids with places for the audio and the context."""

import copy
import dataclasses
import re
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.biasing_list import encode_text
from funasr_sap.context.prompt_table import load_prompts, special_tokens
from funasr_sap.errors import ConfigError

IGNORE = -100  # label of a token that is not learned, as transformers has it
SPECIAL = re.compile(r"<\|[^|]*\|>")
ANY = "any"  # instead of a language: the same in all


@dataclasses.dataclass(frozen=True)
class PromptBatch:
    """Prompts of a batch, padded on the left so that generation starts at one place.

    Attributes:
        input_ids: (B, S) long; 0 where audio, context or padding stands.
        mask: (B, S) bool, True = not padding.
        audio_mask: (B, S) bool, True = an audio embedding stands here.
        context_mask: (B, S) bool, True = a context embedding stands here.
        labels: (B, S) long, ``IGNORE`` outside the answer.
    """

    input_ids: torch.Tensor
    mask: torch.Tensor
    audio_mask: torch.Tensor
    context_mask: torch.Tensor
    labels: torch.Tensor


class PromptTemplate:
    """The prompts of one tokenizer.

    The styles "sap2" and "sap2_asr" (in Qwen2-Audio's chat) write the context between tags, where it can be
    pooled. The others speak the prompt that published weights were trained with: their keywords are part of
    the text, and tokenised with it.

    Args:
        tokenizer: a transformers tokenizer that knows ``special_tokens(style)``.
        style: one of ``STYLES``.
        itn: ask for written forms (digits, punctuation), in the styles that can ask for spoken ones.
        name_language: name the language, in the styles that can.
        languages: codes of those that the model was trained in; None for all that the style has prompts in.

    Raises:
        ConfigError: when the tokenizer lacks a special token, and for an unknown style.
    """

    AUDIO, CONTEXT = -1, -2  # places in a list of ids

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        style: str = "sap2",
        itn: bool = True,
        name_language: bool = False,
        languages: Sequence[str] | None = None,
    ):
        self.tokenizer, self.table = tokenizer, load_prompts(style)
        known = tokenizer.get_vocab()
        missing = [token for token in special_tokens(style) if token not in known]
        if missing:
            raise ConfigError(f"the tokenizer lacks the special tokens {missing}; add them before training")
        self.end_id = known[self.table["end"]]
        self.itn, self.name_language = itn, name_language
        # By code, the name that the style gives each.
        self.languages = self.table.get("languages") or {
            code: code for code in self.table["tasks"]["transcribe"]
        }
        if languages is not None:
            self.languages = {code: self.languages[code] for code in self._known(languages)}
        self._frames, self._variants = {}, {}

    def _known(self, languages) -> Sequence[str]:
        is_list = isinstance(languages, list | tuple) and bool(languages)
        if not is_list or any(code not in self.languages for code in languages):
            expected = f"a list of {', '.join(self.languages)}"
            raise ConfigError(f"prompt_conf.languages: expected {expected}, got {languages!r}")
        return languages

    def asking(self, itn: bool | None = None, name_language: bool | None = None) -> "PromptTemplate":
        """Return the same prompts for one that asks otherwise; None asks as these do.

        Args:
            itn: ask for written forms.
            name_language: name the language.
        """
        wanted = (
            self.itn if itn is None else itn,
            self.name_language if name_language is None else name_language,
        )
        if wanted == (self.itn, self.name_language):
            return self
        if wanted not in self._variants:
            other = copy.copy(self)
            other._frames, (other.itn, other.name_language) = {}, wanted
            self._variants[wanted] = other
        return self._variants[wanted]

    @property
    def asks_for_itn(self) -> bool:
        """Tell whether the style can ask for written or spoken forms."""
        return "spoken" in self.table

    def language_code(self, language: str) -> str:
        """Find a language by its code, or by the name that this style gives it.

        Raises:
            ConfigError: for a language that the model does not know.
        """
        for code, name in self.languages.items():
            if language in (code, name):
                return code
        raise ConfigError(f"language: expected one of {', '.join(self.languages)}, got {language!r}")

    def prompt_ids(self, task: str, language: str, num_audio: int, num_context: int) -> list[int]:
        """Lay out one prompt: token ids, with ``AUDIO`` and ``CONTEXT`` in their places."""
        ids = []
        for part in self._frame(task, language):
            if part == self.AUDIO:
                ids += [self.AUDIO] * num_audio
            elif part == self.CONTEXT:
                ids += [self.CONTEXT] * num_context
            else:
                ids.append(part)
        return ids

    def answer_ids(self, task: str, language: str, text: str = "", keywords=()) -> list[int]:
        """Tokenise the answer of a task, its end token included."""
        entry = self._entry(task, language)
        answer = entry["answer"].format(text=text, keywords=self.join_keywords(keywords, language))
        return [*encode_text(self.tokenizer, answer), self.end_id]

    def context_ids(self, keywords: list[tuple[int, ...]], language: str) -> tuple[list[int], list[int]]:
        """Write keywords as context.

        Returns:
            ids: the token ids, keywords parted by the separator.
            owner: for each id, the position of its keyword, or -1 at a separator.
        """
        separator = encode_text(self.tokenizer, self._separator(language).rstrip())
        ids, owner = [], []
        for position, keyword in enumerate(keywords):
            if position:
                ids += separator
                owner += [-1] * len(separator)
            ids += keyword
            owner += [position] * len(keyword)
        return ids, owner

    def write_context(self, words: list[str], pieces: list[tuple[int, ...]], language: str):
        """Write keywords as this style has them.

        Args:
            words: the keywords.
            pieces: their token ids, as they are spelt in the middle of a sentence.
            language: of the prompt.

        Returns:
            ids, owner: as ``context_ids``; where keywords are part of the text, all text between two special
            tokens comes with them, with the owner -1.
        """
        if "context" in self.table["tags"]:
            return self.context_ids(pieces, language)
        segments = self._segments("transcribe_with_context", language)
        before, after = next(part for part in segments if "{context}" in part).split("{context}")
        text, spans = before, []
        for word in words:
            text += self._separator(language) if spans else ""
            spans.append((len(text), len(text) + len(word)))
            text += word
        encoded = self.tokenizer(
            text + after, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        owner = [
            next((i for i, (first, last) in enumerate(spans) if start < last and end > first), -1)
            for start, end in encoded["offset_mapping"]
        ]
        return encoded["input_ids"], owner

    def join_keywords(self, keywords, language: str) -> str:
        """Write kept keywords as an answer."""
        words = self._list_form(language)
        return words["separator"].join(keywords) or words["none"]

    def split_keywords(self, answer: str, language: str) -> list[str]:
        """Read kept keywords from an answer of the task ``prune``; one with a comma comes in its parts."""
        none = self._list_form(language)["none"]
        return [] if answer.strip() == none else self.split_parts(answer, language)

    def split_parts(self, text: str, language: str) -> list[str]:
        """Split text at the separator of keywords, which a keyword may hold too."""
        separator = self._separator(language).strip()
        return [part.strip() for part in text.split(separator) if part.strip()]

    def split_joint(self, answer: str, language: str) -> tuple[str, str]:
        """Part an answer of the task ``joint`` into its keywords and its transcript.

        An answer that does not have the task's form is taken as a transcript.
        """
        form = re.split(r"\{keywords\}|\{text\}", self._entry("joint", language)["answer"])
        pattern = "(.*?)".join(re.escape(" ".join(part.split())) for part in form[:-1]) + "(.*)"
        found = re.fullmatch(pattern, " ".join(answer.split()), flags=re.IGNORECASE | re.DOTALL)
        return (found[1].strip(), found[2].strip()) if found else ("", answer)

    def batch(
        self, prompts: list[list[int]], answers: list[list[int]] | None = None, device=None
    ) -> PromptBatch:
        """Pad prompts (and their answers, for training) into one batch."""
        answers = answers or [[] for _ in prompts]
        size = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
        rows = [[None] * (size - len(p) - len(a)) + p + a for p, a in zip(prompts, answers, strict=True)]
        labels = [[IGNORE] * (size - len(a)) + a for a in answers]

        def positions(test):
            return torch.tensor([[test(i) for i in row] for row in rows], dtype=torch.bool, device=device)

        ids = [[i if i is not None and i >= 0 else 0 for i in row] for row in rows]
        return PromptBatch(
            input_ids=torch.tensor(ids, dtype=torch.long, device=device),
            mask=positions(lambda i: i is not None),
            audio_mask=positions(lambda i: i == self.AUDIO),
            context_mask=positions(lambda i: i == self.CONTEXT),
            labels=torch.tensor(labels, dtype=torch.long, device=device),
        )

    def _entry(self, task: str, language: str) -> dict:
        tasks = self.table["tasks"]
        if task not in tasks:
            raise ConfigError(f"unknown task {task!r}; expected one of {', '.join(tasks)}")
        entries = tasks[task]
        if language not in entries and ANY not in entries:
            raise ConfigError(f"no prompt for language {language!r}; expected one of {', '.join(entries)}")
        return entries.get(language) or entries[ANY]

    def _list_form(self, language: str) -> dict:
        forms = self.table["keywords"]
        return forms.get(language) or forms[ANY]

    def _separator(self, language: str) -> str:
        return self._list_form(language)["separator"]

    def _optional(self, language: str) -> dict[str, str]:
        """Write what a prompt says of the form of its answer, where it is asked to."""
        named = self.table.get("named", "") if self.name_language else ""
        spoken = "" if self.itn else self.table.get("spoken", "")
        return {
            "{named}": named.format(language=self.table.get("languages", {}).get(language)),
            "{spoken}": spoken,
        }

    def _segments(self, task: str, language: str) -> list[str]:
        """Cut a prompt at its special tokens and at the audio."""
        user = self._entry(task, language)["user"]
        for mark, words in self._optional(language).items():
            user = user.replace(mark, words)
        for name, pair in self.table["tags"].items():
            user = user.replace(f"{{{name}}}", f"{pair[0]}{{{name}}}{pair[1]}")
        text = self.table["chat"].replace("{user}", user)
        return [part for part in re.split(rf"(\{{audio\}}|{SPECIAL.pattern})", text) if part]

    def _frame(self, task: str, language: str) -> list[int]:
        """Tokenise a prompt once: ids, with one ``AUDIO`` and at most one ``CONTEXT`` mark."""
        if (task, language) not in self._frames:
            ids = []
            for part in self._segments(task, language):
                if part == "{audio}":
                    ids.append(self.AUDIO)
                elif "{context}" in part:  # with the text around it, where no tags part them
                    ids.append(self.CONTEXT)
                else:
                    ids += self._prompt_part(part)
            self._frames[task, language] = ids
        return self._frames[task, language]

    def _prompt_part(self, text: str) -> list[int]:
        """Tokenise a part of the table itself: a special token, or text.

        Never both at once: that is a setting of the tokenizer's, which threads share.
        """
        if SPECIAL.fullmatch(text):
            ids = self.tokenizer.convert_tokens_to_ids([text])
            return ids if isinstance(ids, list) else [ids]
        return encode_text(self.tokenizer, text)
