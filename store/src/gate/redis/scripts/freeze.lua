#!lua flags=allow-oom
-- Ends what a round grants, to everybody, and makes its whole outbox due at once. Only the first
-- call does: later ones leave the outbox as it is.
--
-- KEYS   as slot.lua says; no records
-- ARGV   as slot.lua says, then
--        incarnation  that is meant; a round of a later one stays as it is
-- Reply  first  1 if this call did it; nil if not

local refused = refusal()
if refused then
  return reply('refused', refused)
end
local first = not frozen and incarnation <= tonumber(ARGV[6])
if first then
  redis.call('HSET', TERMS, 'frozen', 1)
  redis.call('ZUNIONSTORE', DUE, 1, DUE, 'WEIGHTS', 0)
  frozen = 1
end
return reply('first', first and 1)
