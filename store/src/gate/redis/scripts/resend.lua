#!lua flags=allow-oom
-- Hands out overdue batches of the outbox and stamps them: each once a step, in the whole
-- cluster. Steps double, which the age of a batch tells: it is the sum of the steps before.
--
-- KEYS   as slot.lua says; no records
-- ARGV   as slot.lua says, then
--        most     batches to hand out
--        first    milliseconds of the first step
--        longest  milliseconds that no step exceeds
-- Reply  batches  one list of names and values each, as grant.lua wrote it into the outbox

local refused = refusal()
if refused then
  return reply('refused', refused)
end

local most, first, longest = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])

local function step_after(granted_at)
  local age, step = now - granted_at, first
  while step > 0 and step <= age and step < longest do
    step = step * 2
  end
  return math.min(step, longest)
end

local batches, stamps = {}, {}
for _, due in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, most)) do
  local id = due .. '-0'
  local found = redis.call('XRANGE', OUTBOX, id, id)[1]
  if found then
    batches[#batches + 1] = found[2]
    stamps[#stamps + 1] = now + step_after(by_name(found[2]).granted_at)
    stamps[#stamps + 1] = due
  else
    -- Nothing is due where nothing is.
    redis.call('ZREM', DUE, due)
  end
end
for from = 1, #stamps, ARGUMENTS do
  redis.call('ZADD', DUE, unpack(stamps, from, math.min(from + ARGUMENTS - 1, #stamps)))
end
return reply('batches', batches)
