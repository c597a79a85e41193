#!lua flags=allow-oom
-- Ends a round: it is not warm from then on, and all its keys get a time to live.
--
-- KEYS   as slot.lua says; all records
-- ARGV   as slot.lua says, then
--        keep  milliseconds that the keys stay
-- Reply  retired  yes

local refused = refusal()
if refused then
  return reply('refused', refused)
end

redis.call('HSET', TERMS, 'retired', 1)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[6])
end
return reply('retired', 'yes')
