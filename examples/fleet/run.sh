#!/bin/sh
# The demo of a fleet: devices with few sentences each learn together over Flower, on this machine.
#
# Two devices in Python and one in C learn a language each in two rounds; another one in Python sends
# garbage. It takes what `make demo-fleet` has prepared (the bundle, the data, a release build),
# starts fresh stores in target/demo-fleet each time, and touches nothing else. Flower's telemetry,
# its check for updates and its installing of packages are off, and everything listens on 127.0.0.1:
# the SuperLink on 8470, the SuperNodes on 8471 to 8474, the gateway on 8765.
set -eu

cd "$(dirname "$0")/../.."
rounds=${POLYGRAFT_ROUNDS:-2}
demo=$PWD/target/demo-fleet
rm -rf "$demo"
. examples/fleet/environment.sh

"$python" examples/fleet/prepare.py --bundle "$bundle" --data "$data" --out "$demo"

started=
stop() {
    # A SuperLink and a SuperNode start a process of their own, which may outlive them.
    children=
    for one in $started; do
        children="$children $(ps -e -o pid=,ppid= | awk -v parent="$one" '$2 == parent { print $1 }')"
    done
    for one in $started $children; do
        kill "$one" 2> /dev/null || true
    done
}
trap stop EXIT INT TERM

flower-superlink --insecure --disable-runtime-dependency-installation \
    --host 127.0.0.1 --port 8470 > "$demo/superlink.log" 2>&1 &
started="$started $!"
port=8471
for device in de tr el garbage; do
    config="folder=\"$demo/$device\" bundle=\"$bundle\""
    if [ "$device" = el ]; then
        config="$config gateway=\"$demo/$device/gateway\""
    fi
    if [ "$device" = garbage ]; then
        config="$config garbage=true"
    fi
    flower-supernode --insecure --superlink 127.0.0.1:8470 --host 127.0.0.1 --port $port \
        --node-config "$config" > "$demo/$device.log" 2>&1 &
    started="$started $!"
    port=$((port + 1))
done

# The device without Python: a program in C, and the gateway that hands it the bytes.
"$python" examples/fleet/gateway.py --folder "$demo/el/gateway" > "$demo/gateway.log" 2>&1 &
started="$started $!"
mkdir -p "$demo/lib"
ln -sf "$library" "$demo/lib/libpolygraft.so"
ln -sf "$library" "$demo/lib/libpolygraft.so.0"
"${CC:-cc}" -std=c11 -Wall -Wextra examples/fleet/device.c -Iinclude -L"$demo/lib" -lpolygraft \
    -Wl,-rpath,"$demo/lib" -o "$demo/device"
"$demo/device" "$bundle" "$demo/el/store" "$demo/el/new.jsonl" 127.0.0.1 8765 "$rounds" \
    "$demo/base.safetensors" > "$demo/device.log" 2>&1 &
device_in_c=$!
started="$started $device_in_c"

# What listens is there when it takes a connection.
wait_for_port() {
    "$python" - "$1" << 'END'
import socket, sys, time
for _ in range(240):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.25)
sys.exit(f"nothing listens on port {sys.argv[1]}")
END
}
echo "fleet: waits for the SuperLink"
wait_for_port 8470

flwr run examples/fleet fleet --stream --run-config \
    "bundle=\"$bundle\" store=\"$demo/server\" devices=4 rounds=$rounds" 2>&1 |
    tee "$demo/run.log" | grep --line-buffered -E '^\[ |rror|node ' || true

if ! wait "$device_in_c"; then
    echo "fleet: the device in C failed:" >&2
    tail -3 "$demo/device.log" >&2
    exit 1
fi
echo
echo "The device in C:"
cut -c1-150 "$demo/device.log"
"$python" examples/fleet/prepare.py --bundle "$bundle" --data "$data" --out "$demo" --show
