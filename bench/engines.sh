# The figures on real engines, over TCP. Sourced by bench/run.

# Redis, Pulsar and MySQL as they are to run for real: commits that last, a binlog, a pool of 1 GB.
engines_up() {
  TEST_MARIADB_URL=none TEST_REDIS_TLS_URL=none \
    DIBS_ENGINES_SQL="--innodb-buffer-pool-size=1G --innodb-flush-log-at-trx-commit=1 --sync-binlog=1" \
    tools/engines up "$engines" >"$work/engines.says"
  eval "$(tools/engines env "$engines")"
  grep -E '^(Redis|Pulsar|MySQL) ' "$work/engines.says" | sed 's/ on .*//' | paste -sd , | sed 's/,/, /g'
}

of_batcher() { "$bin/examples/figures" batcher "$TEST_REDIS_URL" "$runs"; }
of_memory() { "$bin/examples/figures" memory "$TEST_REDIS_URL"; }
of_ledger() { "$bin/examples/figures" ledger "$TEST_MYSQL_URL" "$runs" "$orders"; }

# An install that nobody else uses: gate, log, admin API of the log, ledger.
addresses() { # name
  local name
  name=$1_$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
  echo "$TEST_REDIS_URL?prefix=$name" "$TEST_PULSAR_URL/public/$name" "$TEST_PULSAR_ADMIN_URL" \
    "$TEST_MYSQL_URL/$name?ssl-mode=DISABLED"
}

# The roles, each in a process of its own. Once, for whoever comes first.
roles_up() {
  if [ -n "${roles[*]:-}" ]; then return; fi
  local gate log log_admin ledger
  read -r gate log log_admin ledger <<<"$(addresses claims)"
  roles=(DIBS_GATE="$gate" DIBS_LOG="$log" DIBS_LOG_ADMIN="$log_admin" DIBS_LEDGER="$ledger" DIBS_SECRET="$secret")
  env "${common[@]}" "${roles[@]}" "$bin/dibs" migrate >/dev/null
  worker_up
  begin 127.0.0.1:19481 "${roles[@]}" DIBS_LISTEN=$api api
  pids+=($!)
}

worker_up() {
  begin 127.0.0.1:19482 "${roles[@]}" worker
  worker=$!
  pids+=($worker)
}

of_claims() {
  prepare_claims
  roles_up
  answers
  local run base sold base_granted
  for run in $(seq 0 "$runs"); do
    base=$(load "http://$baseline/answer/$refusal" again 4)
    sold=$(load "http://$api/v1/sales/sold-out/tickets" again 4)
    base_granted=$(load "http://$baseline/answer/$grant" again 4)
    granted_beside_worker "beside-$run"
    granted_alone "alone-$run"
    turn "$run" claims "$(rate "$base") $(rate "$sold") $(rate "$base_granted") $beside $decided $alone"
  done
  row "sold-out claims / route that asks nobody" "$(beside '$2' '$1' claims)" "≥ 0.6"
  row "granted claims, worker deciding behind them / route that asks nobody" "$(beside '$4' '$3' claims)" "≥ 0.25"
  row "granted claims, worker stopped / route that asks nobody" "$(beside '$6' '$3' claims)" "≥ 0.4"
  row "granted claims until the last verdict" "$(per_turn '$5' claims)"
}

granted_beside_worker() { # sale; sets beside and decided, both a second
  local granted begun n
  create "$1" 2000000
  begun=$(date +%s.%N)
  granted=$(load "http://$api/v1/sales/$1/tickets" once 4)
  await_verdicts "$1"
  n=$(field granted "$granted")
  decided=$(since "$begun" "$n")
  [ "$(count "$1" sold)" -ge "$n" ]
  beside=$(rate "$granted")
}

granted_alone() { # sale; sets alone, a second
  create "$1" 2000000
  end "$worker"
  alone=$(rate "$(load "http://$api/v1/sales/$1/tickets" once 4)")
  worker_up
  await_verdicts "$1"
}

of_latency() {
  prepare_claims
  roles_up
  create idle 1000
  begin 127.0.0.1:19483 "${roles[@]}" DIBS_LISTEN=127.0.0.1:18481 push
  local push=$! engines_of_their_own
  pids+=($push)
  read -ra engines_of_their_own <<<"$(addresses trips)"
  head -n 500 "$work/buyers" | "$bin/examples/figures" latency $api 127.0.0.1:18481 idle "${engines_of_their_own[@]}"
  end $push
}
