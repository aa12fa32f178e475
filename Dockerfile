# An image for training: docker build --tag funasr-sap .
# How to run it, with GPUs, volumes and shared memory: docs/docker.md
#
# The wheels of torch carry CUDA 13.0, so the base needs none; the host gives the driver.
# A digest pins the base to the last byte: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11.13-slim-bookworm
FROM ${BASE}

ENV PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# With the UID of the user who owns the mounted folders, what the image writes there is theirs.
ARG UID=1000
RUN useradd --create-home --home-dir /workspace --uid "${UID}" sap
WORKDIR /workspace

# Packages first: a change of the code does not install torch again.
COPY docker/constraints.txt docker/
RUN python -m pip install --constraint docker/constraints.txt pip setuptools \
 && python -m pip install --no-build-isolation --requirement docker/constraints.txt

COPY --chown=${UID} . .
RUN python -m pip install --no-build-isolation --no-deps . \
 && python -m pip check \
 && rm -r build funasr_sap.egg-info

USER ${UID}
CMD ["funasr-sap-train", "--help"]
