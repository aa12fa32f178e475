#!/usr/bin/env bash
# Sourced by run.sh, stage 3 with --init scratch: train everything from nothing, as the embedded model was made.
# shellcheck disable=SC2154  # the variables are run.sh's

# train NAME CONFIG OVERRIDES...: one training, resumed where it was interrupted.
train() {
  local name=$1 config=$2
  shift 2
  mkdir -p "$exp/$name"
  "$PYTHON" -m funasr_sap.train.main --config-path "$conf" --config-name "$config" "$@" ++output_dir="$exp/$name" \
    hydra.run.dir="$exp/$name" hydra.output_subdir=null 2>&1 | tee -a "$exp/$name/train.log"
}

scratch=$data.scratch
log "Stage 3: from nothing on $scratch_hours hours -> $exp/scratch"
once "$scratch/train/.made" "$PYTHON" -m funasr_sap.data.mini_corpus --output-dir "$scratch/train" --jobs "$jobs" \
  --split train --hours "$scratch_hours" --seed 100
# The span head judges speech that the encoder was not trained on: there it hears as it does in use.
once "$scratch/fresh/.made" "$PYTHON" -m funasr_sap.data.mini_corpus --output-dir "$scratch/fresh" --jobs "$jobs" \
  --split train --hours "$scratch_hours" --seed 101
once "$scratch/dev/.made" "$PYTHON" -m funasr_sap.data.mini_corpus --output-dir "$scratch/dev" --jobs "$jobs" \
  --split dev --utterances 600 --seed 100
once "$scratch/nonspeech/.made" "$PYTHON" -m funasr_sap.data.mini_corpus.nonspeech --output-dir "$scratch/nonspeech" \
  --clips 1400 --seed 1
for set in train fresh dev nonspeech; do
  biasing_list=()
  if [ -e "$scratch/$set/biasing_list" ]; then biasing_list=(++biasing_list="$scratch/$set/biasing_list"); fi
  once "$scratch/$set/.jsonl" "$PYTHON" "$tools"/scp2jsonl.py ++scp_file="$scratch/$set/wav.scp" \
    ++transcript_file="$scratch/$set/text" ++keywords="$scratch/$set/keywords" \
    "${biasing_list[@]}" ++jobs="$jobs" ++jsonl_file="$scratch/$set.jsonl"
done
cat "$scratch/train.jsonl" "$scratch/nonspeech.jsonl" >"$scratch/all.jsonl"
once "$exp/scratch/init/.prepared" "$PYTHON" -m funasr_sap.train.scratch --config "$conf/sap2_tiny.yaml" \
  --train "$scratch/train.jsonl" --output-dir "$exp/scratch/init"
before=()
for step in ctc llm context span; do
  speech=$scratch/all.jsonl # without speech, in part: of it the model learns to be silent
  if [ "$step" = span ]; then speech=$scratch/fresh.jsonl; fi
  once "$exp/scratch/$step/.trained" train "scratch/$step" "train_$step" ++model_directory="$exp/scratch/init" \
    ++train_data_set_list="$speech" ++valid_data_set_list="$scratch/dev.jsonl" \
    ++dataset_conf.keep_empty=true "${before[@]}"
  before=(++init_param="$exp/scratch/$step/model.pt")
done
# The last step's configuration trains the span head alone; that of the step before says what the model is.
once "$exp/scratch/sap2_tiny/.exported" "$PYTHON" "$tools"/export.py --model-dir "$exp/scratch/context" \
  --checkpoint ../span/model.pt --output-dir "$exp/scratch/sap2_tiny"
once "$exp/scratch/sap2_tiny/.calibrated" "$PYTHON" "$tools"/calibrate.py --model-dir "$exp/scratch/sap2_tiny" \
  --data-dir "$scratch/dev" --write
