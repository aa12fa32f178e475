#!/usr/bin/env bash
# Sourced by run.sh, stage 0: the lists that those of each size are compared with.
# shellcheck disable=SC2154  # the variables are run.sh's

make_list() {
  once "$data/test/.$(basename "$1")" "$PYTHON" "$tools"/make_biasing_lists.py --text "$data/test/text" --output "$@"
}

cut -d ' ' -f 1 "$data/test/keywords" >"$data/test/keywords.none"
once "$data/.distractors.huge" "$PYTHON" local/mini_distractors.py --output "$data/distractors.huge" \
  --size $((huge + 20000))
make_list "$data/test/biasing_list.true" --keywords "$data/test/keywords" --distractors "$data/distractors" --num 0
make_list "$data/test/biasing_list.wrong" --keywords "$data/test/keywords.none" --distractors "$data/distractors" \
  --num "$wrong"
make_list "$data/test/biasing_list.huge" --keywords "$data/test/keywords" --distractors "$data/distractors.huge" \
  --num "$huge" --shared
