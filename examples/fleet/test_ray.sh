#!/bin/sh
# The runs of two small settings as jobs on Ray have the results of the same runs alone, byte for byte.
#
# It takes what `make test-ray` has prepared and works in target/ray.
set -eu

cd "$(dirname "$0")/../.."
venv=.cache/venv-ray
program=${POLYGRAFT_EXPERIMENT:-target/release/polygraft-experiment}
folder=target/ray
export ORT_DISABLE_TELEMETRY=1 ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$PWD/.cache/onnxruntime/libonnxruntime.so}"
if ! "$venv/bin/python" -c 'import ray' 2> /dev/null; then
    echo "ray: installs Ray in $venv (once)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    sh tools/heartbeat.sh packages "$venv/bin/pip" install --quiet --disable-pip-version-check \
        -r examples/fleet/requirements-ray.txt
fi
rm -rf "$folder"
mkdir -p "$folder"
for count in 5 20; do
    cat > "$folder/small-$count.json" << END
{
  "name": "small-$count", "dataset": "home-assistant-intents", "data": "intents",
  "languages": ["de", "nl", "tr"], "test_examples_per_language": 40, "held_out_from_dev": true,
  "base": {
    "examples_per_language": 60, "held_out_per_language": 20,
    "training": { "epochs": 1, "learning_rate": 0.001 }
  },
  "stages": [{ "languages": ["de"], "examples_per_language": $count, "reserved_per_language": 20 }],
  "update": { "epochs": 1, "learning_rate": 0.001 },
  "rehearsal": {
    "examples_per_language_max": 10, "held_out_per_language_max": 20, "held_out_percent": 30
  },
  "strategies": ["uriel"], "seeds": [1, 2]
}
END
done
common="--bundle .cache/bundle/e5-small --mode fast --threads 1 --data .cache/data"
"$program" $common --setting "$folder"/small-*.json --cache "$folder/cache-alone" --out "$folder/alone"
"$venv/bin/python" examples/fleet/experiment_ray.py --program "$program" $common \
    --setting "$folder"/small-*.json --cache "$folder/cache-ray" --out "$folder/ray"
cmp "$folder/alone/cml.json" "$folder/ray/cml.json"
echo "the results on Ray are those of a run alone"
