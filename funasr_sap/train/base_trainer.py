"""FunASR's Trainer for any device and any number of processes, that loses nothing when it is killed."""

import logging
import math
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from funasr.train_utils import trainer_ds
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from funasr_sap.errors import ConfigError, DataError
from funasr_sap.train import rng, sharding
from funasr_sap.train.checkpoints import BEST, LATEST, Checkpoints, checkpoint_name
from funasr_sap.train.distributed import Process, Replicas, gather, total
from funasr_sap.train.trend import LossTrend

if TYPE_CHECKING:
    from funasr_sap.train.loader import Loader

SHOWN = 20  # names of utterances in a message
MAX_EXPONENT = 700.0  # FunASR logs e to the power of the mean loss, which has no value much above this


class BaseTrainer(trainer_ds.Trainer):
    """FunASR's Trainer, with these differences. What judges the model is left to a subclass.

    - Mixed precision (``use_bf16``) on any device; FunASR's is for CUDA only.
    - Batches of several processes, and those gathered by ``accum_grad``, are averaged by the weights that the
      model reports, as if they were one batch; logged losses too. FunASR counts all batches alike.
    - An epoch's last group of batches is trained on, even if it is shorter than ``accum_grad``.
    - Checkpoints are whole or not there, hold all generators' states, and old ones are removed.
    - A loss that is not finite, and audio that cannot be read, are errors that all processes raise together.

    Args:
        process: which process of the training this is.
        output_dir: the model directory that is trained.
        max_bad: how many unreadable utterances each epoch may pass over.
        skip_nan: how many batches without a finite loss the training may pass over.
        **train_conf: as FunASR's.
    """

    def __init__(self, process: Process, output_dir: str, max_bad: int = 0, skip_nan: int = 0, **train_conf):
        shares = {"rank": process.rank, "local_rank": process.local_rank, "world_size": process.world_size}
        train_conf |= shares | {"device": process.device}
        sharded = train_conf.get("use_fsdp", False) or train_conf.get("use_deepspeed", False)
        train_conf["use_ddp"] = process.world_size > 1 and not sharded
        with tempfile.TemporaryDirectory() as scratch:  # FunASR opens a TensorBoard file in each process
            super().__init__(output_dir=scratch if process.rank else output_dir, **train_conf)
            if process.rank and self.writer is not None:
                self.writer.close()
                self.writer = None
        self.process, self.output_dir = process, output_dir
        self.max_bad, self.skip_nan = max_bad, skip_nan
        self.bad_in_epoch = self.skipped = 0
        # In the middle of a group of batches, half of its gradients would be lost.
        self.save_checkpoint_interval = -(-self.save_checkpoint_interval // self.accum_grad) * self.accum_grad
        self.checkpoints = Checkpoints(output_dir)
        self.rng_states: dict | None = None  # of the checkpoint that the training goes on from
        self.steps_in_epoch = 0
        self.group_weight = self.reference = 0.0
        self.group_is_open = self.group_is_dropped = False
        self.means = {"loss": 0.0, "acc": 0.0}  # of the epoch so far
        self.trend = LossTrend()
        self.validated: list[torch.Tensor] = []  # weight, and weight times loss and accuracy, of each batch
        self.unread: list[str] = []  # what a validation could not read

    def fit(
        self,
        model: nn.Module,
        optim: Optimizer,
        scheduler: LRScheduler,
        loader: "Loader",
        scaler: GradScaler | None = None,
    ) -> None:
        """Train from ``start_epoch`` on; each epoch is validated and saved.

        Args:
            model: what ``warp_model`` gave.
            optim: its optimiser.
            scheduler: the optimiser's schedule.
            loader: gives ``build_iter(epoch, start_step=...)``, FunASR's pair of dataloaders.
            scaler: of gradients in fp16.
        """
        state = {"model": model, "optim": optim, "scheduler": scheduler, "scaler": scaler}
        if self.rng_states is not None:
            rng.set_states(self.rng_states, self.process.device)
        for epoch in range(self.start_epoch, self.max_epoch):
            loader_train, loader_val = loader.build_iter(epoch, start_step=self.start_step)
            self.steps_in_epoch = len(loader_train)
            self.train_epoch(
                **state,
                dataloader_train=loader_train,
                dataloader_val=loader_val,
                epoch=epoch,
                start_step=self.start_step,
            )
            self.start_step = 0
            results = self.validate(model, loader_val, epoch + 1)
            self._report_bad(epoch)
            self.step_in_epoch, self.means = 0, {"loss": 0.0, "acc": 0.0}
            self.save_checkpoint(epoch + 1, **state)
            self.train_acc_avg = self.train_loss_avg = 0.0
            if self.is_done(results):
                break
        if self.rank == 0:
            self.trend.report(self.max_epoch, self.start_epoch)

    def warp_model(self, model: nn.Module, **kwargs) -> nn.Module:
        """Put the model on its device, as one of several replicas or shards where there are such."""
        if self.use_deepspeed:
            model.register_forward_hook(sharding.touch_all)
            return super().warp_model(model, **kwargs)
        model = model.to(self.process.device)
        if self.use_fsdp:
            return sharding.shard(model, self.process, self.update_is_due)
        if not self.use_ddp:
            return model
        places = [self.process.device] if self.process.device.startswith("cuda") else None
        # Not every batch has keywords, and what only they train gets no gradient then.
        return Replicas(model, self.update_is_due, device_ids=places, find_unused_parameters=True)

    def validate(self, model: nn.Module, loader: Iterable, epoch: int) -> dict[str, float]:
        """Judge the model at the end of an epoch; see the subclass."""
        raise NotImplementedError

    def is_done(self, results: Mapping[str, float] | None = None) -> bool:
        """Tell whether the training may stop before its last epoch; see the subclass."""
        raise NotImplementedError

    def update_is_due(self) -> bool:
        """Tell whether the batch under way is the last of a group, or of the epoch."""
        return self.step_in_epoch % self.accum_grad == 0 or self.step_in_epoch == self.steps_in_epoch

    def forward_step(self, model: nn.Module, batch: dict, loss_dict: dict) -> None:
        """Compute the loss of a batch into ``loss_dict``, with the weight it counts by."""
        batch = dict(batch)
        loss_dict["bad"] = batch.pop("bad", [])
        loss_dict["keys"] = batch.get("keys", [])
        mixed, kind = self.dtype != torch.float32, torch.device(self.process.device).type
        with torch.autocast(kind, self.dtype if mixed else None, enabled=mixed):
            super().forward_step(model, batch, loss_dict=loss_dict)
        weight = torch.as_tensor(loss_dict["weight"], device=loss_dict["loss"].device).double().sum()
        # Where nothing of a batch can be read, silence stands in.
        loss_dict["weight"] = torch.zeros_like(weight) if None in loss_dict["keys"] else weight
        if not model.training:
            self._note_validated(loss_dict)

    def backward_step(self, model: nn.Module, scaler: GradScaler | None, loss_dict: dict) -> None:
        """Compute gradients, after all processes have agreed on the weight of the batch, and that it is good.

        Raises:
            DataError: in all processes, for a loss that is not finite, or too many unreadable utterances.
        """
        loss, weight, stats = loss_dict["loss"], loss_dict["weight"], loss_dict["stats"]
        values = torch.stack([value.detach().double().sum() for value in (loss, *stats.values())])
        is_broken = ~values[0].isfinite()
        counts = torch.stack([weight, is_broken.double(), torch.full_like(weight, len(loss_dict["bad"]))])
        weighted = torch.where(is_broken, 0.0, weight * values)
        whole, num_broken, num_bad, *sums = total(torch.cat([counts, weighted]), self.process.device)
        self._count_bad(int(num_bad), loss_dict["bad"])
        self._add_to_group(whole)
        if num_broken:
            self._pass_over(loss_dict, bool(is_broken))
            loss_dict["loss"] = torch.tensor(self.means["loss"])  # leaves the epoch's mean as it is
            return
        scale = float(weight) / self.reference * self.accum_grad  # by which FunASR divides
        if self.use_deepspeed:  # it averages the batches of a group itself, all alike
            scale = float(weight) * self.process.world_size / (whole or 1.0)
        scaled = loss if scale == 1.0 else loss * scale
        super().backward_step(model, scaler, loss_dict={"loss": scaled})
        means = [torch.tensor(each / (whole or 1.0)) for each in sums]
        loss_dict |= {"loss": means[0], "stats": dict(zip(stats, means[1:], strict=True))}

    def update_step(
        self,
        model: nn.Module,
        optim: Optimizer,
        scheduler: LRScheduler,
        scaler: GradScaler | None,
        loss_dict: dict | None = None,
    ) -> None:
        """Update the weights at the end of each group of batches."""
        if self.use_deepspeed:
            super().update_step(model, optim, scheduler, scaler, loss_dict)
            return
        if not self.update_is_due():
            return
        self.group_is_open = False
        if self.group_is_dropped:
            optim.zero_grad(set_to_none=True)
            return
        if scaler:
            scaler.unscale_(optim)  # FunASR would clip gradients as they are scaled
        factor = self.reference * self.process.world_size / (self.group_weight or 1.0)
        for parameter in model.parameters() if factor != 1.0 else ():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        before = scheduler.last_epoch
        super().update_step(
            model, optim, scheduler, scaler, (loss_dict or {}) | {"batch_idx": self.accum_grad - 1}
        )
        if scaler and scheduler.last_epoch == before:  # passed over by FunASR, which leaves the scale then
            scaler.update()

    def log(self, loss_dict: dict, tag: str = "train", **kwargs) -> None:
        """Log a step as FunASR does, with an epoch's means that a resumed training goes on with.

        An epoch's last step is always logged: an epoch shorter than ``log_interval`` would leave no line.
        """
        interval = self.log_interval
        if tag == "train":
            found = {"acc": self.means["acc"], **loss_dict["stats"], "loss": loss_dict["loss"]}
            for name, mean in self.means.items():
                self.means[name] = mean + (float(found[name]) - mean) / self.step_in_epoch
            self.train_loss_avg, self.train_acc_avg = self.means["loss"], self.means["acc"]
            self.trend.add(float(loss_dict["loss"]))
            self.log_interval = 1 if self.step_in_epoch == self.steps_in_epoch else interval
        mean = getattr(self, f"{tag}_loss_avg")
        setattr(self, f"{tag}_loss_avg", min(mean, MAX_EXPONENT))
        super().log(loss_dict, tag, **kwargs)
        setattr(self, f"{tag}_loss_avg", mean)
        self.log_interval = interval

    def validate_epoch(self, model: nn.Module, dataloader_val: Iterable, epoch: int, **kwargs) -> None:
        """Compute the losses of a validation set, each batch by its weight; FunASR counts all alike."""
        self.validated, self.unread = [], []
        super().validate_epoch(model=model, dataloader_val=dataloader_val, epoch=epoch, **kwargs)
        rows = torch.stack(self.validated).nan_to_num().sum(0).tolist() if self.validated else [0.0] * 3
        weight, *sums, num_bad = total([*rows, len(self.unread)], self.process.device)
        self._count_bad(int(num_bad), self.unread)
        name = checkpoint_name(epoch, kwargs.get("step_in_epoch"))
        for metric, value in zip(("loss", "acc"), sums, strict=True):
            history = getattr(self, f"val_{metric}_step_or_epoch")
            if name in history and weight:
                history[name] = value / weight
                setattr(self, f"val_{metric}_avg", value / weight)

    def save_checkpoint(
        self,
        epoch: int,
        step: int | None = None,
        *,
        model: nn.Module,
        optim: Optimizer,
        scheduler: LRScheduler,
        scaler: GradScaler | None = None,
        step_in_epoch: int | None = None,
        **kwargs,
    ) -> None:
        """Save what the training needs to go on, and what is best; see ``Checkpoints``.

        Raises:
            OSError: in all processes, where it cannot be written; the checkpoints of before are untouched.
        """
        step = None if step is None else step_in_epoch  # FunASR's step counts from the last resumption
        if self.use_deepspeed:
            state = {"model": model, "optim": optim, "scheduler": scheduler, "scaler": scaler}
            super().save_checkpoint(epoch, step=step, step_in_epoch=step_in_epoch, **state, **kwargs)
            return
        state = {
            "epoch": epoch,
            "step": step,
            "step_in_epoch": step,
            "batch_total": self.batch_total,
            "train_loss_avg": self.means["loss"],
            "train_acc_avg": self.means["acc"],
            "bad_in_epoch": self.bad_in_epoch,
            "skipped": self.skipped,
            "rng": gather(rng.get_states(self.process.device)),
            "state_dict": self._saved_weights(model),
            "optimizer": sharding.whole(optim).state_dict(),
            "scheduler": scheduler.state_dict(),
        }
        if scaler:
            state["scaler_state"] = scaler.state_dict()
        error = self._write(state, checkpoint_name(epoch, step)) if self.rank == 0 else None
        failed = [reason for reason in gather(error and str(error)) if reason]
        if failed:
            raise error or OSError(failed[0])

    def resume_checkpoint(
        self,
        model: nn.Module,
        optim: Optimizer,
        scheduler: LRScheduler,
        scaler: GradScaler | None = None,
    ) -> None:
        """Go on from the newest checkpoint, if there is one.

        Raises:
            ConfigError: for a damaged one, and for one within an epoch that other processes shared.
        """
        if self.use_deepspeed:
            super().resume_checkpoint(model, optim, scheduler, scaler)
            return
        file = self.checkpoints.folder / LATEST
        if self.resume and file.is_file() and not zipfile.is_zipfile(file):
            raise ConfigError(f"{file} is damaged; copy one of its {LATEST}.ep* over it, or remove it")
        if self.rank == 0:
            self.checkpoints.remove_halves()
        super().resume_checkpoint(sharding.whole(model), sharding.whole(optim), scheduler, scaler)
        if not self.resume or not file.is_file():
            return
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        states = state.get("rng", [])
        if self.start_step and len(states) != self.process.world_size:
            raise ConfigError(
                f"{file} is of batch {self.start_step} of an epoch shared by {len(states)} processes, this "
                f"training has {self.process.world_size}; start as many, or go on from an epoch's end"
            )
        if len(states) == self.process.world_size:
            self.rng_states = states[self.rank]
        self.means = {"loss": self.train_loss_avg, "acc": self.train_acc_avg}
        self.bad_in_epoch, self.skipped = state.get("bad_in_epoch", 0), state.get("skipped", 0)

    def close(self, writer: object = None) -> None:
        """End the training."""
        if self.writer is not None:
            self.writer.close()

    def _add_to_group(self, weight: float) -> None:
        """Count a batch, whose weight in all processes is given, to the group of the next update.

        Gradients are summed up relative to the weight of a group's first batch, so that they keep their size.
        """
        if not self.group_is_open:
            self.group_is_open, self.group_is_dropped, self.group_weight = True, False, 0.0
            self.reference = weight / self.process.world_size or 1.0
        self.group_weight += weight

    def _note_validated(self, loss_dict: dict) -> None:
        acc = loss_dict["stats"].get("acc", torch.tensor(math.nan))
        values = [
            torch.as_tensor(each).detach().double().sum().cpu() for each in (1.0, loss_dict["loss"], acc)
        ]
        self.validated.append(torch.stack(values) * loss_dict["weight"].cpu())
        self.unread += loss_dict["bad"]

    def _count_bad(self, number: int, mine: list[str]) -> None:
        """Count utterances that some process could not read."""
        self.bad_in_epoch += number
        if number and self.bad_in_epoch > self.max_bad:
            found = [message for messages in gather(mine) for message in messages]
            raise DataError(
                f"{'; '.join(found[:SHOWN])}; {self.bad_in_epoch} unreadable utterance(s) in this epoch, "
                f"expected at most {self.max_bad}; mend or remove them, or allow more with "
                "++dataset_conf.max_bad=N"
            )
        for message in mine:
            logging.warning("passed over: %s", message)

    def _report_bad(self, epoch: int) -> None:
        if self.bad_in_epoch:
            logging.warning(
                "epoch %d: %d unreadable utterance(s) passed over, of at most %d",
                *(epoch + 1, self.bad_in_epoch, self.max_bad),
            )
        self.bad_in_epoch = 0

    def _pass_over(self, loss_dict: dict, is_mine: bool) -> None:
        """Drop the group of a batch whose loss is not finite in some process."""
        self.skipped, self.group_is_dropped = self.skipped + 1, True
        names = [str(key) for key in loss_dict["keys"]] if is_mine else []
        found = [name for process in gather(names) for name in process]
        value = float(loss_dict["loss"]) if is_mine else math.nan
        what = (
            f"step {self.batch_total} (epoch {loss_dict['epoch'] + 1}, batch {self.step_in_epoch}): the loss "
            f"is {value} for utterances {', '.join(found[:SHOWN])}{' ...' * (len(found) > SHOWN)}"
        )
        if self.skipped > self.skip_nan:
            raise DataError(
                f"{what}; lower ++optim_conf.lr, look at these utterances, or pass over up to N such batches "
                "with ++train_conf.skip_nan=N"
            )
        logging.warning("%s; passed over, %d of at most %d", what, self.skipped, self.skip_nan)

    def _saved_weights(self, model: nn.Module) -> dict[str, torch.Tensor]:
        excluded = tuple(self.effective_save_name_excludes or ())
        state = sharding.whole(model).state_dict()
        return {name: value for name, value in state.items() if not name.startswith(excluded or ("\0",))}

    def _write(self, state: dict, name: str) -> OSError | None:
        """Write a checkpoint, and remove old ones; return why not."""
        is_best = self._rank(name)
        ranking = ("saved_ckpts", "best_step_or_epoch", "avg_keep_nbest_models_type")
        ranking += ("val_acc_step_or_epoch", "val_loss_step_or_epoch")
        try:
            self.checkpoints.write(state | {key: getattr(self, key) for key in ranking}, name, is_best)
            self.checkpoints.prune({name, *self.saved_ckpts})
        except OSError as error:
            return error
        logging.info("Checkpoint saved to %s", self.checkpoints.folder / name)
        return None

    def _rank(self, name: str) -> bool:
        """Rank a checkpoint among the best ``keep_nbest_models``; tell whether it is the best."""
        metric = self.avg_keep_nbest_models_type
        history, sign = getattr(self, f"val_{metric}_step_or_epoch"), 1 if metric == "acc" else -1
        value, best = history.get(name), history.get(self.best_step_or_epoch)
        if value is None:
            return False
        self.saved_ckpts[name] = value
        if len(self.saved_ckpts) > self.keep_nbest_models > 0:
            del self.saved_ckpts[min(self.saved_ckpts, key=lambda each: sign * self.saved_ckpts[each])]
        is_best = best is None or sign * value >= sign * best
        if is_best:
            self.best_step_or_epoch = name
            logging.info("Update best %s: %.4f, %s", metric, value, self.checkpoints.folder / BEST)
        else:
            relation = "<" if sign > 0 else ">"
            logging.info("No improvement in %s: %.4f %s %.4f", metric, value, relation, best)
        return is_best
