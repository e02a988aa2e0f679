#!/bin/sh
# The command of the guide's chapter on operations. It runs in a folder with `bundle` and
# `light.jsonl`, where `polygraft` and ONNX Runtime are found.
set -eu

# guide: begin patient
polygraft update --bundle bundle --store store --task light --examples light.jsonl \
    --background --threads 1 --memory-mb-max 300 --seconds-max 600 --checkpoint-steps 10
# guide: end patient
