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
command="bash egs/slidespeech/run.sh${*:+ $*}"
cd "$(dirname "$0")"

stage=-1
stop_stage=5
corpus=mini            # mini | L95 | S95
data_root=             # where the real corpus lies
slides=1               # of the real corpora: how many slides a biasing list covers, 1 | 3 | 5 ...
general=               # folder with the real corpora's general sets: train/data.jsonl and dev/data.jsonl
init=sap2              # sap2: finetune the embedded model | scratch: train everything from nothing
model=                 # decode with this model, such as sap2, and finetune none
prune=retrieval        # retrieval | llm | none | joint
sizes="20 100 500 2000"
utterances=1000        # of the mini corpus' test set
references=true        # of the mini corpus: also decode what the sizes are compared with, see stage 5
mix_utterances=1200    # of each of the mini corpus' finetuning sets, general and domain
scratch_hours=45
seed=2026              # of the mini corpus' test set
jobs=$(nproc)
nj=                    # processes that decode; empty: one a GPU, or one a CPU, at most four
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash egs/slidespeech/run.sh [--stage N] [--stop-stage M] [--corpus mini|L95|S95] [--data-root DIR] [--slides N]
       [--general DIR] [--init sap2|scratch] [--model NAME_OR_DIR] [--prune retrieval|llm|none|joint] [--sizes '20 100 500 2000']
       [--references true|false] [--utterances N] [--mix-utterances N] [--scratch-hours H] [--seed S] [--jobs N] [--nj N]
stages: -1 environment, 0 data preparation, 1 scp2jsonl, 2 staged mixes, 3 finetune, 4 decode, 5 score"
# shellcheck source=tools/parse_options.sh
. ../../tools/parse_options.sh

# shellcheck source=tools/recipe.sh
. ../../tools/recipe.sh
callers_paths data_root general model
case $corpus in mini | L95 | S95) ;; *) die "unknown corpus '$corpus'; expected mini, L95 or S95" ;; esac
case $init in sap2 | scratch) ;; *) die "unknown --init '$init'; expected sap2 or scratch" ;; esac
# shellcheck source=egs/slidespeech/path.sh
. ./path.sh
data=data/$corpus
if [ "$corpus" != mini ]; then references=false; fi
wrong=1000             # words of a list of wrong words alone
huge=200000            # distractors of one list for all utterances
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
    once "$data/.prepared.slides$slides" "$PYTHON" local/prepare_slidespeech.py --corpus "$corpus" \
      --data-root "$data_root" --output-dir "$data" --slides "$slides"
  fi
  for n in $sizes; do
    once "$data/test/.biasing_list.N$n" "$PYTHON" "$tools"/make_biasing_lists.py --keywords "$data/test/keywords" \
      --text "$data/test/text" --distractors "$data/distractors" --num "$n" --output "$data/test/biasing_list.N$n"
  done
  if $references; then
    # shellcheck source=egs/slidespeech/local/reference_lists.sh
    . local/reference_lists.sh
  fi
fi

if at 1; then
  log "Stage 1: scp2jsonl -> $data/*/data.jsonl"
  for set in "$data"/*/; do to_jsonl "${set%/}" ++biasing_list="${set%/}/biasing_list"; done
fi

if at 2 && [ -z "$model" ]; then
  if [ "$corpus" = mini ]; then
    mix "$data/general_train" "$data/general_val" "$data/domain_train" "$data/domain_val"
  else
    [ -n "$general" ] || die "stage 2 mixes $corpus with general speech: give --general DIR, with train/ and dev/"
    mix "$general/train" "$general/dev" "$data/train" "$data/dev"
  fi
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
  finetune "$start" "${large[@]}"
fi

model=${model:-$exp/stage3}
decoded=$exp/decode_$(basename "$model")_$prune
test=$data/test
slide_list=            # of the real corpora: the lists that their slides offer
if [ "$corpus" != mini ]; then slide_list=$test/biasing_list.slides$slides; fi

if at 4; then
  log "Stage 4: decode with $model -> $decoded"
  decode "$test" "$decoded/N0"
  if [ -n "$slide_list" ]; then decode "$test" "$decoded/slides$slides" "$slide_list"; fi
  for n in $sizes; do decode "$test" "$decoded/N$n" "$test/biasing_list.N$n"; done
  if $references; then
    for kind in true wrong huge; do decode "$test" "$decoded/$kind" "$test/biasing_list.$kind"; done
    for n in $sizes; do decode "$test" "$decoded/rule.N$n" "$test/biasing_list.N$n" ++use_llm=false; done
    decode "$test" "$decoded/rule.N0" "$test/keywords.none" ++use_llm=false
  fi
fi

if at 5; then
  log "Stage 5: score -> $decoded/RESULTS.md"
  rows=()
  score_sizes "$test" "$decoded"
  if [ -n "$slide_list" ]; then
    # By the same biased words as the other rows: more slides offer more words that are spoken.
    score "$test" "$decoded/slides$slides" "$test/keywords"
    rows+=(--row "slides: $slides=$decoded/slides$slides/score.json")
  fi
  if $references; then
    # The true words alone; wrong words alone; one list for all; and the CTC head's transcripts, repaired.
    score_as() { score "$test" "$decoded/$1" "$test/keywords"; rows+=(--row "$2=$decoded/$1/score.json"); }
    score_as true "true words only"
    score_as wrong "$wrong wrong words"
    score_as huge "N = $huge, shared"
    for n in 0 $sizes; do score_as "rule.N$n" "no LLM, N = $n"; done
  fi
  tabulate "$test" "$decoded"
fi
