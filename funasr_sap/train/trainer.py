"""FunASR's Trainer on any device, with a place where an epoch's model is judged."""

import logging

import torch
from funasr.train_utils import trainer_ds
from tqdm import tqdm


class Trainer(trainer_ds.Trainer):
    """FunASR's Trainer, with mixed precision (``use_bf16``) on any device; FunASR's is for CUDA only."""

    def forward_step(self, model, batch, loss_dict):
        """Compute the loss of a batch into ``loss_dict``."""
        mixed = self.dtype != torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype if mixed else None, enabled=mixed):
            super().forward_step(model, batch, loss_dict=loss_dict)

    def fit(self, model, optim, scheduler, loader) -> None:
        """Train from ``start_epoch`` on; each epoch is validated and saved.

        Args:
            model: what ``warp_model`` gives.
            optim: its optimiser.
            scheduler: the optimiser's schedule.
            loader: gives ``build_iter(epoch, start_step=...)``, FunASR's pair of dataloaders.
        """
        for epoch in range(self.start_epoch, self.max_epoch):
            loader_train, loader_val = loader.build_iter(epoch, start_step=self.start_step)
            self.train_epoch(
                model=model,
                optim=optim,
                scheduler=scheduler,
                dataloader_train=ProgressLoader(loader_train, f"epoch {epoch + 1}/{self.max_epoch}"),
                dataloader_val=loader_val,
                epoch=epoch,
                start_step=self.start_step,
            )
            self.start_step = 0
            results = self.validate(model, loader_val, epoch + 1)
            self.step_in_epoch = 0
            self.save_checkpoint(epoch + 1, model=model, optim=optim, scheduler=scheduler)
            self.train_acc_avg = self.train_loss_avg = 0.0
            if self.is_done(results):
                break

    def validate(self, model, loader, epoch: int) -> dict[str, float]:
        """Judge the model at the end of an epoch, and log it in one line; every rank takes part.

        Args:
            model: what ``warp_model`` gave.
            loader: the dataloader of the validation set; its ``dataset`` has the frontend.
            epoch: epochs trained, from 1.

        Returns:
            The results by their names in the log.
        """
        self.validate_epoch(model=model, dataloader_val=loader, epoch=epoch)
        results = {"loss": self.val_loss_avg, "accuracy": self.val_acc_avg}
        shown = ", ".join(f"{name} {value:.4f}" for name, value in results.items())
        logging.info("epoch %d: validation %s", epoch, shown)
        return results

    def is_done(self, results: dict[str, float]) -> bool:
        """Tell whether the training may stop before its last epoch; all ranks must agree."""
        return False


class ProgressLoader:
    """A dataloader that shows its progress."""

    def __init__(self, loader, label: str):
        self.loader, self.label = loader, label
        self.batch_sampler = loader.batch_sampler

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return iter(tqdm(self.loader, desc=self.label, disable=None, mininterval=5))
