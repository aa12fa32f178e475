#!/usr/bin/env bash
# Adaptation to a domain without forgetting: (a) on domain data alone, (b) through staged mixes, compared.
#
#   stage -1  environment          stage 3  finetune: (b) through the mixes, (a) for as many steps on domain data
#   stage 0   data preparation     stage 4  decode both test sets with each model
#   stage 1   scp2jsonl            stage 5  score: WER / U-WER / B-WER, and what was forgotten
#   stage 2   staged mixes
#
# A finished step leaves a .done file and is not done again; remove it, or its folder, to repeat the step.
set -euo pipefail
caller=$PWD
command="bash egs/domain_adaptation/run.sh${*:+ $*}"
cd "$(dirname "$0")"

stage=-1
stop_stage=5
model=sap2              # what is adapted: a name or a model directory
plan=                   # YAML of the stages; empty: conf/stages.yaml
start_share=0.6         # of the start's weights in what is averaged with it
train_utterances=1600   # of the general and of the domain training set
val_utterances=160      # of each of their validation sets
utterances=300          # of each test set
distractors=100         # in each biasing list of the test sets
sets="general_test domain_test"  # what is decoded; to choose settings: "general_val domain_val"
seed=40                 # of the corpora
jobs=$(nproc)
work=mini               # name of the folders in data/ and exp/
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash egs/domain_adaptation/run.sh [--stage N] [--stop-stage M] [--model NAME_OR_DIR] [--plan YAML]
       [--start-share X] [--train-utterances N] [--val-utterances N] [--utterances N] [--distractors N]
       [--sets 'GENERAL DOMAIN'] [--seed S] [--jobs N] [--work NAME]
stages: -1 environment, 0 data preparation, 1 scp2jsonl, 2 staged mixes, 3 finetune, 4 decode, 5 score"
# shellcheck source=tools/parse_options.sh
. ../../tools/parse_options.sh

# shellcheck source=tools/recipe.sh
. ../../tools/recipe.sh
callers_paths model plan
# shellcheck source=egs/slidespeech/path.sh
. ./path.sh
data=data/$work
exp=exp/$work
plan=${plan:-conf/stages.yaml}
prune=retrieval

if at -1; then
  log "Stage -1: environment"
  "$PYTHON" -c 'import funasr_sap, torch; print("funasr_sap", funasr_sap.__version__, "torch", torch.__version__)'
fi

if at 0; then
  log "Stage 0: data preparation -> $data"
  # shellcheck source=egs/domain_adaptation/local/prepare_mini.sh
  . local/prepare_mini.sh
fi

if at 1; then
  log "Stage 1: scp2jsonl -> $data/*/data.jsonl"
  for set in "$data"/*_train "$data"/*_val; do to_jsonl "$set" ++biasing_list="$set/biasing_list"; done
  once "$data/.parted" "$PYTHON" local/part_sets.py --training "$data"/{general,domain}_train/data.jsonl \
    --test "$data"/{general,domain}_{val,test}
fi

if at 2; then
  ratios=$("$PYTHON" -m funasr_sap.train.stages --plan "$plan" --base "$conf/finetune.yaml")
  mapfile -t ratios <<<"$ratios"
  mix "$data/general_train" "$data/general_val" "$data/domain_train" "$data/domain_val" --ratios "${ratios[@]}"
  once "$data.repeated/.done" "$PYTHON" local/repeat_domain.py --staged-data "$data.staged" --plan "$plan" \
    --base "$conf/finetune.yaml" --domain-train "$data/domain_train/data.jsonl" --output "$data.repeated/train.jsonl"
fi

if at 3; then
  finetune "$model" --config "$plan" --start-share "$start_share"
  log "Stage 3: (a), domain data alone, in the way of stage 1 -> $exp/domain_only"
  bash "$tools"/finetune_stage.sh --model "$model" --output-dir "$exp/domain_only" ++train_conf.max_epoch=1 \
    --config "$exp/stage1/finetune.yaml" --train-data "$data.repeated/train.jsonl" \
    --val-data "$data/domain_val/data.jsonl"
  once "$exp/domain_only/.averaged" "$PYTHON" "$tools"/average_checkpoints.py --model-dir "$exp/domain_only" \
    --checkpoints model.pt.best --start "$model" --start-share "$start_share" --output model.pt.avg
fi

stages=()
for folder in "$exp"/stage*/; do stages+=("$(basename "$folder")"); done
models=(start domain_only domain_only_avg "${stages[@]}" "stage${#stages[@]}_avg")

if at 4; then
  log "Stage 4: decode $sets with each model -> $exp/decode"
  for set in $sets; do
    once "$data/$set/.biasing_list.N$distractors" "$PYTHON" "$tools"/make_biasing_lists.py --num "$distractors" \
      --keywords "$data/$set/keywords" --text "$data/$set/text" --distractors "$data/distractors" \
      --output "$data/$set/biasing_list.N$distractors"
  done
  start=$model
  for name in "${models[@]}"; do
    model=$start
    if [ "$name" != start ]; then
      model=$exp/decode/$name/model
      checkpoint=model.pt.best
      if [[ $name == *_avg ]]; then checkpoint=model.pt.avg; fi
      once "$model/.exported" "$PYTHON" "$tools"/export.py --model-dir "$exp/${name%_avg}" --dtype fp32 \
        --checkpoint "$checkpoint" --output-dir "$model"
    fi
    for set in $sets; do
      decode "$data/$set" "$exp/decode/$name/$set" "$data/$set/biasing_list.N$distractors"
    done
  done
fi

if at 5; then
  log "Stage 5: score -> $exp/decode/RESULTS.md"
  for name in "${models[@]}"; do
    for set in $sets; do score "$data/$set" "$exp/decode/$name/$set" "$data/$set/keywords"; done
  done
  averaged="averaged with the start"
  labels=(start "(a) domain alone" "(a) $averaged")
  for name in "${stages[@]}"; do labels+=("(b) ${name/stage/stage }"); done
  labels+=("(b) $averaged")
  read -ra sets <<<"$sets"
  "$PYTHON" local/adaptation_table.py --decoded "$exp/decode" --models "${models[@]}" --labels "${labels[@]}" \
    --sets "${sets[@]}" --command "$command" --seed "$seed" --output "$exp/decode/RESULTS.md"
fi
