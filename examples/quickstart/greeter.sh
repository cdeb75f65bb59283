# Greets, waits for ten seconds, and ends. Asked to stop, it takes its leave first.
trap 'echo "greeter: goodbye, $NAME"; kill "$nap"; exit 0' INT
echo "greeter: hello, $NAME, I am process $$"
sleep 10 &
nap=$!
wait "$nap"
echo "greeter: that was it, until initpy starts me again"
