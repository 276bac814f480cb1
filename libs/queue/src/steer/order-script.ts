/**
 * The script that records an order and applies it to its job, as one atomic step in Redis.
 *
 * The order is kept in the job's own hash, in the field `steer`, and goes with it when it is removed. A job that no host
 * has taken yet is dealt with here at once: a cancelled one is taken out of the queue under a lock of the caller's, so
 * that no worker ever gets it, and a paused one is put among the delayed jobs, where it takes no worker's slot.
 *
 * A worker reads the field only of jobs that were begun before: BullMQ hands that count over with the job, and no field
 * of ours. So a job that is steered before its first attempt is counted as begun once, and `early` records that.
 *
 * The decision: libs/README.md#order-in-the-hash.
 */

/** The keys that the script takes, as parts of the queue's prefix; the job's own comes first. */
export const ORDER_KEYS = [
  'wait',
  'paused',
  'prioritized',
  'delayed',
  'waiting-children',
  'active',
  'completed',
  'failed',
  'events',
  'marker',
] as const;

/**
 * ARGV: the job's id, the verb, its argument, now and the time until which a paused job is parked (both in milliseconds
 * since 1970), a lock token, and how long that lock lasts in milliseconds.
 *
 * Returns ['unknown'], ['ended', state], or ['done', state, steer, 'taken' or '']; 'taken' if the job is now active
 * under the token, for the caller to fail it.
 */
export const ORDER_SCRIPT = `
local job, wait, paused, prioritized, delayed, children, active, completed, failed, events, marker = unpack(KEYS)
local id, verb, argument, now, parkedUntil, token, lockMs = unpack(ARGV)
local call = redis.call
if call('EXISTS', job) == 0 then return {'unknown'} end

local state = 'waiting'
if call('ZSCORE', completed, id) then return {'ended', 'completed'} end
if call('ZSCORE', failed, id) then return {'ended', 'failed'} end
local score = call('ZSCORE', delayed, id)
if score then state = 'delayed'
elseif call('ZSCORE', prioritized, id) then state = 'prioritized'
elseif call('ZSCORE', children, id) then state = 'waiting-children'
elseif call('LPOS', active, id) then state = 'active' end
-- Active without a lock: its host has died, and no other has it yet. Under this token: the order was sent twice.
local lock = call('GET', job .. ':lock')
local running = state == 'active' and lock and lock ~= token

local steer = cjson.decode(call('HGET', job, 'steer') or '{"rev":0}')
steer.rev = steer.rev + 1

local function leaveQueue()
  call('LREM', wait, 1, id)
  call('LREM', paused, 1, id)
  call('ZREM', prioritized, id)
  call('ZREM', delayed, id)
  call('ZREM', children, id)
end

local taken = ''
if verb == 'cancel' then
  steer.cancel = steer.cancel or cjson.decode(argument)
  if not running then
    leaveQueue()
    if state ~= 'active' then call('LPUSH', active, id) end
    call('SET', job .. ':lock', token, 'PX', lockMs)
    taken = 'taken'
  end
elseif verb == 'limit' then
  steer.limit = argument
elseif verb == 'pause' then
  steer.paused = true
  if state ~= 'active' and state ~= 'waiting-children' and not (steer.due and score) then
    steer.due = '0'
    if score then steer.due = string.format('%.0f', math.floor(tonumber(score) / 4096)) end
    leaveQueue()
    call('ZADD', delayed, tonumber(parkedUntil) * 4096, id)
    call('XADD', events, '*', 'event', 'delayed', 'jobId', id, 'delay', parkedUntil)
  end
else
  steer.paused = nil
  -- In no line at all (lost-jobs.ts): it gets the next place.
  if state == 'waiting' and not call('LPOS', wait, id) and not call('LPOS', paused, id) then
    call('RPUSH', wait, id)
    call('ZADD', marker, 0, '0')
    call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
  end
  if steer.due and state == 'delayed' then
    call('ZADD', delayed, math.max(tonumber(steer.due), tonumber(now)) * 4096, id)
    local first = call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
    -- BullMQ's own sign to its workers that there is a delayed job to look at, and when.
    call('ZADD', marker, math.floor(tonumber(first[2]) / 4096), '1')
  end
  steer.due = nil
end

if not running and (tonumber(call('HGET', job, 'ats')) or 0) == 0 then
  call('HSET', job, 'ats', 1)
  steer.early = true
end
local encoded = cjson.encode(steer)
call('HSET', job, 'steer', encoded)
return {'done', state, encoded, taken}
`;

/**
 * Takes an order back that ended or held a failed job: another client may put the job in line, steer or remove it meanwhile,
 * and none of that must be undone. KEYS: the job, the failed ones. ARGV: the job's id. Returns the order that is left, or nil.
 */
export const TAKE_BACK_SCRIPT = `
local json = redis.call('HGET', KEYS[1], 'steer')
if not json or not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return nil end
local steer = cjson.decode(json)
steer.rev, steer.cancel, steer.paused, steer.due = steer.rev + 1, nil, nil, nil
local encoded = cjson.encode(steer)
redis.call('HSET', KEYS[1], 'steer', encoded)
return encoded`;
