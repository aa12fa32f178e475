#!/usr/bin/env bash
# Finetune a model on one training set; a run that was interrupted goes on from its last checkpoint.
#
# bash tools/finetune_stage.sh --model sap2 --train-data data/train.jsonl --val-data data/dev.jsonl \
#   --output-dir exp/mine ++train_conf.max_epoch=2
set -euo pipefail

model=           # what to start from: a name or a model directory
checkpoint=      # which of its checkpoints, such as model.pt.best; empty: model.pt
train_data=
val_data=
output_dir=
config=          # YAML of the training; empty: conf/finetune.yaml
nproc=1          # processes, one a GPU, on this machine
hydra_overrides=()     # ++key=value
# shellcheck disable=SC2034  # read by parse_options.sh
help_message="usage: bash tools/finetune_stage.sh --model NAME_OR_DIR --train-data JSONL --val-data JSONL --output-dir DIR
       [--checkpoint FILE] [--config YAML] [--nproc N] [++key=value ...]
Keys are those of conf/finetune.yaml. What was finished is not done again."
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/parse_options.sh
. "$root/tools/parse_options.sh"
for option in model train_data val_data output_dir; do
  [ -n "${!option}" ] || { echo "$0: --${option//_/-} is missing; see --help" >&2; exit 1; }
done
[[ $nproc =~ ^[1-9][0-9]*$ ]] || { echo "$0: --nproc $nproc: expected a number above 0" >&2; exit 1; }
# shellcheck source=tools/env.sh
. "$root/tools/env.sh"

mark=$output_dir/.trained.done
if [ -e "$mark" ]; then
  echo "already done: $mark" >&2
  exit 0
fi
mkdir -p "$output_dir"
config=${config:-$root/conf/finetune.yaml}
config_name=${config##*/}
launch=("$PYTHON")
if [ "$nproc" -gt 1 ]; then launch+=(-m torch.distributed.run --standalone --nproc-per-node "$nproc"); fi
if [ -n "$checkpoint" ]; then hydra_overrides=(++init_param="$model/$checkpoint" "${hydra_overrides[@]}"); fi
"${launch[@]}" -m funasr_sap.train.main --config-path "$(cd "$(dirname "$config")" && pwd)" \
  --config-name "${config_name%.yaml}" ++model="$model" ++train_data_set_list="$train_data" \
  ++valid_data_set_list="$val_data" ++output_dir="$output_dir" "${hydra_overrides[@]}" \
  hydra.run.dir="$output_dir" hydra.output_subdir=null 2>&1 | tee -a "$output_dir/train.log" >&2
touch "$mark"
