"""Lecture-like synthetic talks with slides: a corpus made in minutes, without a download.

``make_corpus`` writes Kaldi directories, ``rare_vocabulary`` draws rare words of a split (distractors). The
splits share no rare word and no voice.
"""

from funasr_sap.data.mini_corpus.corpus import make_corpus
from funasr_sap.data.mini_corpus.vocabulary import dictionary_words, made_up_names, rare_vocabulary

__all__ = ["dictionary_words", "made_up_names", "make_corpus", "rare_vocabulary"]
