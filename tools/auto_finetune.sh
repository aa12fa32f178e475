#!/usr/bin/env bash
# Staged finetuning in one go: mixes of general and domain data, a stage each, from the best checkpoint of the
# one before. Run it again after a crash: it goes on where it was.
#
# bash tools/auto_finetune.sh --model sap2 --general-train general/train.jsonl --general-val general/dev.jsonl \
#   --domain-train domain/train.jsonl --domain-val domain/dev.jsonl --output-dir exp/mine
set -euo pipefail

model=sap2       # what to start from: a name or a model directory
general_train=
general_val=
domain_train=
domain_val=
staged_data=     # mixes that prepare_staged_data.py has made already, instead of the four sets
output_dir=
config=          # YAML of all stages; empty: conf/auto_finetune.yaml
by=utterances    # unit of the ratios: utterances | hours
seed=0           # of the mixes
start_share=     # of the starting model's weights in the final one, 0 to 1, so that less is forgotten; empty: none
nproc=1          # processes, one a GPU, on this machine
hydra_overrides=()     # ++key=value, for all stages
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash tools/auto_finetune.sh --output-dir DIR [--model NAME_OR_DIR] [--config YAML]
       (--general-train JSONL --general-val JSONL --domain-train JSONL --domain-val JSONL | --staged-data DIR)
       [--by utterances|hours] [--seed S] [--start-share X] [--nproc N] [++key=value ...]
writes DIR/stage1, stage2, ..., DIR/model (the best model of the last stage, averaged with the start where a share
of it is given), DIR/RESULTS.md (a table of the stages) and DIR/train_log.html. Stages, learning rates, epochs, early
stopping and freeze flags are in the YAML."
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/parse_options.sh
. "$root/tools/parse_options.sh"
[ -n "$output_dir" ] || { echo "$0: --output-dir is missing; see --help" >&2; exit 1; }
[[ $start_share =~ ^(|0|1|0?\.[0-9]+)$ ]] || { echo "$0: --start-share $start_share: expected 0 to 1" >&2; exit 1; }
# shellcheck source=tools/env.sh
. "$root/tools/env.sh"
log() { echo "$(date '+%H:%M:%S') $*" >&2; }

plan=(--plan "${config:-$root/conf/auto_finetune.yaml}" --base "$root/conf/finetune.yaml" --output-dir "$output_dir")
if [ -n "$staged_data" ]; then plan+=(--staged-data "$staged_data"); fi
ratios=$("$PYTHON" -m funasr_sap.train.stages "${plan[@]}")
mapfile -t ratios <<<"$ratios"
if [ -z "$staged_data" ]; then
  staged_data=$output_dir/staged
  if [ ! -e "$staged_data/.mixed.done" ]; then
    for option in general_train general_val domain_train domain_val; do
      [ -n "${!option}" ] || { echo "$0: --${option//_/-} is missing, or --staged-data; see --help" >&2; exit 1; }
    done
    log "Mixes, general:domain ${ratios[*]} -> $staged_data"
    "$PYTHON" "$root/tools/prepare_staged_data.py" --output-dir "$staged_data" --ratios "${ratios[@]}" --by "$by" \
      --seed "$seed" --general-train "$general_train" --general-val "$general_val" \
      --domain-train "$domain_train" --domain-val "$domain_val" >&2
    touch "$staged_data/.mixed.done"
  fi
fi

stages=()
start=$model
checkpoint=
for number in $(seq "${#ratios[@]}"); do
  stage=$output_dir/stage$number
  log "Stage $number of ${#ratios[@]}, ${ratios[number - 1]}, from $model -> $stage"
  bash "$root/tools/finetune_stage.sh" --model "$model" --checkpoint "$checkpoint" --config "$stage/finetune.yaml" \
    --train-data "$staged_data/stage$number/train.jsonl" --val-data "$staged_data/stage$number/val.jsonl" \
    --output-dir "$stage" --nproc "$nproc" "${hydra_overrides[@]}"
  stages+=("$stage")
  model=$stage
  checkpoint=model.pt.best
done

if [ ! -e "$output_dir/model/.exported.done" ]; then
  if [ -n "$start_share" ]; then
    "$PYTHON" "$root/tools/average_checkpoints.py" --model-dir "$model" --checkpoints "$checkpoint" \
      --start "$start" --start-share "$start_share" --output model.pt.avg >&2
    checkpoint=model.pt.avg
  fi
  log "Stage ${#ratios[@]}, $checkpoint -> $output_dir/model"
  "$PYTHON" "$root/tools/export.py" --model-dir "$model" --checkpoint "$checkpoint" --dtype fp32 \
    --output-dir "$output_dir/model" >&2
  touch "$output_dir/model/.exported.done"
fi
"$PYTHON" "$root/tools/train_log_analyzer.py" "${stages[@]}" --html --output-dir "$output_dir" >"$output_dir/train_log.txt"
"$PYTHON" -m funasr_sap.train.stage_table --staged-data "$staged_data" --output "$output_dir/RESULTS.md" "${stages[@]}"
