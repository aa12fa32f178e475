#!/usr/bin/env bash
# Contextual speech recognition of lectures with the words of their slides, by SAP².
#
#   stage -1  environment          stage 3  finetune through the staged mixes (or --init scratch)
#   stage 0   data preparation     stage 4  decode: no context, then N distractors a list
#   stage 1   scp2jsonl            stage 5  score: WER / U-WER / B-WER, pruning
#   stage 2   staged mixes
#
# A finished step leaves a .done file and is not done again; remove it, or its folder, to repeat the step.
set -euo pipefail
caller=$PWD
command="bash egs/slidespeech/run.sh $*"
cd "$(dirname "$0")"

stage=-1
stop_stage=5
corpus=mini            # mini | L95 | S95
data_root=             # where the real corpus lies
general=               # folder with the real corpora's general sets: train/data.jsonl and dev/data.jsonl
init=sap2              # sap2: finetune the embedded model | scratch: train everything from nothing
model=                 # decode with this model, such as sap2, and finetune none
prune=retrieval        # retrieval | llm | none | joint
sizes="20 100 500 2000"
utterances=1000        # of the mini corpus' test set
mix_utterances=1200    # of each of the mini corpus' finetuning sets, general and domain
scratch_hours=30
seed=2026              # of the mini corpus' test set
jobs=$(nproc)
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash egs/slidespeech/run.sh [--stage N] [--stop-stage M] [--corpus mini|L95|S95] [--data-root DIR] [--general DIR]
       [--init sap2|scratch] [--model NAME_OR_DIR] [--prune retrieval|llm|none|joint] [--sizes '20 100 500 2000']
       [--utterances N] [--mix-utterances N] [--scratch-hours H] [--seed S] [--jobs N]
stages: -1 environment, 0 data preparation, 1 scp2jsonl, 2 staged mixes, 3 finetune, 4 decode, 5 score"
# shellcheck source=tools/parse_options.sh
. ../../tools/parse_options.sh

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
# Paths are the caller's.
for name in data_root general model; do
  if [ -n "${!name}" ] && [ -e "$caller/${!name}" ]; then printf -v "$name" '%s' "$caller/${!name}"; fi
done
case $corpus in mini | L95 | S95) ;; *) die "unknown corpus '$corpus'; expected mini, L95 or S95" ;; esac
case $init in sap2 | scratch) ;; *) die "unknown --init '$init'; expected sap2 or scratch" ;; esac
# shellcheck source=egs/slidespeech/path.sh
. ./path.sh
data=data/$corpus
exp=exp/$corpus

if at -1; then
  log "Stage -1: environment"
  "$PYTHON" -c 'import funasr_sap, torch; print("funasr_sap", funasr_sap.__version__, "torch", torch.__version__)'
fi

if at 0; then
  log "Stage 0: data preparation -> $data"
  if [ "$corpus" = mini ]; then
    # shellcheck source=egs/slidespeech/local/prepare_mini.sh
    . local/prepare_mini.sh
  else
    once "$data/.prepared" "$PYTHON" local/prepare_slidespeech.py --corpus "$corpus" --data-root "$data_root" --output-dir "$data"
  fi
  for n in $sizes; do
    once "$data/test/.biasing_list.N$n" "$PYTHON" "$tools"/make_biasing_lists.py --keywords "$data/test/keywords" \
      --text "$data/test/text" --distractors "$data/distractors" --num "$n" --output "$data/test/biasing_list.N$n"
  done
fi

if at 1; then
  log "Stage 1: scp2jsonl -> $data/*/data.jsonl"
  for set in "$data"/*/; do
    set=${set%/}
    once "$set/.jsonl" "$PYTHON" "$tools"/scp2jsonl.py ++scp_file="$set/wav.scp" ++transcript_file="$set/text" \
      ++keywords="$set/keywords" ++biasing_list="$set/biasing_list" ++jobs="$jobs" ++jsonl_file="$set/data.jsonl"
  done
fi

if at 2 && [ -z "$model" ]; then
  log "Stage 2: staged mixes, general:domain 50:50, 20:80, 0:100 -> $data.staged"
  if [ "$corpus" = mini ]; then
    general_sets=("$data/general_train" "$data/general_val") domain_sets=("$data/domain_train" "$data/domain_val")
  else
    [ -n "$general" ] || die "stage 2 mixes $corpus with general speech: give --general DIR, with train/ and dev/"
    general_sets=("$general/train" "$general/dev") domain_sets=("$data/train" "$data/dev")
  fi
  once "$data.staged/.mixed" "$PYTHON" "$tools"/prepare_staged_data.py --output-dir "$data.staged" \
    --general-train "${general_sets[0]}/data.jsonl" --general-val "${general_sets[1]}/data.jsonl" \
    --domain-train "${domain_sets[0]}/data.jsonl" --domain-val "${domain_sets[1]}/data.jsonl"
fi

# train NAME CONFIG OVERRIDES...: one training, resumed where it was interrupted.
train() {
  local name=$1 config=$2
  shift 2
  mkdir -p "$exp/$name"
  "$PYTHON" -m funasr_sap.train.main --config-path "$conf" --config-name "$config" "$@" ++output_dir="$exp/$name" \
    hydra.run.dir="$exp/$name" hydra.output_subdir=null 2>&1 | tee -a "$exp/$name/train.log"
}

if at 3 && [ -z "$model" ]; then
  if [ "$init" = scratch ]; then
    # shellcheck source=egs/slidespeech/local/train_scratch.sh
    . local/train_scratch.sh
  fi
  start=sap2
  if [ "$init" = scratch ]; then start=$exp/scratch/context; fi
  for number in 1 2 3; do
    log "Stage 3: finetune, mix $number of 3, from $start -> $exp/stage$number"
    once "$exp/stage$number/.trained" train "stage$number" finetune ++model="$start" \
      ++train_data_set_list="$data.staged/stage$number/train.jsonl" ++valid_data_set_list="$data.staged/stage$number/val.jsonl"
    start=$exp/stage$number
  done
fi

model=${model:-$exp/stage3}
decoded=$exp/decode_$(basename "$model")_$prune

if at 4; then
  log "Stage 4: decode with $model -> $decoded"
  once "$decoded/N0/.decoded" "$PYTHON" "$tools"/decode.py ++model_dir="$model" ++scp_file="$data/test/wav.scp" \
    ++output_dir="$decoded/N0"
  for n in $sizes; do
    once "$decoded/N$n/.decoded" "$PYTHON" "$tools"/decode.py ++model_dir="$model" ++scp_file="$data/test/wav.scp" \
      ++biasing_list="$data/test/biasing_list.N$n" ++prune="$prune" ++output_dir="$decoded/N$n"
  done
fi

if at 5; then
  log "Stage 5: score -> $decoded/RESULTS.md"
  rows=()
  for n in 0 $sizes; do
    list=$data/test/biasing_list.N$n
    if [ "$n" = 0 ]; then list=$data/test/keywords; fi
    "$PYTHON" "$tools"/score.py --ref "$data/test/text" --hyp "$decoded/N$n/1best_recog/text" --convention is21 \
      --biasing-list "$list" --keywords "$decoded/N$n/1best_recog/keywords" --json "$decoded/N$n/score.json" >"$decoded/N$n/score.txt"
    rows+=(--row "N = $n=$decoded/N$n/score.json")
  done
  "$PYTHON" "$tools"/results_table.py "${rows[@]}" --output "$decoded/RESULTS.md" --command "$command" --examples 8 \
    --ref "$data/test/text" --without "$decoded/N0/1best_recog/text" --keywords "$data/test/keywords" \
    --with "$decoded/N${sizes%% *}/1best_recog/text"
fi
