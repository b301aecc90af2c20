// The script that commits: it looks at all steps, and only where none is refused it writes. src/stores/memory/steps.ts says in a few
// lines what each step means.
import { FORBIDDEN_CALLS, type Script, scriptOf } from "./lua.js";

const BODY = `${FORBIDDEN_CALLS}
local steps = cjson.decode(ARGV[2])
local null = cjson.null

local function isOf(session)
  if not lives(session.id) then return false end
  local epoch = string.match(redis.call('HGET', root .. 'sessions', session.id), '^(%d+):')
  return tonumber(epoch) == session.epoch
end
local function find(step)
  local place = redis.call('HGET', root .. 'places:' .. step.lock, step.ref)
  if not place then return nil end
  local rest = cjson.decode(string.sub(place, 38))
  return {
    durable = string.sub(place, 1, 1) == 'd', session = sessionOf(place),
    claim = rest[1], key = rest[2], slots = rest[3], revision = rest[4], token = rest[5], since = rest[6],
  }
end
local function documentRevision(name)
  local document = redis.call('HGET', root .. 'documents', name)
  return document and tonumber(string.match(document, '^%d+')) or 0
end

local function refusalOf(step)
  local what = step['do']
  if what == 'append' then
    if not isOf(step.session) then return 'no-session' end
    if redis.call('HEXISTS', root .. 'claim:' .. step.claim, step.lock) == 1 then return 'exists' end
  elseif what == 'put' or what == 'remove' then
    local entry = find(step)
    if not entry or entry.claim ~= step.claim then return 'gone' end
    if step.settles then
      if entry.durable then return 'changed' end
    elseif not entry.durable or tonumber(entry.revision) ~= step.revision then
      return 'changed'
    end
  elseif what == 'check' then
    if not isOf(step.session) then return 'no-session' end
  elseif what == 'end' then
    if step.isEnded and lives(step.session) then return 'changed' end
  elseif what == 'document' or what == 'check-document' then
    if documentRevision(step.name) ~= step.revision then return 'changed' end
  end
  return nil
end

for index, step in ipairs(steps) do
  local isTurn = step['do'] == 'append' or (step['do'] == 'put' and step.settles)
  if isTurn and rests() > 0 then return {'rest', int(rests())} end
  local why = refusalOf(step)
  if why then return {'refused', int(index - 1), why} end
end
if ARGV[3] == 'look' then return {'fine'} end
-- What is refused in the middle would leave half a commit: nothing undoes what a script has done before.
local missing = forbidden()
if #missing > 0 then return redis.error_reply('NOPERM the scripts call ' .. table.concat(missing, ', ')) end

local revision = int(math.max(tonumber(meta[2] or '0') + 1, micros))
local at = int(now)
local appended, kept, changes, told = {}, {}, {}, {}
-- refs: the entries of the lock that are not as they were; left out: it may be any.
local function changed(kind, name, refs)
  local change = told[kind .. name]
  if not change then
    change = {[kind] = name, refs = ''}
    told[kind .. name] = change
    changes[#changes + 1] = change
  end
  if change.refs then change.refs = refs and change.refs .. ' ' .. refs or nil end
end
local function depends(session, ref, lock) return root .. 'of:' .. session, ref .. ':' .. lock end
local function hasSession(entry) return string.sub(entry.session, 1, 1) ~= ' ' end
local function place(lock, ref, entry)
  local rest = cjson.encode({entry.claim, entry.key, entry.slots, entry.revision, entry.token, entry.since})
  redis.call('HSET', root .. 'places:' .. lock, ref, (entry.durable and 'd' or 'e') .. entry.session .. rest)
end
local function pass(lock, ref, entry, session)
  if hasSession(entry) then redis.call('SREM', depends(entry.session, ref, lock)) end
  entry.session = session
  if hasSession(entry) then redis.call('SADD', depends(session, ref, lock)) end
end
local function remove(lock, ref, entry)
  redis.call('HDEL', root .. 'places:' .. lock, ref)
  redis.call('HDEL', root .. 'records:' .. lock, ref)
  redis.call('ZREM', root .. 'queue:' .. lock, ref)
  redis.call('HDEL', root .. 'claim:' .. entry.claim, lock)
  if hasSession(entry) then redis.call('SREM', depends(entry.session, ref, lock)) end
  if redis.call('EXISTS', root .. 'queue:' .. lock) == 0 then redis.call('SREM', root .. 'locks', lock) end
end

local carryOut = {}
carryOut['append'] = function(step)
  local lock = step.lock
  local ahead = places(lock, queue(lock), false)
  local entry = {
    durable = false, session = step.session.id, claim = step.claim, key = step.key,
    slots = step.slots ~= null and int(step.slots) or null, revision = revision, token = null, since = at,
  }
  place(lock, revision, entry)
  redis.call('HSET', root .. 'records:' .. lock, revision, step.record)
  redis.call('ZADD', root .. 'queue:' .. lock, revision, revision)
  redis.call('HSET', root .. 'claim:' .. step.claim, lock, revision)
  redis.call('SADD', depends(entry.session, revision, lock))
  redis.call('SADD', root .. 'locks', lock)
  appended[#appended + 1] = {revision, ahead}
  changed('lock', lock, '')
end
carryOut['put'] = function(step)
  local entry = find(step)
  entry.revision = revision
  if step.isNewHolder then entry.token = revision end
  if step.session == null then pass(step.lock, step.ref, entry, string.rep(' ', 36))
  elseif step.session then pass(step.lock, step.ref, entry, step.session) end
  if step.settles then
    entry.durable = true
    entry.since = at
  end
  place(step.lock, step.ref, entry)
  redis.call('HSET', root .. 'records:' .. step.lock, step.ref, step.record)
  changed('lock', step.lock, step.ref)
end
carryOut['own'] = function(step)
  local entry = find(step)
  if not entry or entry.token == null or tonumber(entry.token) ~= step.token then return end
  pass(step.lock, step.ref, entry, step.session)
  place(step.lock, step.ref, entry)
  changed('lock', step.lock, step.ref)
end
carryOut['remove'] = function(step)
  local entry = find(step)
  if not entry or (step['do'] == 'withdraw' and entry.durable) then return end
  remove(step.lock, step.ref, entry)
  changed('lock', step.lock, step.ref)
end
carryOut['withdraw'] = carryOut['remove']
carryOut['archive'] = function(step)
  local sequence = int(redis.call('HINCRBY', KEYS[1], 'sequence', 1))
  local endedAt = step.endedAt ~= null and int(step.endedAt) or at
  redis.call('HSET', root .. 'archive', sequence, cjson.encode({step.lock, endedAt, step.record}))
  redis.call('ZADD', root .. 'history', sequence, sequence)
  redis.call('ZADD', root .. 'history:' .. step.lock, sequence, sequence)
  local count = redis.call('ZCARD', root .. 'history:' .. step.lock)
  local isOver = step.room ~= null and count > step.room
  kept[#kept + 1] = {step.lock, sequence, isOver and '1' or '0'}
  changed('lock', step.lock, '')
end
carryOut['end'] = function(step)
  for _, one in ipairs(redis.call('SMEMBERS', root .. 'of:' .. step.session)) do
    local ref, lock = string.match(one, '^(%d+):(.*)$')
    local entry = find({lock = lock, ref = ref})
    if entry then
      if not entry.durable then remove(lock, ref, entry) end
      changed('lock', lock)
    end
  end
  redis.call('DEL', root .. 'of:' .. step.session)
  redis.call('ZREM', root .. 'until', step.session)
  redis.call('HDEL', root .. 'sessions', step.session)
  known[step.session] = nil
end
carryOut['document'] = function(step)
  if step.value == null then redis.call('HDEL', root .. 'documents', step.name)
  else redis.call('HSET', root .. 'documents', step.name, revision .. ' ' .. step.value) end
  changed('document', step.name)
end

for _, step in ipairs(steps) do
  local act = carryOut[step['do']]
  if act then act(step) end
end
redis.call('HSET', KEYS[1], 'revision', revision)
if #changes > 0 then redis.call('PUBLISH', root .. 'changes', cjson.encode(changes)) end
return {'done', revision, at, appended, kept}
`;

/** ARGV: home, steps, `look` or ''. */
export const COMMIT: Script = scriptOf("commit", BODY, { grows: true });

/** The same where the server's memory is full, for steps that let go of something or write over what is there. */
export const COMMIT_FRUGALLY: Script = scriptOf("commit", BODY);
