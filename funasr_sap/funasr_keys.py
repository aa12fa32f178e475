"""Keys that FunASR 1.4.16 reads itself and hands to every model: they are not unknown, whoever reads them."""

from funasr_sap.errors import ConfigError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# AutoModel: what it builds, from where, on which device.
AUTO_MODEL_KEYS = frozenset(
    {
        *("model", "model_conf", "model_path", "model_revision", "hub", "check_latest", "is_training"),
        *("config", "init_param", "scope_map", "excludes", "oss_bucket", "trust_remote_code", "remote_code"),
        *("tokenizer_conf", "token_list", "token_lists", "seg_dicts", "jieba_usr_dict"),
        *("frontend", "frontend_conf", "device", "ngpu", "ncpu", "fp16", "bf16", "seed"),
        *("disable_log", "disable_pbar", "disable_update", "log_level", "debug"),
        *("vad_model", "vad_model_revision", "vad_kwargs", "punc_model", "punc_model_revision"),
        *("punc_kwargs", "spk_model", "spk_model_revision", "spk_kwargs", "spk_mode", "cb_kwargs"),
        *("type", "quantize", "opset_version", "calib_num"),  # of its export
    }
)
# AutoModel.generate; they may also be given when the model is built.
GENERATE_KEYS = frozenset(
    {
        *("input", "input_len", "key", "data_type", "output_dir", "progress_callback", "cache", "is_final"),
        *("batch_size", "batch_size_s", "batch_size_threshold_s", "disable_pbar", "device", "ncpu"),
        *("merge_vad", "merge_length_s", "preset_spk_num", "return_spk_res", "return_spk_center"),
        *("return_raw_text", "sentence_timestamp", "output_timestamp", "return_time_stamps", "use_itn"),
        *("postprocess_hotwords", "postprocess_hotword_file", "postprocess_hotword_threshold"),
        *("return_postprocess_hotword_matches", "en_post_proc", "reduce_channels"),
    }
)
# Its training; validation_conf is ours.
TRAIN_KEYS = frozenset(
    {
        *("train_data_set_list", "valid_data_set_list", "dataset", "dataset_conf", "train_conf"),
        "validation_conf",
        *("optim", "optim_conf", "scheduler", "scheduler_conf", "freeze_param", "lora_only", "lora_bias"),
        *("use_ddp", "use_fsdp", "use_deepspeed", "deepspeed_config", "backend", "enable_tf32"),
        *("cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic"),
    }
)


def check_log_level(name: str, value) -> str:
    """Write the name of a level in capitals, as ``logging`` has it.

    Raises:
        ConfigError: for what is none.
    """
    if not isinstance(value, str) or value.upper() not in LEVELS:
        raise ConfigError(f"{name}: expected one of {', '.join(LEVELS)}, got {value!r:.80}")
    return value.upper()
