#!lua
-- Makes a copy of a round live, only where none of it is live. The copy was built under other
-- keys, which have a time to live; what is live has none.
--
-- KEYS   as slot.lua says; all records; then the copy's keys in the same order
-- ARGV   as slot.lua says (parts is empty), then
--        size...  fields of each key of the copy, in the order of the keys
-- Reply  warmed  yes
--                no    a live round stands there; the copy is removed
--                torn  the copy is not whole: it took too long to build; it is removed

local keys = #KEYS / 2
local warmed = 'yes'
local refused = refusal()
if refused == 'other_install' then
  return reply('refused', refused)
elseif not refused then
  warmed = 'no'
end
for n = 1, keys do
  if redis.call('HLEN', KEYS[keys + n]) ~= tonumber(ARGV[3 + n]) then
    warmed = warmed == 'yes' and 'torn' or warmed
  end
end

for n = 1, keys do
  if warmed ~= 'yes' then
    redis.call('UNLINK', KEYS[keys + n])
  else
    redis.call('UNLINK', KEYS[n])
    if ARGV[3 + n] ~= '0' then
      redis.call('RENAME', KEYS[keys + n], KEYS[n])
      redis.call('PERSIST', KEYS[n])
    end
  end
end
return reply('warmed', warmed)
