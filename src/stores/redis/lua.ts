// The scripts that run in the server: what they share, those that read, and those of sessions. Each is one transaction. What a commit
// does is in lua-commit.ts. Numbers travel as text: Lua writes only 14 digits of one by itself, and revisions have 16.
//
// A root's keys, each behind the prefix in braces, `{holdline}:`
//   meta             hash: layout, home, revision, rest, longest, sequence
//   queue:LOCK       sorted set: refs in their order
//   places:LOCK      hash: ref → flag (e, d), session (36 characters), JSON [claim, key, slots, revision, token, since]
//   records:LOCK     hash: ref → record
//   claim:CLAIM      hash: lock → ref
//   of:SESSION       set: ref:lock of what depends on the session
//   locks            set: those with entries
//   until            sorted set: session → when it ends; 0: it has ended
//   sessions         hash: session → epoch:timeout
//   documents        hash: name → "revision value"
//   archive          hash: sequence → JSON [lock, endedAt, record]; history and history:LOCK: sorted sets of sequences
// No key has a time to live, so that no policy that evicts such keys touches them.
import { createHash } from "node:crypto";

export interface Script {
  readonly text: string;
  readonly sha: string;
  readonly name: string;
}

/** The layout of the keys. Another one is refused. */
export const LAYOUT = 1;

/** As long as the id of a session: what stands for none. */
export const NO_SESSION = " ".repeat(36);

/** @param grows it takes memory, so that a server whose memory is full refuses it before it has any effect; the others go on there */
export function scriptOf(name: string, body: string, { grows = false } = {}): Script {
  return compiled(name, `${PRELUDE}${body}`, grows);
}

function compiled(name: string, lua: string, grows: boolean): Script {
  const text = `#!lua${grows ? "" : " flags=allow-oom"}\n${lua}`;
  return { name, text, sha: createHash("sha1").update(text).digest("hex") };
}

// ARGV[1] is the server and its history that the client has begun with: see BEGIN.
const PRELUDE = `
local root = string.sub(KEYS[1], 1, -5)
local meta = redis.call('HMGET', KEYS[1], 'home', 'revision', 'rest')
if ARGV[1] ~= '' and meta[1] ~= ARGV[1] then return {'home'} end
local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)
local function int(n) return string.format('%.0f', n) end
local known = {}
local function lives(session)
  local is = known[session]
  if is == nil then
    local untilMs = redis.call('ZSCORE', root .. 'until', session)
    is = untilMs and tonumber(untilMs) > now or false
    -- What has once been called ended never lives again, wherever the clock goes. Whoever may not write only looks.
    if untilMs and not is and untilMs ~= '0' then redis.pcall('ZADD', root .. 'until', 'XX', '0', session) end
    known[session] = is
  end
  return is
end
local function sessionOf(place) return string.sub(place, 2, 37) end
local function rests() return tonumber(meta[3] or '0') - now end
local function places(lock, refs, records)
  local out = {}
  for from = 1, #refs, 1000 do
    local some = {unpack(refs, from, math.min(from + 999, #refs))}
    local found = redis.call('HMGET', root .. 'places:' .. lock, unpack(some))
    local texts = records and redis.call('HMGET', root .. 'records:' .. lock, unpack(some))
    for i, ref in ipairs(some) do
      if found[i] then
        out[#out + 1] = ref
        out[#out + 1] = lives(sessionOf(found[i])) and '1' or '0'
        out[#out + 1] = found[i]
        if records then out[#out + 1] = texts[i] or '' end
      end
    end
  end
  return out
end
local function queue(lock) return redis.call('ZRANGE', root .. 'queue:' .. lock, 0, -1) end
`;

/**
 * Begins with a server. Where it is not the one that the root was last used on, or has started anew, or has another history, it may have
 * lost what was acknowledged: then for as long as a session can live nobody's turn comes, since a holder may be among what it has lost.
 * ARGV: home, layout, session timeout, whether the client has used the root before, whether it takes the root as it is.
 */
export const BEGIN = compiled(
  "begin",
  `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return {'foreign', kind} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function ms(n) return string.format('%.0f', n) end
local isLook = ARGV[5] == '1'
if kind == 'none' then
  if isLook then return {'absent'} end
  local rest = ARGV[4] == '1' and now + tonumber(ARGV[3]) or 0
  redis.call('HSET', KEYS[1], 'layout', ARGV[2], 'home', ARGV[1], 'rest', ms(rest), 'longest', ARGV[3])
  return {'begun'}
end
local meta = redis.call('HMGET', KEYS[1], 'layout', 'home', 'longest', 'rest')
if not meta[1] then return {'foreign', kind} end
if meta[1] ~= ARGV[2] then return {'layout', meta[1]} end
if isLook then return {'look'} end
if meta[2] ~= ARGV[1] then
  local longest = math.max(tonumber(meta[3] or '0'), tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'home', ARGV[1], 'rest', ms(math.max(now + longest, tonumber(meta[4] or '0'))))
end
return {'begun'}
`,
  false,
);

/** ARGV: home, lock, `all` or refs in their order. */
export const LINE = scriptOf(
  "line",
  `
if rests() > 0 then return {'rest', int(rests())} end
local refs = ARGV[3] == 'all' and queue(ARGV[2]) or {}
-- One by one: 'unpack' gives some 8,000 at most.
for i = 4, #ARGV do refs[#refs + 1] = ARGV[i] end
return {'done', meta[2] or '0', places(ARGV[2], refs, false)}
`,
);

/** ARGV: home, lock, how many from the front; -1: all. */
export const READ = scriptOf(
  "read",
  `
local refs = redis.call('ZRANGE', root .. 'queue:' .. ARGV[2], 0, ARGV[3])
return {'done', places(ARGV[2], refs, true)}
`,
);

/** ARGV: home, claim. */
export const READ_CLAIM = scriptOf(
  "readClaim",
  `
local found = redis.call('HGETALL', root .. 'claim:' .. ARGV[2])
local out = {}
for i = 1, #found, 2 do
  out[#out + 1] = {found[i], places(found[i], {found[i + 1]}, true)}
end
return {'done', out}
`,
);

/** Which sessions have ended by themselves, and in how many milliseconds the next one does. */
export const ENDED = scriptOf(
  "endedSessions",
  `
local ended = redis.call('ZRANGE', root .. 'until', '-inf', now, 'BYSCORE')
for _, session in ipairs(ended) do lives(session) end
local following = redis.call('ZRANGE', root .. 'until', '(' .. int(now), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
return {'done', ended, following[2] and int(tonumber(following[2]) - now) or ''}
`,
);

/** ARGV: home, session, timeout. */
export const OPEN_SESSION = scriptOf(
  "openSession",
  `
local timeout = tonumber(ARGV[3])
redis.call('HSET', root .. 'sessions', ARGV[2], '0:' .. int(timeout))
redis.call('ZADD', root .. 'until', int(now + timeout), ARGV[2])
if timeout > tonumber(redis.call('HGET', KEYS[1], 'longest') or '0') then
  redis.call('HSET', KEYS[1], 'longest', int(timeout))
end
return {'done'}
`,
  { grows: true },
);

/** ARGV: home, session, epoch. */
export const RENEW = scriptOf(
  "renew",
  `
if not lives(ARGV[2]) then return {'done', '0'} end
local epoch, timeout = string.match(redis.call('HGET', root .. 'sessions', ARGV[2]), '^(%d+):(%d+)$')
epoch = math.max(tonumber(epoch), tonumber(ARGV[3]))
redis.call('HSET', root .. 'sessions', ARGV[2], int(epoch) .. ':' .. timeout)
redis.call('ZADD', root .. 'until', 'XX', int(now + tonumber(timeout)), ARGV[2])
return {'done', '1'}
`,
);

/** ARGV: home, lock or '', whether of one lock, limit, before or '', among. */
export const ARCHIVED = scriptOf(
  "archived",
  `
local newest = '+inf'
if ARGV[5] ~= '' then newest = '(' .. ARGV[5] end
local surplus = redis.call('ZRANGE', root .. 'history', ARGV[6], ARGV[6], 'REV')
local oldest = surplus[1] and '(' .. surplus[1] or '-inf'
local key = ARGV[3] == '1' and root .. 'history:' .. ARGV[2] or root .. 'history'
local found = redis.call('ZRANGE', key, newest, oldest, 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[4])
local out = {}
for i = 1, #found, 1000 do
  local some = {unpack(found, i, math.min(i + 999, #found))}
  local records = redis.call('HMGET', root .. 'archive', unpack(some))
  for j, sequence in ipairs(some) do
    out[#out + 1] = sequence
    out[#out + 1] = records[j] or '[]'
  end
end
return {'done', out}
`,
);

/** Forgets so many at most, so that others are served in between. ARGV: home, lock or '', whether of one lock, keep, oldest or '', at most. */
export const TRIM = scriptOf(
  "trim",
  `
local isOne = ARGV[3] == '1'
local key = isOne and root .. 'history:' .. ARGV[2] or root .. 'history'
local most = tonumber(ARGV[6])
local forgotten = 0
local function forget(sequence, lock)
  redis.call('HDEL', root .. 'archive', sequence)
  redis.call('ZREM', root .. 'history', sequence)
  redis.call('ZREM', root .. 'history:' .. lock, sequence)
  forgotten = forgotten + 1
end
local count = redis.call('ZCARD', key)
local eldest = redis.call('ZRANGE', key, 0, most - 1)
for i, sequence in ipairs(eldest) do
  local record = cjson.decode(redis.call('HGET', root .. 'archive', sequence))
  -- They stand about in the order in which they ended.
  local isOld = ARGV[5] ~= '' and tonumber(record[2]) < tonumber(ARGV[5])
  if not isOld and count - forgotten <= tonumber(ARGV[4]) then break end
  forget(sequence, record[1])
end
return {'done', int(forgotten)}
`,
);

/** ARGV: home, prefix. */
export const DOCUMENTS = scriptOf(
  "documents",
  `
local all = redis.call('HGETALL', root .. 'documents')
local out = {}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, #ARGV[2]) == ARGV[2] then
    out[#out + 1] = all[i]
    out[#out + 1] = all[i + 1]
  end
end
return {'done', out}
`,
);

/** Lua that names the commands, of those that scripts call, which this user may not call here. @param others further ones, or nil */
export const FORBIDDEN_CALLS = `
local function forbidden(others)
  local key = root .. 'check'
  local calls = {
    {'HMGET', key, 'a'}, {'HGET', key, 'a'}, {'HGETALL', key}, {'HEXISTS', key, 'a'}, {'HSET', key, 'a', '1'}, {'HDEL', key, 'a'},
    {'HINCRBY', key, 'a', '1'}, {'ZADD', key, '1', 'a'}, {'ZREM', key, 'a'}, {'ZRANGE', key, '0', '1'}, {'ZSCORE', key, 'a'},
    {'ZCARD', key}, {'SADD', key, 'a'}, {'SREM', key, 'a'}, {'SMEMBERS', key}, {'DEL', key}, {'EXISTS', key}, {'TYPE', key}, {'TIME'},
    {'PUBLISH', root .. 'changes', ''}, unpack(others or {}),
  }
  local out = {}
  for _, call in ipairs(calls) do
    if not redis.acl_check_cmd(unpack(call)) then out[#out + 1] = call[1] end
  end
  return out
end
`;

/** Which commands this user may not call here, of those that the store calls. */
export const FORBIDDEN = scriptOf(
  "forbidden",
  `${FORBIDDEN_CALLS}
return {'done', forbidden({{'SUBSCRIBE', root .. 'changes'}, {'UNSUBSCRIBE'}, {'INFO'}, {'WAIT', '0', '0'}})}
`,
);
