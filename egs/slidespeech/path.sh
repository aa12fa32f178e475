#!/usr/bin/env bash
# The recipe's environment: the interpreter, one thread a core, and no network for models.
# shellcheck disable=SC2034  # the variables are for run.sh
# shellcheck source=tools/env.sh
. ../../tools/env.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)} HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false HYDRA_FULL_ERROR=1
tools=../../tools
conf=$(cd ../../conf && pwd)
