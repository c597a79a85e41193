#!lua flags=allow-oom
-- Takes the ledger's states into the records, and drops decided batches from the outbox.
--
-- A give-back is a settlement that holds fewer units than the entry before it. It has no script
-- of its own: units return only by the step that raises a ticket's version, hence once. A ticket
-- that is not in its record takes its units, below zero if need be: a debt that stops grants.
--
-- KEYS   as slot.lua says; the parts of the settlements' buyers
-- ARGV   as slot.lua says, then
--        settlements    how many follow
--        settlement...  the ticket's entry, the buyer
--        decided...     two each: the batch's sequence, its id
-- Reply  settled  yes, or no if nothing was newer and no batch was there

local refused = refusal()
if refused then
  return reply('refused', refused)
end

local BEFORE = 6
local settlements = tonumber(ARGV[6])

local buyers = {}
for n = 1, settlements do
  buyers[n] = sub(ARGV[BEFORE + n], ENTRY + 1)
end
local records, key_of = read_records(buyers)

local held, sold, changed = 0, 0, {}

-- As a number: how Lua compares texts depends on the server's locale.
local function version_of(record, at)
  return (struct.unpack('>I4', record, at + VERSION))
end

local function count(record, at, sign)
  held = held + sign * byte(record, at + HELD)
  sold = sold + sign * byte(record, at + SOLD)
end

for n, buyer in ipairs(buyers) do
  local entry, record = sub(ARGV[BEFORE + n], 1, ENTRY), records[buyer]
  local at = find(record, sub(entry, 1, 16))
  if not at then
    records[buyer] = record .. entry
  elseif version_of(entry, 1) > version_of(record, at) then
    count(record, at, -1)
    records[buyer] = sub(record, 1, at - 1) .. entry .. sub(record, at + ENTRY)
  else
    entry = nil
  end
  if entry then
    count(entry, 1, 1)
    changed[buyer] = true
  end
end

local gone, seen, orders, units = {}, {}, 0, 0
for n = BEFORE + settlements + 1, #ARGV, 2 do
  local sequence, batch = ARGV[n], ARGV[n + 1]
  local id = sequence .. '-0'
  local found = not seen[sequence] and redis.call('XRANGE', OUTBOX, id, id)[1]
  local entry = found and by_name(found[2])
  if entry and entry.batch == batch then
    seen[sequence] = true
    gone[#gone + 1] = sequence
    orders, units = orders + entry.count, units + entry.units
  end
end

if not next(changed) and #gone == 0 then
  return reply('settled', 'no')
end

write_records(records, key_of, changed)
for _, sequence in ipairs(gone) do
  redis.call('XDEL', OUTBOX, sequence .. '-0')
  redis.call('ZREM', DUE, sequence)
end
move('available', -(held + sold))
move('held', held)
move('sold', sold)
move('orders', -orders)
move('units', -units)
count_up()
return reply('settled', 'yes')
