# Greets, waits for ten seconds, and ends. Asked to stop, it takes its leave first.
trap 'echo "told to stop, goodbye"; kill "$nap"; exit 0' HUP
echo "hello, $NAME, I am process $$"
sleep 10 &
nap=$!
wait "$nap"
echo "that was it, until initpy starts me again"
