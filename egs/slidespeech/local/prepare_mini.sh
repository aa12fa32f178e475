#!/usr/bin/env bash
# Sourced by run.sh, stage 0: the synthetic corpus. The domain is a lecture hall: every utterance noisy and
# reverberant. Splits share no rare word and no voice; the test set has a seed of its own.
# shellcheck disable=SC2154  # the variables are run.sh's

make_set() {
  local name=$1
  shift
  once "$data/$name/.made" "$PYTHON" -m funasr_sap.data.mini_corpus --output-dir "$data/$name" --jobs "$jobs" "$@"
}

make_set general_train --split train --utterances "$mix_utterances" --seed 11
make_set general_val --split dev --utterances 100 --seed 11
make_set domain_train --split train --utterances "$mix_utterances" --seed 12 --noise 1 --reverb 1
make_set domain_val --split dev --utterances 100 --seed 12 --noise 1 --reverb 1
make_set test --split test --utterances "$utterances" --seed "$seed"
once "$data/.distractors" "$PYTHON" local/mini_distractors.py --output "$data/distractors"
