#!lua flags=allow-oom
-- Adds units to the stock, or takes back at most as many as are available, once a key.
--
-- KEYS   as slot.lua says; no records
-- ARGV   as slot.lua says, then
--        key     of the change
--        change  units
-- Reply  applied  units, by this call or by an earlier one with this key

local refused = refusal('unless trusted')
if refused then
  return reply('refused', refused)
end

local key, change = ARGV[6], tonumber(ARGV[7])
local before = redis.call('HGET', RESTOCKS, key)
if before then
  return reply('applied', before)
end
local available = tonumber(redis.call('HGET', STOCK, 'available'))
local applied = math.max(change, 0 - math.max(available, 0))
redis.call('HSET', RESTOCKS, key, applied)
move('available', applied)
count_up()
return reply('applied', applied)
