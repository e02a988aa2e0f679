#!/bin/sh
# The command of the guide's chapter on data. It runs in a folder with `bundle`, a `store` that has
# learnt the task, and `test.jsonl`, where `polygraft` and ONNX Runtime are found.
set -eu

# guide: begin eval
polygraft eval --bundle bundle --store store --task light --examples test.jsonl
# guide: end eval
