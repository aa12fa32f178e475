#!/usr/bin/env bash
# Train on several nodes of a Slurm cluster: one torchrun a node, one process a GPU.
#
#   sbatch --nodes=2 --gpus-per-node=4 tools/slurm_train.sh --config-path conf --config-name finetune \
#     ++model=sap2 ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl ++output_dir=exp/finetune
#
# The arguments are those of funasr-sap-train. The nodes must see the same files. A job that is killed or
# requeued goes on from its last checkpoint. PYTHON names the interpreter (python3), PORT the port where the
# processes meet (29500).
#SBATCH --job-name=funasr-sap-train
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
set -euo pipefail

usage() { sed -n '2,/^#SBATCH/{/^#SBATCH/!s/^# \{0,1\}//p}' "$0"; }
if [ $# -eq 0 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
  usage
  exit 0
fi
: "${SLURM_JOB_NODELIST:?is set by Slurm only; start this with sbatch, see --help}"

PYTHON=${PYTHON:-python3}
PORT=${PORT:-29500}
processes=${SLURM_GPUS_ON_NODE:-1}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
threads=$((${SLURM_CPUS_PER_TASK:-8} / processes))
export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))

# shellcheck disable=SC2016  # SLURM_NODEID is each node's own
srun --kill-on-bad-exit=1 bash -c '"$0" -m torch.distributed.run --nnodes "$1" --node-rank "$SLURM_NODEID" \
  --nproc-per-node "$2" --master-addr "$3" --master-port "$4" -m funasr_sap.train.main "${@:5}"' \
  "$PYTHON" "$SLURM_JOB_NUM_NODES" "$processes" "$first" "$PORT" "$@"
