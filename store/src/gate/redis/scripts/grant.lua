#!lua
-- Decides claims one after the other, each after the effect of those before it, and takes what
-- is granted: units, records and an entry of the outbox. `sale::grant` is the model.
--
-- KEYS   as slot.lua says; the parts of the claims' buyers
-- ARGV   as slot.lua says, then
--        tickets   that a record has room for
--        room      orders that the outbox has room for in all
--        step      milliseconds after which the batch is overdue first
--        batch     the id of what is granted
--        claim...  ticket (16 bytes), units (1), the buyer's length (1), the buyer
-- Reply  answers  one a claim, in their order:
--                 granted | standing <entry> | units_differ <entry> | upcoming | closed
--                 | limit_reached <record> | sold_out | too_few_left <n> | outbox_full

local refused = refusal('unless trusted')
if refused then
  return reply('refused', refused)
end

local tickets, room, step, batch = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local BEFORE_CLAIMS = 9

local terms = redis.call('HMGET', TERMS, 'opens_at', 'closes_at', 'limit', 'closed')
local stock = redis.call('HMGET', STOCK, 'available', 'orders')
local limit = tonumber(terms[3])
local available, undecided = tonumber(stock[1]), tonumber(stock[2])

local phase = 'open'
if terms[4] == '1' or now >= tonumber(terms[2]) then
  phase = 'closed'
elseif now < tonumber(terms[1]) then
  phase = 'upcoming'
end

local buyers = {}
for n = 1, #ARGV - BEFORE_CLAIMS do
  buyers[n] = sub(ARGV[BEFORE_CLAIMS + n], 19)
end
local records, key_of = read_records(buyers)

-- What follows the ticket in the entry of a grant of so many units.
local pending = {}
local function entry_of(ticket, units)
  pending[units] = pending[units] or struct.pack('>I4BBBBI6I6', 1, units, units, 0, 0, now, 0)
  return ticket .. pending[units]
end

local orders, taken, changed = {}, 0, {}

local function answer(claim, buyer)
  local record, ticket, units = records[buyer], sub(claim, 1, 16), byte(claim, 17)
  local at = find(record, ticket)
  if at then
    local word = byte(record, at + UNITS) == units and 'standing ' or 'units_differ '
    return word .. sub(record, at, at + ENTRY - 1)
  elseif phase ~= 'open' then
    return phase
  end
  local holds = 0
  for entry = 1, #record, ENTRY do
    holds = holds + byte(record, entry + HELD) + byte(record, entry + SOLD)
  end
  if holds + units > limit or #record >= tickets * ENTRY then
    return 'limit_reached ' .. record
  elseif available <= 0 then
    return 'sold_out'
  elseif available < units then
    return 'too_few_left ' .. available
  elseif undecided + #orders >= room then
    return 'outbox_full'
  end
  records[buyer] = record .. entry_of(ticket, units)
  changed[buyer] = true
  available, taken = available - units, taken + units
  orders[#orders + 1] = claim
  return 'granted'
end

local answers = {}
for n, buyer in ipairs(buyers) do
  answers[n] = answer(ARGV[BEFORE_CLAIMS + n], buyer)
end
if #orders == 0 then
  return reply('answers', answers)
end

move('available', -taken)
move('held', taken)
move('orders', #orders)
move('units', taken)
count_up()
write_records(records, key_of, changed)
redis.call('XADD', OUTBOX, string.format('%.0f-0', sequence), 'batch', batch, 'sequence', sequence,
  'granted_at', now, 'incarnation', incarnation, 'count', #orders, 'units', taken,
  'orders', table.concat(orders))
redis.call('ZADD', DUE, now + step, sequence)
return reply('answers', answers)
