-- wrk script: claims by the buyers of a file of JWTs, one a line.
-- wrk … -s claims.lua URL -- FILE THREADS once|again
-- once: each buyer claims once and the thread stops at the end of its share; again: round and round.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local share, line = {}, 0
  for jwt in io.lines(args[1]) do
    if line % tonumber(args[2]) == number then
      local headers = { ["Authorization"] = "Bearer " .. jwt, ["Content-Type"] = "application/json" }
      share[#share + 1] = wrk.format("POST", nil, headers, '{"units":1}')
    end
    line = line + 1
  end
  requests, once = share, args[3] == "once"
  next_one, granted, refused, failed = 0, 0, 0, 0
end

function request()
  next_one = next_one + 1
  if next_one > #requests then
    if once then
      wrk.thread:stop()
    end
    next_one = 1
  end
  return requests[next_one]
end

function response(status)
  if status == 202 then
    granted = granted + 1
  elseif status == 409 or status == 200 then
    refused = refused + 1
  else
    failed = failed + 1
  end
end

function done(summary)
  local sums = { granted = 0, refused = 0, failed = 0 }
  for _, thread in ipairs(threads) do
    for name, sum in pairs(sums) do
      sums[name] = sum + thread:get(name)
    end
  end
  local e = summary.errors
  print(string.format("seconds=%.3f granted=%d refused=%d failed=%d", summary.duration / 1e6,
    sums.granted, sums.refused, sums.failed + e.connect + e.read + e.write + e.timeout))
end
