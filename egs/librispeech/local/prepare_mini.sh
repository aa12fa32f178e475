#!/usr/bin/env bash
# Sourced by run.sh, stage 0: a LibriSpeech of synthetic speech. It has too few words for 5,000 common ones, and
# too few rare words for lists of 2,000 distractors: those come from the mini corpus' vocabulary.
# shellcheck disable=SC2154,SC2034  # the variables are run.sh's

hours=100
data_root=$data/LibriSpeech
once "$data/.made" "$PYTHON" local/make_mini_librispeech.py --output-dir "$data_root" --train "$mix_utterances" \
  --test "$utterances" --seed "$seed" --jobs "$jobs"
once "$data/.distractors" "$PYTHON" local/mini_distractors.py --output "$data/distractors"
words=(--num-common 800 --rare-words "$data/distractors")
