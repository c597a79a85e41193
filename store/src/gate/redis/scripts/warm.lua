#!lua
-- Makes a copy of a round live where none of it is live, or over a round that gives way. The
-- copy was built under other keys, which have a time to live; what is live has none.
--
-- KEYS   as slot.lua says; all records, of the copy and of the round that is live; then the
--        copy's keys in the same order
-- ARGV   as slot.lua says (parts: of the round that is live), then
--        incarnation  of the copy
--        over         a round gives way that is frozen, of an older incarnation and drained, and
--                     whose sequence is this; empty if none does
--        size...      fields of each key of the copy, in the order of the keys
-- Reply  warmed  yes
--                no    another live round stands there; the copy is removed
--                torn  the copy is not whole: it took too long to build; it is removed

local BEFORE = 7
local copies = #ARGV - BEFORE
local live = #KEYS - copies
local warmed = 'yes'
local refused = refusal()
if refused == 'other_install' then
  return reply('refused', refused)
elseif refused ~= 'not_warm' then
  -- Not the count of orders: one that is gone without a verdict stays counted.
  local gives_way = frozen and sequence == tonumber(ARGV[7]) and incarnation < tonumber(ARGV[6])
    and redis.call('XLEN', OUTBOX) == 0
  if gives_way and refused then
    return reply('refused', refused)
  end
  warmed = gives_way and 'yes' or 'no'
end
for n = 1, copies do
  if redis.call('HLEN', KEYS[live + n]) ~= tonumber(ARGV[BEFORE + n]) then
    warmed = warmed == 'yes' and 'torn' or warmed
  end
end

if warmed ~= 'yes' then
  redis.call('UNLINK', unpack(KEYS, live + 1))
  return reply('warmed', warmed)
end
redis.call('UNLINK', unpack(KEYS, 1, live))
for n = 1, copies do
  if ARGV[BEFORE + n] ~= '0' then
    redis.call('RENAME', KEYS[live + n], KEYS[n])
    redis.call('PERSIST', KEYS[n])
  end
end
incarnation, sequence, frozen = tonumber(ARGV[6]), 0, false
return reply('warmed', warmed)
