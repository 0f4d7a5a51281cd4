// What happens at the server: one script for all operations, so that each is atomic and goes by the server's clock.
//
// A namespace is one hash. So its keys are in one slot of a cluster, and whatever takes data from a server (FLUSHALL,
// eviction, an old snapshot) takes all of it or nothing: sessions that vanish while the locks stay would give away what is
// held. Its fields, packed (by struct, which is quicker, or by cmsgpack, which knows lists):
//
//   m          last token, end of quarantine, longest lease, last seen, cursor of the sweep, run id of the server, and where
//              it kept a function in its memory
//   s<sid>     expiry, lease, last request, number of permits that it was granted, without those that were stolen or given
//              up, and the tokens that were stolen
//   l<name>    {permits, {{sid, request, mode, token, since, abandoned} …}, {{sid, request, mode, since} …},
//               number of permits that the dead have left, since when nobody has it}
//              or, where there is nothing but one holder, ! and: permits, request, mode, token, since, sid
//
// A session that is not there, or has expired, is dead. Nothing looks for what the dead had until somebody asks for it, or
// the sweep comes by. A ticket in line lives as long as its session and has no time of its own: where tickets expire
// by themselves, living waiters lose their place and dead ones hold up the rest.
//
// Everything is read before anything is written, so an operation that the server refuses (-OOM, -NOPERM, WRONGTYPE) has
// changed nothing. What frees something must not fail for want of memory: its first write is HDEL, and once a script has
// written, Redis lets it go on.
//
// All clients of a server wait while it runs, so what a lock costs that nobody else wants counts most: it is done with first,
// in three commands and two, before the functions that all else needs are made. Whatever is not as usual goes on to them, to
// the same end. A release says nothing to its session: how many permits were released is known to the process, which takes
// them off what was granted (heldOf). The expiry of the key is moved by renewals alone, without which nothing lives there.
//
// Whether the server is another one since, or was started again, INFO alone says for certain, which takes as long as all that
// is read and written here. So those who renew ask it, and those who find that the address of a function in the server's
// memory has changed, which is drawn by lot when a server starts.

import { createHash } from 'node:crypto';

export const SCRIPT = `
local key, op, sid = KEYS[1], ARGV[1], ARGV[2]
local HELD = '<ddddds'
local field, request
if op == 'acquire' or op == 'release' or op == 'cancel' then
  field, request = 'l' .. ARGV[3], tonumber(ARGV[4])
end

if op == 'release' then
  local packed = redis.call('HGET', key, field)
  if packed and string.byte(packed) == 33 then
    local _, asked, _, _, _, id = struct.unpack(HELD, packed, 2)
    if asked == request and id == sid then
      redis.call('HDEL', key, field)
      return 1
    end
  end
end

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = us / 1000
local META, SESSION, TOKENS = '<ddddsss', '<dddd', 33
local raw, mine, packed = unpack(redis.call('HMGET', key, 'm', 's' .. sid, field or 'm'))
-- Where the server keeps this function: elsewhere in each run of each server, as far as it is not told to do otherwise.
local here = tostring(redis.call)

if op == 'acquire' and raw and mine and not packed then
  local expiry, lease, last, count = struct.unpack(SESSION, mine)
  local token, quarantine, longest, _, cursor, run, place = struct.unpack(META, raw)
  if expiry > now and expiry <= now + lease and request > last and now >= quarantine and place == here then
    token = math.max(token + 1, us)
    redis.call(
      'HSET', key,
      'm', struct.pack(META, token, quarantine, longest, now, cursor, run, here),
      's' .. sid, struct.pack(SESSION, expiry, lease, request, count + 1) .. string.sub(mine, TOKENS),
      field, '!' .. struct.pack(HELD, ARGV[8], request, ARGV[5], token, now, sid)
    )
    return token
  end
end

local sessions, changed, gone = {}, {}, {}
local function session(id)
  local s = sessions[id]
  if s == nil then
    local packed = id == sid and mine or redis.call('HGET', key, 's' .. id)
    if packed then
      s = {struct.unpack(SESSION, packed)}
      s[5] = {}
      for at = TOKENS, #packed, 8 do s[5][#s[5] + 1] = struct.unpack('<d', packed, at) end
    end
    if s and s[1] > now + s[2] then -- the clock was set back
      s[1] = now + s[2]
      changed[id] = true
    end
    if s and s[1] <= now then
      gone[id] = true
      s = nil
    end
    s = s or false
    sessions[id] = s
  end
  return s
end

local meta
if raw then
  local last, quarantine, longest, seen, cursor, run, place = struct.unpack(META, raw)
  meta = {run, last, quarantine, longest, seen, cursor, place}
end
local isNew = false -- whether meta has to be written

local asked = false
local function checkServer()
  if asked then return end
  asked = true
  local info = redis.call('INFO', 'server')
  if meta[7] ~= here and string.find(here, '0x', 1, true) then
    meta[7] = here
    isNew = true
  end
  if string.find(info, 'run_id:' .. meta[1], 1, true) then return end
  -- Another server, or the same from what it had saved: some of it may be lost.
  meta[1] = string.match(info, 'run_id:(%w+)') or ''
  meta[3] = math.max(meta[3], now + meta[4])
  isNew = true
end

local function unpackLock(packed)
  if string.byte(packed) ~= 33 then return cmsgpack.unpack(packed) end
  local permits, request, shared, token, since, id = struct.unpack(HELD, packed, 2)
  return {permits, {{id, request, shared, token, since, 0}}, {}, 0, 0}
end

local function packLock(l)
  local holder = l[2][1]
  if not holder or l[2][2] or l[3][1] or l[4] > 0 or holder[6] == 1 then return cmsgpack.pack(l) end
  return '!' .. struct.pack(HELD, l[1], holder[2], holder[3], holder[4], holder[5], holder[1])
end

local DAY = 86400000
local lock = field and (packed and unpackLock(packed) or {0, {}, {}, 0, 0})

local notices = {}
local function tell(id, text)
  notices[#notices + 1] = {key .. ':' .. id, text}
end

local function look()
  notices[#notices + 1] = {key, 'look'}
end

local function packSession(s)
  local parts = {struct.pack(SESSION, s[1], s[2], s[3], s[4])}
  for _, token in ipairs(s[5]) do parts[#parts + 1] = struct.pack('<d', token) end
  return table.concat(parts)
end

local function save(frees)
  local isFree = lock and #lock[2] + #lock[3] + lock[4] == 0
  if lock and (frees or isFree and packed) then
    redis.call('HDEL', key, field)
  elseif frees then
    redis.call('HDEL', key, 'm')
    isNew = true
  end
  local values = {}
  if isNew then
    meta[5] = now
    values[1], values[2] = 'm', struct.pack(META, meta[2], meta[3], meta[4], meta[5], meta[6], meta[1], meta[7])
  end
  for id in pairs(changed) do
    if sessions[id] then
      values[#values + 1] = 's' .. id
      values[#values + 1] = packSession(sessions[id])
    end
  end
  if lock and not isFree then
    values[#values + 1] = field
    values[#values + 1] = packLock(lock)
  end
  if #values > 0 then redis.call('HSET', key, unpack(values)) end
  for id in pairs(gone) do redis.call('HDEL', key, 's' .. id) end
  for _, notice in ipairs(notices) do redis.call('PUBLISH', notice[1], notice[2]) end
end

local function indexOf(list, id, request)
  for at, entry in ipairs(list) do
    if entry[1] == id and entry[2] == request then return at end
  end
end

local function isFree(shared)
  if shared == 0 then return #lock[2] < lock[1] end
  for _, holder in ipairs(lock[2]) do
    if holder[3] == 0 then return false end
  end
  return true
end

local function grant(id, request, shared)
  local token = math.max(meta[2] + 1, us)
  meta[2] = token
  isNew = true
  local abandoned = 0
  if lock[4] > 0 then
    abandoned = 1
    lock[4] = lock[4] - 1
  end
  local holder = {id, request, shared, token, now, abandoned}
  table.insert(lock[2], holder)
  local s = session(id)
  s[4] = s[4] + 1
  changed[id] = true
  return holder
end

local function drop(at, unused)
  local holder = table.remove(lock[2], at)
  if unused and holder[6] == 1 then lock[4] = math.min(lock[4] + 1, lock[1]) end
end

local function leave(dead)
  if dead > 0 then
    lock[4] = math.min(lock[4] + dead, lock[1])
    lock[5] = now
  end
end

local function mayGrant()
  if meta[7] ~= here then checkServer() end
  return now >= meta[3]
end

-- Takes the permits of the dead, and hands what is free to those whose turn it is.
local function serve()
  local living, dead = {}, 0
  for _, holder in ipairs(lock[2]) do
    if session(holder[1]) then living[#living + 1] = holder else dead = dead + 1 end
  end
  lock[2] = living
  leave(dead)
  while lock[3][1] do
    local id, request, shared = unpack(lock[3][1])
    local alive = session(id)
    if alive and not (isFree(shared) and mayGrant()) then break end
    table.remove(lock[3], 1)
    if alive then
      local holder = grant(id, request, shared)
      tell(id, 'granted ' .. request .. ' ' .. string.format('%.0f', holder[4]) .. ' ' .. holder[6])
    end
  end
end

local me = meta and session(sid)
if not me and op ~= 'begin' and op ~= 'query' then
  if gone[sid] then redis.call('HDEL', key, 's' .. sid) end
  return op == 'end' and 0 or {'expired'}
end

if op == 'acquire' then
  local shared, wait, steal, permits = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1', tonumber(ARGV[8])
  serve()
  local held = indexOf(lock[2], sid, request)
  local queued = indexOf(lock[3], sid, request)
  local answer
  if not held and not queued then
    if request <= me[3] then
      answer = {'over'}
    elseif #lock[2] + #lock[3] > 0 and lock[1] ~= permits then
      answer = {'mismatch', lock[1]}
    else
      lock[1] = permits
      me[3] = request
      changed[sid] = true
      if steal then
        for _, holder in ipairs(lock[2]) do
          local victim = session(holder[1])
          victim[4] = victim[4] - 1
          table.insert(victim[5], holder[4])
          changed[holder[1]] = true
          tell(holder[1], 'stolen ' .. string.format('%.0f', holder[4]))
        end
        lock[2] = {}
        grant(sid, request, shared)
        held = #lock[2]
      elseif #lock[3] == 0 and isFree(shared) and mayGrant() then
        grant(sid, request, shared)
        held = #lock[2]
      elseif wait then
        table.insert(lock[3], {sid, request, shared, now})
        queued = true
      else
        answer = {'busy'}
      end
    end
  end
  if held then
    local holder = lock[2][held]
    answer = holder[6] == 0 and holder[4] or {'abandoned', holder[4]}
  elseif queued then
    local again = meta[3] > now and meta[3] or math.huge
    for _, holder in ipairs(lock[2]) do again = math.min(again, session(holder[1])[1]) end
    answer = {'queued', again == math.huge and -1 or again - now + 1}
  end
  save(false)
  return answer
end

if op == 'release' then
  local token = tonumber(ARGV[5])
  local at = indexOf(lock[2], sid, request)
  local had = 1
  if at then
    drop(at, ARGV[6] == '1')
    serve()
    save(true)
  else
    for _, stolen in ipairs(me[5]) do
      if stolen == token then had = 0 end
    end
  end
  return had
end

if op == 'cancel' then
  me[3] = math.max(me[3], request)
  changed[sid] = true
  local held, queued = indexOf(lock[2], sid, request), indexOf(lock[3], sid, request)
  if held then
    drop(held, true)
    me[4] = me[4] - 1
  end
  if queued then table.remove(lock[3], queued) end
  serve()
  save(true)
  return 1
end

-- Some of the fields at each renewal: sessions that expired, and locks that only the dead have had, for a day.
local function sweep()
  local page = redis.call('HSCAN', key, meta[6], 'COUNT', 20)
  meta[6] = page[1]
  local values = page[2]
  local over, news = {}, {}
  for at = 1, #values, 2 do
    local name = values[at]
    local kind = string.sub(name, 1, 1)
    if kind == 's' then
      session(string.sub(name, 2))
    elseif kind == 'l' then
      local found = unpackLock(values[at + 1])
      local used, dead = false, 0
      for _, holder in ipairs(found[2]) do
        if session(holder[1]) then used = true else dead = dead + 1 end
      end
      for _, ticket in ipairs(found[3]) do used = used or session(ticket[1]) end
      if not used then
        if dead > 0 then
          news[#news + 1] = name
          news[#news + 1] = cmsgpack.pack({found[1], {}, {}, math.min(found[4] + dead, found[1]), now})
        elseif found[4] == 0 or found[5] + DAY < now then
          over[#over + 1] = name
        end
      end
    end
  end
  return over, news
end

local function keep(id, lease, acknowledged)
  local s = session(id)
  s[1] = math.max(s[1], now + lease)
  s[2] = lease
  changed[id] = true
  meta[4] = math.max(meta[4], lease)
  if acknowledged then
    local left = {}
    for _, token in ipairs(s[5]) do
      if not acknowledged[token] then left[#left + 1] = token end
    end
    s[5] = left
  end
  local over, news = sweep()
  save(true)
  redis.call('PEXPIRE', key, DAY + meta[4])
  for _, name in ipairs(over) do redis.call('HDEL', key, name) end
  if #news > 0 then redis.call('HSET', key, unpack(news)) end
  return s
end

if op == 'begin' then
  local lease, suspect, listening = tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
  local others = redis.call('PUBLISH', key, 'begin') - listening
  local info = redis.call('INFO', 'server')
  local first = not meta
  local silent = first or now - meta[5] > meta[4]
  if first then meta = {string.match(info, 'run_id:(%w+)') or '', 0, 0, lease, now, '0', ''} end
  checkServer()
  if suspect or (silent and others > 0) then
    meta[3] = math.max(meta[3], now + lease)
    look()
  end
  local up = (tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) or 0) * 1000
  if first and up < lease + 1000 then meta[3] = math.max(meta[3], now + lease + 1000 - up) end
  if not session(sid) then
    sessions[sid] = {now + lease, lease, 0, 0, {}}
    gone[sid] = nil
  end
  keep(sid, lease)
  return 1
end

if op == 'query' then
  local found = {}
  local all = redis.call('HGETALL', key)
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 1) == 'l' then
      local each = unpackLock(all[at + 1])
      local holders, tickets = {}, {}
      for _, h in ipairs(each[2]) do
        holders[#holders + 1] = {h[1], h[2], h[3], h[4], h[5], session(h[1]) and 1 or 0}
      end
      for _, t in ipairs(each[3]) do
        if session(t[1]) then tickets[#tickets + 1] = {t[1], t[2], t[3], t[4]} end
      end
      found[#found + 1] = {string.sub(all[at], 2), holders, tickets}
    end
  end
  return found
end

if op == 'end' then
  gone[sid] = true
  sessions[sid] = false
  look()
  save(true)
  return 1
end
if op == 'renew' then
  local acknowledged = {}
  for at = 4, #ARGV do acknowledged[tonumber(ARGV[at])] = true end
  checkServer()
  local s = keep(sid, tonumber(ARGV[3]), acknowledged)
  return {'alive', s[4], meta[1], s[5]}
end

if op == 'holdings' then
  local found = {}
  local all = redis.call('HGETALL', key)
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 1) == 'l' then
      for _, h in ipairs(unpackLock(all[at + 1])[2]) do
        if h[1] == sid then found[#found + 1] = {string.sub(all[at], 2), h[2], h[4]} end
      end
    end
  end
  return {me[4], found}
end

`;

export const SHA = createHash('sha1').update(SCRIPT).digest('hex');
