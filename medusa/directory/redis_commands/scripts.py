"""The scripts that Redis runs for the directory. Each works on one key, so that it also runs in a Redis Cluster.

A script changes the key only if its present value is the expected one.
"""

from __future__ import annotations

from medusa.directory.seal import MAX_ENTRY

# GETRANGE answers an empty string for a missing key, too.
_READ = "local held = redis.call('GETRANGE', KEYS[1], 0, %d)\n" % MAX_ENTRY

# A script runs a second time if its first answer was lost. So it also succeeds if the key already has the new value.
CLAIM = (
    _READ
    + """
if held ~= ARGV[1] and (held ~= '' or redis.call('EXISTS', KEYS[1]) == 1) then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
)
# Does the same as CLAIM, and also replaces the third argument, the entry of a claim whose lease has ended.
TAKE_OVER = (
    _READ
    + """
if held ~= ARGV[1] and held ~= ARGV[3] and (held ~= '' or redis.call('EXISTS', KEYS[1]) == 1) then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
)
LOOKUP = (
    _READ
    + """
if held == '' and redis.call('EXISTS', KEYS[1]) == 0 then return false end
return held
"""
)
REPLACE = (
    _READ
    + """
if held ~= ARGV[1] and held ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
RENEW = (
    _READ
    + """
if held ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)
CONCLUDE = (
    _READ
    + """
if held == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', redis.call('PTTL', KEYS[1])) end
return held
"""
)
RELEASE = (
    _READ
    + """
for _, value in ipairs(ARGV) do
  if held == value then return redis.call('DEL', KEYS[1]) end
end
return 0
"""
)
KEEP = (
    _READ
    + """
if held == '' and redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return held
"""
)
TOUCH = (
    _READ
    + """
if held ~= '' then redis.call('SET', KEYS[1], ARGV[1], 'PX', redis.call('PTTL', KEYS[1])) end
"""
)
