#!/usr/bin/env bash
# Sourced by run.sh, stage 0: lectures are the general corpus; the domain is rescue radio, with words and voices of
# its own, every utterance noisy and reverberant. The test sets share no voice and no rare word with
# training.
# shellcheck disable=SC2154  # the variables are run.sh's

make_set() {
  local name=$1
  shift
  once "$data/$name/.made" "$PYTHON" -m funasr_sap.data.mini_corpus --output-dir "$data/$name" --jobs "$jobs" "$@"
}
radio=(--lang en-radio --noise 1 --reverb 1)

make_set general_train --split train --utterances "$train_utterances" --seed "$((seed + 1))"
make_set general_val --split dev --utterances "$val_utterances" --seed "$((seed + 1))"
make_set general_test --split test --utterances "$utterances" --seed "$((seed + 1))"
make_set domain_train --split train --utterances "$train_utterances" --seed "$((seed + 2))" "${radio[@]}"
make_set domain_val --split dev --utterances "$val_utterances" --seed "$((seed + 2))" "${radio[@]}"
make_set domain_test --split test --utterances "$utterances" --seed "$((seed + 2))" "${radio[@]}"
once "$data/.distractors" "$PYTHON" local/mini_distractors.py --output "$data/distractors"
