#!/bin/sh
# The commands of the guide's chapter on shipping and updating. They run in a folder with `bundle`,
# `light.jsonl` and `new.jsonl`, where `polygraft` and ONNX Runtime are found.
set -eu

# guide: begin make
polygraft update --bundle bundle --store maker --task light --examples light.jsonl
polygraft adapter export --bundle bundle --store maker --task light --language mul \
    --to own --out light.adapter
# guide: end make

# guide: begin install
polygraft bundle verify bundle
polygraft adapter import --bundle bundle --from light.adapter --store device --task light \
    --language mul --activate
# guide: end install

# guide: begin update
# 4 and 5 mean that the gate kept what was there; what was brought is remembered all the same.
polygraft update --bundle bundle --store device --task light --examples new.jsonl || [ $? -ge 4 ]
polygraft report --store device --task light
# guide: end update

# guide: begin return
polygraft rollback --store device --task light --language mul
polygraft activate --store device --task light --language mul --version 1
polygraft pin --store device --task light --language mul
polygraft unpin --store device --task light --language mul
# guide: end return

# guide: begin tidy
polygraft store statistics --store device
polygraft store remove --store device --task light --keep-last 2
# guide: end tidy

# guide: begin erase
polygraft store wipe --store device --task light --language de --retire
# guide: end erase
