# Greets, works for ten seconds, and ends; initpy starts it again.
trap 'echo "greeter: told to stop, goodbye"; kill "$nap" 2>/dev/null; exit 0' INT
echo "greeter: hello, $NAME"
sleep 10 & nap=$!
wait "$nap"
echo "greeter: done for now"
