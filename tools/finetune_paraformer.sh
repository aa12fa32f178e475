#!/usr/bin/env bash
# Finetune a Paraformer, or one of its relatives, with FunASR's own trainer: on one data set, or through
# staged mixes of general and domain data. docs/paraformer.md explains.
#
#   bash tools/finetune_paraformer.sh --model paraformer-zh --train data/train --val data/dev --test data/test
#
#   stage 1  scp2jsonl: JSONL with source and target
#   stage 2  staged mixes, where there is general data
#   stage 3  finetune, through one set or the mixes; each mix begins with the best weights of the one before
#   stage 4  decode the test set
#   stage 5  score
#
# What is finished leaves a .done file in the output folder and is not done again; an interrupted training
# goes on from its last checkpoint.
set -euo pipefail

stage=1
stop_stage=5
model=paraformer-zh    # a model directory, or a name of FunASR's
train=                 # domain data: a Kaldi directory (wav.scp, text) or a JSONL file
val=
general_train=         # with these two, the mixes
general_val=
test=                  # a Kaldi directory
output_dir=exp/paraformer
ratios="50:50 20:80 0:100"
by=utterances          # utterances | hours: the unit of the ratios
freeze=                # parts that keep their weights: encoder, or encoder,predictor
epochs=10              # of each mix; several numbers: one a mix
lr=0.0002
batch_type=token       # token: batch_size counts 10 ms frames, padding included | example: utterances
batch_size=6000
keep=3                 # checkpoints kept, the best ones
device=cuda            # cuda | cpu; without a GPU always cpu
gpus=1
workers=4              # processes that load data
normalize=none         # none | en | zh: texts before scoring
jobs=$(nproc)
seed=0
hydra_overrides=()     # further keys of FunASR's trainer, such as ++train_conf.accum_grad=4
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash tools/finetune_paraformer.sh --train SET --val SET [--model DIR_OR_NAME] [--test DIR]
       [--output-dir DIR] [--general-train SET --general-val SET] [--ratios '50:50 20:80 0:100']
       [--by utterances|hours] [--freeze PARTS] [--epochs N|'N N N'] [--lr RATE] [--batch-type token|example]
       [--batch-size N] [--keep N] [--device cuda|cpu] [--gpus N] [--workers N] [--normalize none|en|zh]
       [--jobs N] [--seed S] [--stage N] [--stop-stage M] [++KEY=VALUE ...]
a SET is a Kaldi directory (wav.scp, text) or a JSONL file; the DIR of --test is a Kaldi directory
stages: 1 scp2jsonl, 2 staged mixes, 3 finetune, 4 decode, 5 score"
tools=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/parse_options.sh
. "$tools/parse_options.sh"
# shellcheck source=tools/recipe.sh
. "$tools/recipe.sh"

for name in train val; do [ -n "${!name}" ] || die "give --$name SET; see --help"; done
[ "${general_train:+given}" = "${general_val:+given}" ] || die "--general-train and --general-val go together"
for name in train val general_train general_val test; do
  [ -z "${!name}" ] || [ -e "${!name}" ] || die "--${name//_/-}: no such file or folder: ${!name}"
done
case $device in cuda | cpu) ;; *) die "unknown --device '$device'; expected cuda or cpu" ;; esac
export HYDRA_FULL_ERROR=1 TOKENIZERS_PARALLELISM=false
data=$output_dir/data
read -ra ratio_list <<<"$ratios"
read -ra epoch_list <<<"$epochs"
mixes=1
if [ -n "$general_train" ]; then mixes=${#ratio_list[@]}; fi
case ${#epoch_list[@]} in 1 | "$mixes") ;; *) die "--epochs '$epochs': expected 1 or $mixes numbers" ;; esac
# shellcheck source=tools/env.sh
. "$tools/env.sh"

# as_jsonl NAME SET: a set as FunASR's JSONL.
as_jsonl() {
  local output=$data/$1.jsonl
  if [ -d "$2" ]; then
    once "$output" "$PYTHON" "$tools/scp2jsonl.py" ++scp_file_list="[\"$2/wav.scp\", \"$2/text\"]" \
      ++data_type_list='["source", "target"]' ++jobs="$jobs" ++jsonl_file_out="$output"
  else
    once "$output" "$PYTHON" "$tools/convert.py" --from jsonl --to funasr --input "$2" --output "$output"
  fi
}

# run_trainer NUMBER START: one mix, with a process on each GPU.
run_trainer() {
  local output=$output_dir/stage$1 sets=$data/staged/stage$1 launcher=("$PYTHON" -m)
  if [ "$mixes" = 1 ]; then sets=$data; fi
  if [ "$gpus" -gt 1 ]; then launcher=("$PYTHON" -m torch.distributed.run --nproc-per-node "$gpus" -m); fi
  mkdir -p "$output"
  "${launcher[@]}" funasr_sap.train.funasr_trainer ++model="$2" ++output_dir="$output" \
    ++train_data_set_list="$sets/train.jsonl" ++valid_data_set_list="$sets/val.jsonl" \
    ++dataset=AudioDataset ++dataset_conf.index_ds=IndexDSJsonl ++dataset_conf.batch_sampler=BatchSampler \
    ++dataset_conf.batch_type="$batch_type" ++dataset_conf.batch_size="$batch_size" \
    ++dataset_conf.num_workers="$workers" ++train_conf.max_epoch="${epoch_list[$1 - 1]:-${epoch_list[0]}}" \
    ++train_conf.keep_nbest_models="$keep" ++train_conf.avg_nbest_model="$keep" ++optim_conf.lr="$lr" \
    ++device="$device" ++seed="$seed" ${freeze:+"++freeze_param='$freeze'"} "${hydra_overrides[@]}" \
    hydra.run.dir="$output" hydra.output_subdir=null hydra/job_logging=stdout 2>&1 | tee -a "$output/train.log"
}

if at 1; then
  log "Stage 1: scp2jsonl -> $data/*.jsonl"
  as_jsonl train "$train"
  as_jsonl val "$val"
  if [ -n "$general_train" ]; then
    as_jsonl general_train "$general_train"
    as_jsonl general_val "$general_val"
  fi
fi

if at 2 && [ -n "$general_train" ]; then
  log "Stage 2: staged mixes, general:domain $ratios -> $data/staged"
  once "$data/staged/.mixed" "$PYTHON" "$tools/prepare_staged_data.py" --output-dir "$data/staged" \
    --seed "$seed" --by "$by" --ratios "${ratio_list[@]}" --general-train "$data/general_train.jsonl" \
    --general-val "$data/general_val.jsonl" --domain-train "$data/train.jsonl" --domain-val "$data/val.jsonl"
fi

if at 3; then
  start=$model
  for number in $(seq "$mixes"); do
    log "Stage 3: finetune, $number of $mixes, from $start -> $output_dir/stage$number/model"
    once "$output_dir/stage$number/.trained" run_trainer "$number" "$start"
    start=$output_dir/stage$number/model
  done
fi

if at 4 && [ -n "$test" ]; then
  log "Stage 4: decode $test -> $output_dir/decode"
  once "$output_dir/decode/.decoded" "$PYTHON" "$tools/decode.py" ++model_dir="$output_dir/stage$mixes/model" \
    ++scp_file="$test/wav.scp" ++output_dir="$output_dir/decode" ++device="$device"
fi

if at 5 && [ -n "$test" ]; then
  log "Stage 5: score -> $output_dir/decode/score.txt"
  "$PYTHON" "$tools/score.py" --ref "$test/text" --hyp "$output_dir/decode/1best_recog/text" --convention is21 \
    --normalize "$normalize" --json "$output_dir/decode/score.json" | tee "$output_dir/decode/score.txt"
fi
