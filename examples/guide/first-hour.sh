#!/bin/sh
# The commands of the guide's first hour. They run in a folder with `bundle` and `light.jsonl`,
# where `polygraft` and ONNX Runtime are found.
set -eu

# guide: begin doctor
polygraft doctor --bundle bundle
# guide: end doctor

# guide: begin teach
polygraft update --bundle bundle --store store --task light --examples light.jsonl
polygraft predict --bundle bundle --store store --task light --language de 'mach das Licht aus'
# guide: end teach

# guide: begin look
polygraft versions --store store --task light
polygraft report --store store --task light --html report.html
polygraft languages --explain de-AT --store store --task light
# guide: end look
