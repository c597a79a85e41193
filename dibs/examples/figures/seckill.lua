-- What this kind of system does in its simplest form, written after the steps of `seckill.lua` in
-- http://www.dtcms.com/a/346714.html: is something left, has he bought before, take one unit,
-- remember him. The order leaves from the caller's memory afterwards, if he lives that long.
--
-- KEYS   stock, buyers
-- ARGV   the buyer
-- Reply  0 granted, 1 sold out, 2 has bought before
if tonumber(redis.call('GET', KEYS[1])) <= 0 then
  return 1
elseif redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then
  return 2
end
redis.call('DECR', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[1])
return 0
