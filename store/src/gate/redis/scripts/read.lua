#!lua flags=no-writes
-- Reads the records of buyers.
--
-- KEYS   as slot.lua says; the parts of the buyers
-- ARGV   as slot.lua says, then
--        buyer...
-- Reply  records  one a buyer, in their order; empty where there is none

local refused = refusal('unless trusted')
if refused then
  return reply('refused', refused)
end

local buyers = {}
for n = 6, #ARGV do
  buyers[n - 5] = ARGV[n]
end
local records, answers = read_records(buyers), {}
for n, buyer in ipairs(buyers) do
  answers[n] = records[buyer]
end
return reply('records', answers)
