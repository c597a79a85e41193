# The figures of the README: every role in one process, with the local engines. Sourced by bench/run.

of_local() {
  prepare_claims
  begin 127.0.0.1:19480 DIBS_DATA="$work/data" DIBS_LISTEN=$api
  local server=$! run base sold base_granted granted begun n
  pids+=($server)
  answers
  for run in $(seq 0 "$runs"); do
    base=$(load "http://$baseline/answer/$refusal" again 5)
    sold=$(load "http://$api/v1/sales/sold-out/tickets" again 5)
    base_granted=$(load "http://$baseline/answer/$grant" again 5)
    create "run-$run" 2000000
    begun=$(date +%s.%N)
    granted=$(load "http://$api/v1/sales/run-$run/tickets" once 5)
    await_verdicts "run-$run"
    n=$(field granted "$granted")
    [ "$(count "run-$run" sold)" -ge "$n" ]
    turn "$run" local "$(rate "$base") $(rate "$sold") $(rate "$base_granted") $(rate "$granted") $(since "$begun" "$n")"
  done
  row "local: sold out / baseline" "$(beside '$2' '$1' local)"
  row "local: granted, worker deciding beside it / baseline" "$(beside '$4' '$3' local)"
  row "local: the same until the last verdict / baseline" "$(beside '$5' '$3' local)"
  create idle 1000
  head -n 500 "$work/buyers" | "$bin/examples/figures" latency $api $api idle | sed 's/^| /| local: /'
  connections_cost $server
  end $server
}

connections_cost() { # process id of the server
  local sockets=10000 token before
  token=$(claim idle | jq -r .token)
  rss() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }
  before=$(rss "$1")
  mkfifo "$work/hold"
  "$bin/examples/sockets" $api $sockets "$token" <"$work/hold" 2>"$work/sockets" & pids+=($!)
  exec 3>"$work/hold"
  until grep -q 'are open' "$work/sockets"; do sleep 0.2; done
  row "local: memory an idle WebSocket, $sockets of them" "$(divide $(($(rss "$1") - before)) $sockets) KiB"
  exec 3>&-
}
