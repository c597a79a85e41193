# Buyers, claims and their rates. Sourced by bench/run.

secret=$(head -c 32 /dev/urandom | base64) admin=$(head -c 24 /dev/urandom | base64 | tr -d '+/=')
api=127.0.0.1:18480 baseline=127.0.0.1:18490
common=(DIBS_JWT_KEYS="hs256:$secret" DIBS_ADMIN_KEY="$admin" DIBS_LOG_LEVEL=warn DIBS_DEMO=false)

# Once, for whoever comes first.
prepare_claims() {
  if [ -e "$work/buyers" ]; then return; fi
  "$bin/examples/buyers" 400000 "$secret" >"$work/buyers"
  "$bin/examples/baseline" "${baseline#*:}" "$secret" & pids+=($!)
}

begin() { # ops address, NAME=VALUE... dibs arguments...: starts a process and waits until it is ready; its id is $!
  local ops=$1 settings=(); shift
  while [[ ${1:-} = *=* ]]; do settings+=("$1"); shift; done
  env "${common[@]}" DIBS_OPS_LISTEN="$ops" "${settings[@]}" "$bin/dibs" "$@" >/dev/null &
  until curl -fs -o /dev/null "http://$ops/readyz"; do kill -0 $! || exit 1; sleep 0.1; done
}

end() { kill "$1"; wait "$1" || true; } # process id

as_admin() { curl -fsS -H "Authorization: Bearer $admin" -H 'Content-Type: application/json' "$@"; }

create() { # id, stock: an open sale whose claims are answered
  as_admin "http://$api/v1/admin/sales" -o /dev/null -d "{\"id\":\"$1\",\"name\":\"Bench\",\"stock\":$2,\"limit\":1,
    \"opens_at\":\"2020-01-01T00:00:00Z\",\"closes_at\":\"2099-01-01T00:00:00Z\"}"
  until [ "$(as_admin "http://$api/v1/admin/sales/$1" | jq .available)" != null ]; do sleep 0.05; done
}

claim() { # sale, curl options: one claim by the last buyer of the file
  curl -sS -X POST "http://$api/v1/sales/$1/tickets" -H "Authorization: Bearer $(tail -n 1 "$work/buyers")" \
    -H 'Content-Type: application/json' -d '{"units":1}' "${@:2}"
}

# What the baseline is to answer: as many bytes as a grant and as a refusal have.
answers() {
  create sold-out 1
  grant=$(claim sold-out | wc -c)
  refusal=$(curl -sS -X POST "http://$api/v1/sales/sold-out/tickets" -H 'Content-Type: application/json' \
    -H "Authorization: Bearer $(head -n 1 "$work/buyers")" -d '{"units":1}' | wc -c)
}

load() { # url, once|again, seconds
  local said
  said=$(wrk -t$threads -c"$connections" -d"$3s" --timeout 10s -s bench/claims.lua "$1" -- "$work/buyers" $threads "$2" \
    | tail -n 1)
  if [ "$(field failed "$said")" != 0 ]; then echo "not every claim was answered: $said" >&2; fi
  echo "$said"
}

field() { sed -n "s/.*$1=\([0-9.]*\).*/\1/p" <<<"$2"; }
divide() { awk "BEGIN { printf \"%.3f\", $1 / $2 }"; }
rate() { divide "$(($(field granted "$1") + $(field refused "$1")))" "$(field seconds "$1")"; } # what load printed
count() { as_admin "http://$api/v1/admin/sales/$1" | jq ".$2"; }                                # sale, which

await_verdicts() { until [ "$(count "$1" held)" = 0 ]; do sleep 0.05; done; } # sale

since() { awk "BEGIN { print $2 / ($(date +%s.%N) - $1) }"; } # begin, how many: a second

turn() { # its number, file, what it measured; the first one warms all of it up
  echo "$2: $3" >&2
  if [ "$1" != 0 ]; then echo "$3" >>"$work/$2"; fi
}

median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
column() { awk "{ print $1 }" "$work/$2" | median; }                                # awk expression, file of turns
per_turn() { awk "BEGIN { printf \"%.1f k/s\", $(column "$1" "$2") / 1000 }"; }    # the same, of rates
beside() { # awk expressions of subject and baseline, file
  printf '**%.2f** (%s / %s)' "$(column "$1/$2" "$3")" "$(per_turn "$1" "$3")" "$(per_turn "$2" "$3")"
}
