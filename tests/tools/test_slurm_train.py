"""The Slurm script, with a scheduler that takes this machine for two nodes."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "slurm_train.sh"
SRUN = """#!/usr/bin/env bash
while [[ $1 = --* ]]; do shift; done
for node in 0 1; do SLURM_NODEID=$node "$@" > "$LOGS/node$node" 2>&1 & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "${status:-0}"
"""


def call(*arguments, **environment):
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_help_and_use_without_slurm():
    assert "sbatch --nodes=2" in call("--help").stdout
    failed = call("++model=sap2", SLURM_JOB_NODELIST="")
    assert failed.returncode and "start this with sbatch" in failed.stderr


@pytest.mark.slow  # four programs that import FunASR
def test_two_nodes_share_a_training(small_model_dir, speech_dir, tmp_path):
    for name, text in {"srun": SRUN, "scontrol": "#!/bin/sh\necho localhost\necho other\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    slurm = {"SLURM_JOB_NODELIST": "localhost,other", "SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "1"}
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOGS": str(tmp_path), "PYTHON": sys.executable}
    done = call(
        *("--config-path", "conf", "--config-name", "finetune", f"++model={small_model_dir}"),
        *(f"++{kind}_data_set_list={speech_dir}/data.jsonl" for kind in ("train", "valid")),
        *(f"++output_dir={tmp_path}/exp", "++device=cpu", "++ncpu=1", "++train_conf.log_interval=1"),
        *(
            "++dataset_conf.batch_size=1500",
            f"hydra.run.dir={tmp_path}/hydra",
            "++validation_conf.utterances=0",
        ),
        PORT=port,
        **slurm,
        **paths,
    )
    logs = [(tmp_path / f"node{node}").read_text(encoding="utf-8") for node in (0, 1)]
    assert done.returncode == 0, done.stderr + "".join(log[-2000:] for log in logs)
    steps = [
        re.findall(rf"train, rank: {node}, .*total step: (\d+), \(loss_avg_rank: (\S+)\)", log)
        for node, log in enumerate(logs)
    ]
    assert steps[0] and steps[0] == steps[1]  # the losses are those of both
    assert not re.search(r"epoch 1/1: +\d+%", logs[1])  # one shows its progress
    assert json.loads((tmp_path / "exp" / "configuration.json").read_text(encoding="utf-8"))
