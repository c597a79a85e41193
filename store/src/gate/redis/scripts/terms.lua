#!lua flags=allow-oom
-- Replaces the terms of a round by newer ones. Stock is not touched.
--
-- KEYS   as slot.lua says; no records
-- ARGV   as slot.lua says, then
--        version
--        name, value, ...  the fields of the terms
-- Reply  replaced  yes, or no if the version is not higher than the standing one

local refused = refusal()
if refused then
  return reply('refused', refused)
elseif tonumber(ARGV[6]) <= tonumber(redis.call('HGET', TERMS, 'version')) then
  return reply('replaced', 'no')
end
redis.call('HSET', TERMS, unpack(ARGV, 7))
return reply('replaced', 'yes')
