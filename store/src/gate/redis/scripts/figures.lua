#!lua flags=no-writes
-- Reads the terms and the counts of a slot at one moment.
--
-- KEYS   as slot.lua says; no records
-- ARGV   as slot.lua says
-- Reply  terms      their JSON
--        available  units that nobody holds
--        held       units of pending tickets
--        sold       units of confirmed tickets
--        orders     in the outbox
--        units      of those orders
--        oldest     when the oldest of those orders was granted; nil if there is none

local refused = refusal()
if refused then
  return reply('refused', refused)
end

local answer = reply('terms', redis.call('HGET', TERMS, 'json'))
for _, name in ipairs({ 'available', 'held', 'sold' }) do
  answer[#answer + 1] = name
  answer[#answer + 1] = redis.call('HGET', STOCK, name)
end
local first = redis.call('XRANGE', OUTBOX, '-', '+', 'COUNT', 1)[1]
-- What was counted and is gone without a verdict stays counted: nothing can be decided of it,
-- and a round that waited for it would never be drained.
for _, name in ipairs({ 'orders', 'units' }) do
  answer[#answer + 1] = name
  answer[#answer + 1] = first and redis.call('HGET', STOCK, name) or 0
end
answer[#answer + 1] = 'oldest'
answer[#answer + 1] = first and by_name(first[2]).granted_at or false
return answer
