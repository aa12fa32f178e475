"""The Trainer, with the place where a model is judged: what is best, and when it is enough."""

import logging
from collections.abc import Iterable, Mapping

import torch.distributed as dist
from torch import nn

from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import check_keys
from funasr_sap.train.base_trainer import BaseTrainer
from funasr_sap.train.checkpoints import checkpoint_name
from funasr_sap.train.history import ValidationHistory, check_metric
from funasr_sap.train.validation import LABELS, ValidationDecoder, decode_on_first_rank

FUNASR_METRICS = ("loss", "acc")  # what FunASR's Trainer notes itself


class Trainer(BaseTrainer):
    """``BaseTrainer``, with validation that also decodes, and early stopping.

    Args:
        *args: of ``BaseTrainer``.
        avg_keep_nbest_models_type: what checkpoints are chosen by: FunASR's loss or acc, or wer or b_wer of
            the sample that validation decodes.
        early_stopping: ``patience``, the number of validations without a better one after which training
            stops (0 = never), and the ``metric`` (loss).
        early_stopping_patience: FunASR's name for the patience.
        **kwargs: of ``BaseTrainer``.
    """

    def __init__(
        self,
        *args,
        avg_keep_nbest_models_type: str = "acc",
        early_stopping: Mapping | None = None,
        early_stopping_patience: int = 0,
        **kwargs,
    ):
        metric = check_metric("train_conf.avg_keep_nbest_models_type", avg_keep_nbest_models_type)
        super().__init__(*args, avg_keep_nbest_models_type=metric, **kwargs)
        stopping = {"patience": early_stopping_patience, "metric": "loss"}
        check_keys("train_conf.early_stopping", early_stopping or {}, stopping)
        self.early_stopping = stopping | dict(early_stopping or {})
        check_metric("train_conf.early_stopping.metric", self.early_stopping["metric"])
        self.decoder: ValidationDecoder | None = None
        self.history = ValidationHistory(self.output_dir)
        self._note_known()

    def use_decoder(self, decoder: ValidationDecoder | None) -> None:
        """Let each validation decode too; None for losses alone.

        Raises:
            ConfigError: without a decoder, where something is to be chosen by what it finds.
        """
        self.decoder = decoder
        wanted = {
            "avg_keep_nbest_models_type": self.avg_keep_nbest_models_type,
            "early_stopping.metric": self.early_stopping["metric"],
        }
        for key, metric in wanted.items():
            if decoder is None and metric not in FUNASR_METRICS:
                raise ConfigError(
                    f"train_conf.{key}: got {metric!r}, but validation decodes nothing; see validation_conf"
                )

    def validate(self, model: nn.Module, loader: Iterable, epoch: int) -> dict[str, float]:
        """Judge the model at the end of an epoch; every rank takes part.

        Args:
            model: what ``warp_model`` gave.
            loader: the dataloader of the validation set.
            epoch: epochs trained, from 1.

        Returns:
            The results, by the names of ``LABELS``.
        """
        return self.validate_epoch(model=model, dataloader_val=loader, epoch=epoch)

    def validate_epoch(
        self,
        model: nn.Module,
        dataloader_val: Iterable,
        epoch: int,
        step_in_epoch: int | None = None,
        **kwargs,
    ) -> dict[str, float]:
        """Judge the model, note the results and log them in one line; FunASR calls this within an epoch.

        Args:
            model: what ``warp_model`` gave.
            dataloader_val: the dataloader of the validation set.
            epoch: epochs trained.
            step_in_epoch: batches of the next one; None at an epoch's end.
            **kwargs: FunASR's.
        """
        metric = self.avg_keep_nbest_models_type
        self.avg_keep_nbest_models_type = metric if metric in FUNASR_METRICS else "loss"
        super().validate_epoch(model, dataloader_val, epoch, step_in_epoch=step_in_epoch, **kwargs)
        self.avg_keep_nbest_models_type = metric
        results = {"loss": self.val_loss_avg, "acc": self.val_acc_avg}
        if self.decoder is not None:
            results |= decode_on_first_rank(self.decoder, model, self.dtype)
        name = checkpoint_name(epoch, step_in_epoch)
        self.history.add(self.batch_total, epoch, name, results, write=self.rank == 0)
        self._note_known()
        self._report(results, epoch, step_in_epoch)
        return results

    def _report(self, results: Mapping[str, float], epoch: int, step: int | None) -> None:
        shown = ", ".join(f"{LABELS[name]} {value:.4f}" for name, value in results.items())
        logging.info("epoch %d%s: validation %s", epoch, "" if step is None else f" step {step}", shown)
        if self.writer is not None:  # of the first rank
            for name, value in results.items():
                self.writer.add_scalar(f"validation/{LABELS[name]}", value, self.batch_total)

    def resume_checkpoint(self, *args, **kwargs):
        """Go on from the newest checkpoint, if there is one, with the validations until then."""
        super().resume_checkpoint(*args, **kwargs)
        self.history.forget_after(self.batch_total)
        self._note_known()
        if self.is_done():
            self.start_epoch = self.max_epoch

    def is_done(self, results: Mapping[str, float] | None = None) -> bool:
        """Tell whether the training may stop before its last epoch; all ranks agree.

        Args:
            results: of the last validation, which ``history`` has already.
        """
        patience, metric = self.early_stopping["patience"], self.early_stopping["metric"]
        waited = self.history.since_best(metric)
        done = [patience > 0 and waited >= patience]
        if dist.is_available() and dist.is_initialized():
            dist.broadcast_object_list(done, src=0)
        if done[0]:
            logging.info("Early stopping triggered: no better %s in %d validations", metric, waited)
        return done[0]

    def _note_known(self) -> None:
        """Give ``save_checkpoint`` the values of a metric that FunASR does not note."""
        metric = self.avg_keep_nbest_models_type
        if metric not in FUNASR_METRICS:
            known = {each["checkpoint"]: each[metric] for each in self.history.entries if metric in each}
            setattr(self, f"val_{metric}_step_or_epoch", known)
