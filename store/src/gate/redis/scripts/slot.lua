-- What the scripts of a slot share. It stands in each of them, after the first line.
--
-- KEYS   terms, stock, restocks, outbox, due, and of the records those parts that a call needs
-- ARGV   install  the caller's; what another install has warmed is not touched
--        parts    that the caller takes the records to be divided into; empty if he needs none
--        places   two bytes a buyer: which of the records among KEYS is his part, from 0
--        incarnation, sequence
--                 the highest that the caller has seen of the slot; 0 if he has seen none
--        ...      what the script names itself
-- Reply  name, value, name, value, ...: always `now`, the clock that decided, in milliseconds;
--        where there is such a round, its `incarnation`, the `sequence` of its last write, and
--        whether it is `frozen`: 1, or nil; then `refused` with one of
--          not_warm       there is no such round, or it is retired
--          other_install  the round is another install's
--          recovering     it is frozen, or behind what the caller has seen: it has lost writes;
--                         said only by the scripts that grant, change the stock or read
--          parts <n>      the records are divided into n parts
--        and nothing was changed, or what the script names itself.
--
-- A record is the tickets of a buyer in the order they came, an entry of 36 bytes each: ticket
-- (16), version (4), units (1), those held (1), those sold (1), status (1), granted at (6),
-- decided at (6). Numbers have their highest byte first. `record.rs` writes and reads the same.

local TERMS, STOCK, RESTOCKS, OUTBOX, DUE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local FIRST_RECORDS = 6
local INSTALL, PARTS, PLACES = ARGV[1], ARGV[2], ARGV[3]
local SEEN_INCARNATION, SEEN_SEQUENCE = tonumber(ARGV[4]), tonumber(ARGV[5])
local ENTRY, VERSION, UNITS, HELD, SOLD = 36, 16, 20, 21, 22
-- Lua has room for some 8,000 arguments of one call.
local ARGUMENTS = 4000

local byte, sub = string.byte, string.sub
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How the round stands, once `refusal` has found one.
local incarnation, sequence, frozen

local function reply(...)
  if not sequence then
    return { 'now', now, ... }
  end
  return { 'now', now, 'incarnation', incarnation, 'sequence', sequence, 'frozen', frozen, ... }
end

-- Moves a count of the stock, by steps only.
local function move(name, by)
  if by ~= 0 then
    redis.call('HINCRBY', STOCK, name, by)
  end
end

-- Counts a write.
local function count_up()
  sequence = redis.call('HINCRBY', STOCK, 'sequence', 1)
end

-- Why the slot cannot be worked on; nil if it can. Told so, also that it has lost writes.
local function refusal(unless_trusted)
  local terms = redis.call('HMGET', TERMS, 'install', 'retired', 'parts', 'incarnation', 'frozen')
  local last = redis.call('HGET', STOCK, 'sequence')
  if not terms[1] then
    return 'not_warm'
  elseif terms[1] ~= INSTALL then
    return 'other_install'
  elseif terms[2] or not last then
    return 'not_warm'
  end
  incarnation, sequence, frozen = tonumber(terms[4]), tonumber(last), terms[5]
  local behind = incarnation < SEEN_INCARNATION
    or incarnation == SEEN_INCARNATION and sequence < SEEN_SEQUENCE
  if unless_trusted and (frozen or behind) then
    return 'recovering'
  elseif PARTS ~= '' and PARTS ~= terms[3] then
    return 'parts ' .. terms[3]
  end
end

-- The records of buyers by buyer, and the key that each is in.
local function read_records(buyers)
  local lists, key_of = {}, {}
  for n, buyer in ipairs(buyers) do
    local high, low = byte(PLACES, 2 * n - 1, 2 * n)
    local key = KEYS[FIRST_RECORDS + high * 256 + low]
    key_of[buyer] = key
    local list = lists[key] or {}
    lists[key] = list
    list[#list + 1] = buyer
  end
  local records = {}
  for key, list in pairs(lists) do
    for from = 1, #list, ARGUMENTS do
      local to = math.min(from + ARGUMENTS - 1, #list)
      local found = redis.call('HMGET', key, unpack(list, from, to))
      for n = from, to do
        records[list[n]] = found[n - from + 1] or ''
      end
    end
  end
  return records, key_of
end

-- Writes the records of the buyers that are keys of `changed`.
local function write_records(records, key_of, changed)
  local lists = {}
  for buyer in pairs(changed) do
    local key = key_of[buyer]
    local list = lists[key] or {}
    lists[key] = list
    list[#list + 1] = buyer
    list[#list + 1] = records[buyer]
  end
  for key, list in pairs(lists) do
    for from = 1, #list, ARGUMENTS do
      redis.call('HSET', key, unpack(list, from, math.min(from + ARGUMENTS - 1, #list)))
    end
  end
end

-- Where the entry of a ticket begins in a record; nil if it has none.
local function find(record, ticket)
  for at = 1, #record, ENTRY do
    if sub(record, at, at + 15) == ticket then
      return at
    end
  end
end

-- The fields of an outbox entry by name.
local function by_name(fields)
  local entry = {}
  for n = 1, #fields, 2 do
    entry[fields[n]] = fields[n + 1]
  end
  return entry
end
