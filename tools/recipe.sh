#!/usr/bin/env bash
# Sourced by the run.sh of recipes, after their options: what all recipes do alike. The functions read run.sh's
# variables: $stage and $stop_stage, $model and $prune, $exp and $data, and $PYTHON, $tools and $conf of path.sh.
# shellcheck disable=SC2154  # the variables are run.sh's

log() { echo "$(date '+%H:%M:%S') $*" >&2; }
die() { echo "$0: $*" >&2; exit 1; }
at() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
# once MARK COMMAND...: run a step unless it was finished before.
once() {
  local mark=$1.done
  shift
  if [ -e "$mark" ]; then log "already done: $mark"; return; fi
  mkdir -p "$(dirname "$mark")"
  "$@"
  touch "$mark"
}

for number in "$stage" "$stop_stage"; do
  [[ $number =~ ^(-1|[0-5])$ ]] || die "unknown stage '$number'; expected -1 to 5"
done
# callers_paths VARIABLE...: the recipe runs in its own folder, but what users name lies where they are.
callers_paths() {
  local name
  for name in "$@"; do
    if [ -n "${!name}" ] && [ -e "$caller/${!name}" ]; then printf -v "$name" '%s' "$caller/${!name}"; fi
  done
}

# to_jsonl SET ARGUMENTS...: stage 1, for one Kaldi directory.
to_jsonl() {
  local set=$1
  shift
  once "$set/.jsonl" "$PYTHON" "$tools"/scp2jsonl.py ++scp_file="$set/wav.scp" ++transcript_file="$set/text" \
    ++keywords="$set/keywords" ++jobs="$jobs" ++jsonl_file="$set/data.jsonl" "$@"
}

# mix GENERAL_TRAIN GENERAL_DEV DOMAIN_TRAIN DOMAIN_DEV [ARGUMENTS...]: stage 2, from four directories with a
# data.jsonl.
mix() {
  log "Stage 2: staged mixes of general and domain data -> $data.staged"
  once "$data.staged/.mixed" "$PYTHON" "$tools"/prepare_staged_data.py --output-dir "$data.staged" \
    --general-train "$1/data.jsonl" --general-val "$2/data.jsonl" \
    --domain-train "$3/data.jsonl" --domain-val "$4/data.jsonl" "${@:5}"
}

# finetune START [ARGUMENTS...]: stage 3, through the mixes.
finetune() {
  log "Stage 3: finetune through the mixes, from $1 -> $exp/stage*"
  bash "$tools"/auto_finetune.sh --model "$1" --staged-data "$data.staged" --output-dir "$exp" "${@:2}"
}

# decode SET OUTPUT [LIST [OVERRIDES...]]: stage 4, one test set, with biasing lists where they are given; goes on
# where it was interrupted. Without a GPU, one process a CPU: two threads of one are hardly faster than one.
decode() {
  local set=$1 output=$2 nj=${nj:-} context=() processes=()
  if [ $# -gt 2 ]; then context=(++biasing_list="$3" ++prune="$prune" "${@:4}"); fi
  if [ -z "$nj" ] && ! command -v nvidia-smi >/dev/null; then nj=$(($(nproc) < 4 ? $(nproc) : 4)); fi
  if [ -n "$nj" ]; then processes=(++nj="$nj"); fi
  once "$output/.decoded" "$PYTHON" "$tools"/decode.py ++model_dir="$model" ++scp_file="$set/wav.scp" \
    ++output_dir="$output" "${context[@]}" "${processes[@]}"
}

# score SET OUTPUT LIST [ARGUMENTS...]: stage 5, what decode wrote; the words of LIST that are spoken are biased.
score() {
  local set=$1 output=$2 list=$3
  shift 3
  "$PYTHON" "$tools"/score.py --ref "$set/text" --hyp "$output/1best_recog/text" --convention is21 \
    --biasing-list "$list" --json "$output/score.json" "$@" >"$output/score.txt"
}

# score_sizes SET OUTPUT: stage 5, without context and with each size of list; appends to the rows of the table.
score_sizes() {
  local set=$1 output=$2 n list
  for n in 0 $sizes; do
    list=$set/biasing_list.N$n
    if [ "$n" = 0 ]; then list=$set/keywords; fi
    score "$set" "$output/N$n" "$list" --keywords "$output/N$n/1best_recog/keywords"
    rows+=(--row "N = $n=$output/N$n/score.json")
  done
}

# tabulate SET OUTPUT: stage 5, the table of the rows, and what the lists of the first size changed.
tabulate() {
  local set=$1 output=$2
  "$PYTHON" "$tools"/results_table.py "${rows[@]}" --output "$output/RESULTS.md" --command "$command" --examples 8 \
    --ref "$set/text" --without "$output/N0/1best_recog/text" --keywords "$set/keywords" \
    --with "$output/N${sizes%% *}/1best_recog/text"
}
