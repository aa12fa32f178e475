#!/usr/bin/env bash
# Contextual speech recognition of LibriSpeech with lists of its rare words, by SAP².
#
#   stage -1  environment          stage 3  finetune, through the staged mixes where there are any
#   stage 0   data preparation     stage 4  decode: no context, then N distractors a list
#   stage 1   scp2jsonl            stage 5  score: WER / U-WER / B-WER, pruning
#   stage 2   staged mixes, with --general
#
# A finished step leaves a .done file and is not done again; remove it, or its folder, to repeat the step.
set -euo pipefail
caller=$PWD
command="bash egs/librispeech/run.sh${*:+ $*}"
cd "$(dirname "$0")"

stage=-1
stop_stage=5
corpus=mini            # mini | 100 | 460 | 960, the hours of the training set
data_root=             # the folder with train-clean-100, dev-clean, ...
is21=                  # folder is21_deep_bias of github.com/facebookresearch/fbai-speech: its words, its lists
general=               # folder with general speech to mix in: train/data.jsonl and dev/data.jsonl
init=sap2              # sap2: finetune the embedded model | scratch: train everything from nothing
model=                 # decode with this model, such as sap2, and finetune none
prune=retrieval        # retrieval | llm | none | joint
sizes="100 500 1000 2000"
utterances=300         # of each of the mini corpus' test sets
mix_utterances=1200    # of the mini corpus' training set
scratch_hours=45
seed=2026              # of the mini corpus, and of the biasing lists that are drawn
jobs=$(nproc)
nj=                    # processes that decode; empty: one a GPU, or one a CPU, at most four
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash egs/librispeech/run.sh [--stage N] [--stop-stage M] [--corpus mini|100|460|960] [--data-root DIR] [--is21 DIR]
       [--general DIR] [--init sap2|scratch] [--model NAME_OR_DIR] [--prune retrieval|llm|none|joint]
       [--sizes '100 500 1000 2000'] [--utterances N] [--mix-utterances N] [--scratch-hours H] [--seed S] [--jobs N] [--nj N]
stages: -1 environment, 0 data preparation, 1 scp2jsonl, 2 staged mixes, 3 finetune, 4 decode, 5 score"
# shellcheck source=tools/parse_options.sh
. ../../tools/parse_options.sh

# shellcheck source=tools/recipe.sh
. ../../tools/recipe.sh
callers_paths data_root is21 general model
case $corpus in mini | 100 | 460 | 960) ;; *) die "unknown corpus '$corpus'; expected mini, 100, 460 or 960" ;; esac
case $init in sap2 | scratch) ;; *) die "unknown --init '$init'; expected sap2 or scratch" ;; esac
[ -z "$is21" ] || [ -e "$is21/words/common_words_5k.txt" ] || die "--is21 '$is21' has no words/common_words_5k.txt"
# shellcheck source=egs/slidespeech/path.sh
. ./path.sh
data=data/$corpus
exp=exp/$corpus
tests="test-clean test-other"

# make_list SET N: the published biasing lists of a test set where --is21 has them, else lists drawn alike.
make_list() {
  local set=$data/$1 tsv=$is21/ref/$1.biasing_$2.tsv
  if [ -n "$is21" ] && [ -e "$tsv" ]; then
    "$PYTHON" local/published_lists.py --tsv "$tsv" --text "$set/text" --output "$set/biasing_list.N$2"
  else
    "$PYTHON" "$tools"/make_biasing_lists.py --keywords "$set/keywords" --text "$set/text" --seed "$seed" \
      --distractors "$data/rare_words" --num "$2" --output "$set/biasing_list.N$2"
  fi
}

if at -1; then
  log "Stage -1: environment"
  "$PYTHON" -c 'import funasr_sap, torch; print("funasr_sap", funasr_sap.__version__, "torch", torch.__version__)'
fi

if at 0; then
  log "Stage 0: data preparation -> $data"
  words=()
  if [ -n "$is21" ]; then words=(--common-words "$is21/words/common_words_5k.txt"); fi
  if [ -n "$is21" ] && [ -e "$is21/words/all_rare_words.txt" ]; then words+=(--rare-words "$is21/words/all_rare_words.txt"); fi
  hours=$corpus
  if [ "$corpus" = mini ]; then
    # shellcheck source=egs/librispeech/local/prepare_mini.sh
    . local/prepare_mini.sh
  fi
  once "$data/.prepared" "$PYTHON" local/prepare_librispeech.py --corpus "$hours" --data-root "$data_root" \
    --output-dir "$data" "${words[@]}"
  for set in $tests; do
    for n in $sizes; do once "$data/$set/.biasing_list.N$n" make_list "$set" "$n"; done
  done
fi

if at 1; then
  log "Stage 1: scp2jsonl -> $data/*/data.jsonl"
  for set in train dev $tests; do to_jsonl "$data/$set"; done
fi

if at 2 && [ -z "$model" ] && [ -n "$general" ]; then
  mix "$general/train" "$general/dev" "$data/train" "$data/dev"
fi

if at 3 && [ -z "$model" ]; then
  start=sap2
  if [ "$init" = scratch ]; then
    # shellcheck source=egs/slidespeech/local/train_scratch.sh
    . local/train_scratch.sh
    start=$exp/scratch/sap2_tiny
  fi
  # The features of a real corpus, tens of gigabytes, are not kept in memory.
  large=()
  if [ "$corpus" != mini ]; then large=(++dataset_conf.cache_features=false); fi
  if [ -n "$general" ]; then
    finetune "$start" "${large[@]}"
  else
    log "Stage 3: finetune on LibriSpeech alone, from $start -> $exp/stage3"
    bash "$tools"/finetune_stage.sh --model "$start" --output-dir "$exp/stage3" \
      --train-data "$data/train/data.jsonl" --val-data "$data/dev/data.jsonl" "${large[@]}"
  fi
fi

model=${model:-$exp/stage3}
decoded=$exp/decode_$(basename "$model")_$prune

if at 4; then
  log "Stage 4: decode with $model -> $decoded"
  for set in $tests; do
    decode "$data/$set" "$decoded/$set/N0"
    for n in $sizes; do decode "$data/$set" "$decoded/$set/N$n" "$data/$set/biasing_list.N$n"; done
  done
fi

if at 5; then
  for set in $tests; do
    log "Stage 5: score -> $decoded/$set/RESULTS.md"
    rows=()
    score_sizes "$data/$set" "$decoded/$set"
    tabulate "$data/$set" "$decoded/$set"
  done
fi
