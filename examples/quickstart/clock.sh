# Says the time every two seconds, and how to make it go away.
echo "clock: I am process $$: try 'kill -9 $$' in another terminal"
while :; do
    echo "clock: it is $(date +%T)"
    sleep 2
done
