-- Pools of application instances that change without a reload.
--
-- Two files are the truth and are read at every start, reload and sync: the members that the topology declares
-- (pools.json, written by the role nginx) and, one file a pool, the state of its members (written by deploys).
-- What they say together lies in a shared dictionary, which all workers follow by its generation number.

local balancer = require "ngx.balancer"
local bit = require "bit"
local cjson = require "cjson.safe"
local files = require "slipway.files"

local shared = ngx.shared.slipway_pool
local counts = ngx.shared.slipway_pool_counts
local workers = ngx.shared.slipway_workers

local HTTP, WEBSOCKET = "http", "websocket"
local STATES = { active = true, draining = true, out = true }
-- One request at a time finds out whether a member that failed is back; if nobody hears of it again, the next one.
local PROBE_SECONDS = 5
local RETRIES = 3
-- A member with a penalty is chosen only when none without it is left: so no failure ever empties a pool.
local SAME_HOST, MARKED, TRIED = 1e10, 1e11, 1e13

local M = {}
local settings
local cache = { generation = -1, pools = {} }
-- Requests that this worker has given to a member, by their ids. ngx.ctx would not survive an internal redirect.
local attempts = {}


-- Files --------------------------------------------------------------------------------------------------------

local function state_file(pool)
    return settings.states .. "/" .. pool .. ".json"
end

local function read_states(pool)
    local path = state_file(pool)
    local file, problem = files.read_json(path)
    if problem then
        return nil, problem
    end
    local members = file and file.members or {}
    if type(members) ~= "table" then
        return nil, path .. ": members is not an object"
    end
    for name, member in pairs(members) do
        if type(member) ~= "table" or not STATES[member.state] then
            return nil, path .. ": the state of " .. name .. " is none of active, draining, out"
        end
    end
    return members
end

local function text_or_nil(value)
    return type(value) == "string" and value or nil
end

-- The members of a pool with their states; those that they had, when their file cannot be understood.
local function with_states(name, pool, before)
    local states, problem = read_states(name)
    if not states then
        states = {}
        for _, member in ipairs(before and before.members or {}) do
            states[member.name] = member
        end
    end
    for _, member in ipairs(pool.members) do
        local known = states[member.name] or {}
        member.state = known.state or "active"
        member.owner = text_or_nil(known.owner)
        member.reason = text_or_nil(known.reason)
        member.since = text_or_nil(known.since)
    end
    return problem
end


-- The pools as a worker holds them --------------------------------------------------------------------------------

-- Made of halves, since a double holds 53 bits.
local function product(a, b)
    return bit.tobit(bit.band(a, 0xffff) * b + bit.lshift(bit.tobit(bit.rshift(a, 16) * b), 16))
end

-- The finaliser of MurmurHash3.
local function mix(value)
    value = bit.bxor(value, bit.rshift(value, 16))
    value = product(value, 0x85ebca6b)
    value = bit.bxor(value, bit.rshift(value, 13))
    value = product(value, 0xc2b2ae35)
    return bit.bxor(value, bit.rshift(value, 16))
end

local function keys_of(pool, name)
    local suffix = "|" .. pool .. "|" .. name
    local own = ngx.worker.pid() or "master"
    return {
        total = { [HTTP] = "total|http" .. suffix, [WEBSOCKET] = "total|websocket" .. suffix },
        own = { [HTTP] = own .. "|http" .. suffix, [WEBSOCKET] = own .. "|websocket" .. suffix },
        recent = "recent" .. suffix,
        marked = "marked" .. suffix,
        marks = "marks|" .. pool,
        probe = "probe" .. suffix,
        failures = "failures" .. suffix,
    }
end

local function prepare(name, pool)
    pool.name, pool.turn, pool.marks, pool.marks_key = name, ngx.worker.pid(), nil, "marks|" .. name
    local active = {}
    for _, member in ipairs(pool.members) do
        member.host = member.address:find(":", 1, true) and "[" .. member.address .. "]" or member.address
        member.keys = keys_of(name, member.name)
        member.seed = ngx.crc32_short(member.name)
        if member.state == "active" then
            active[#active + 1] = member
        end
    end
    pool.active = #active
    -- Nobody is admitted to a pool without active members, but whoever was before may still have to be given to one.
    pool.candidates = pool.active > 0 and active or pool.members
end

local function follow()
    local generation = shared:get("generation")
    if generation == cache.generation then
        return cache.pools
    end
    local pools = cjson.decode(shared:get("pools") or "{}") or {}
    for name, pool in pairs(pools) do
        prepare(name, pool)
    end
    cache = { generation = generation, pools = pools }
    return pools
end


-- Counts and marks ------------------------------------------------------------------------------------------------

local function started(member, kind)
    counts:incr(member.keys.own[kind], 1, 0)
    counts:incr(member.keys.total[kind], 1, 0)
end

local function ended(member, kind)
    counts:incr(member.keys.total[kind], -1, 0)
    counts:incr(member.keys.own[kind], -1, 0)
end

-- Marks are rare and many requests look at them: each worker keeps them, and looks again when their number changed.
local function follow_marks(pool)
    local marks = counts:get(pool.marks_key) or 0
    if marks ~= pool.marks then
        for _, member in ipairs(pool.members) do
            member.marked = counts:get(member.keys.marked)
        end
        pool.marks = marks
    end
end

local function mark(keys, until_time)
    counts:set(keys.marked, until_time)
    counts:delete(keys.recent)
    counts:delete(keys.probe)
    counts:incr(keys.marks, 1, 0)
end

local function clear_marks(keys)
    counts:delete(keys.recent)
    counts:delete(keys.probe)
    if counts:get(keys.marked) then
        counts:delete(keys.marked)
        counts:incr(keys.marks, 1, 0)
    end
end

local function note_failure(pool, member)
    local keys = member.keys
    counts:incr(keys.failures, 1, 0)
    if pool.max_fails == 0 then
        return
    end
    if not counts:get(keys.marked) then
        if counts:incr(keys.recent, 1, 0, pool.fail_timeout_seconds) < pool.max_fails then
            return
        end
        ngx.log(ngx.WARN, "pool ", pool.name, ": ", member.name, " failed ", pool.max_fails, " times, passed over")
    end
    mark(keys, ngx.now() + pool.fail_timeout_seconds)
end

local function note_success(pool, member)
    follow_marks(pool)
    if member.marked then
        clear_marks(member.keys)
        ngx.log(ngx.WARN, "pool ", pool.name, ": ", member.name, " answers again")
    end
end

local function process_start(pid)
    local text = files.read("/proc/" .. pid .. "/stat")
    -- The 22nd field; the second, a name in brackets, may itself contain brackets and spaces.
    return text and text:match(".*%)" .. (" %S+"):rep(19) .. " (%S+)")
end

-- Takes what a killed worker had in flight off the totals, once.
local function forget(pid)
    if not workers:add("forgotten|" .. pid, true, 60) then
        return
    end
    for _, key in ipairs(counts:get_keys(0)) do
        local rest = key:match("^" .. pid .. "(|.*)")
        if rest then
            counts:incr("total" .. rest, -(counts:get(key) or 0), 0)
            counts:delete(key)
        end
    end
    workers:delete(pid)
end

function M.living_workers()
    local living = {}
    for _, pid in ipairs(workers:get_keys(0)) do
        if not pid:find("|", 1, true) then
            if process_start(pid) == workers:get(pid) then
                living[#living + 1] = pid
            else
                forget(pid)
            end
        end
    end
    return living
end


-- Start, reload, sync ---------------------------------------------------------------------------------------------

local function publish(pools, before)
    for name, pool in pairs(pools) do
        local old = {}
        for _, member in ipairs(before[name] and before[name].members or {}) do
            old[member.name] = member.state
        end
        for _, member in ipairs(pool.members) do
            -- Whoever comes back comes back without the failures of the time before.
            if member.state == "active" and old[member.name] ~= "active" then
                clear_marks(keys_of(name, member.name))
            end
        end
    end
    -- Not safe_set, which takes the old value away before it finds no room for the new one.
    local stored, problem, forced = shared:set("pools", cjson.encode(pools))
    if not stored or forced then
        return "the pools of all applications together are too large: " .. (problem or "others were evicted")
    end
    shared:incr("generation", 1, 0)
end

local function read_once()
    local declared, problem = files.read_json(settings.pools)
    if not declared then
        return nil, problem or settings.pools .. ": is missing"
    end
    local digest = files.digest(settings.pools)
    local before = cjson.decode(shared:get("pools") or "{}") or {}
    local problems = {}
    for name, pool in pairs(declared) do
        problems[#problems + 1] = with_states(name, pool, before[name])
    end
    problems[#problems + 1] = publish(declared, before)
    shared:set("loaded|" .. settings.pools, digest)
    return problems
end

-- Reads the files and publishes what they say to all workers. Returns the problems found: a pool whose state file
-- cannot be understood keeps the states that it had. Nil and a problem, when there are no pools at all.
function M.read()
    local paths = { settings.pools }
    for name in pairs(files.read_json(settings.pools) or {}) do
        paths[#paths + 1] = state_file(name)
    end
    return files.settled(paths, read_once)
end

-- init_by_lua: options are pools (path) and states (directory).
function M.init(options)
    settings = options
    local problems, problem = M.read()
    if not problems then
        error(problem)
    end
    for _, found in ipairs(problems) do
        ngx.log(ngx.ERR, found)
    end
end

-- init_worker_by_lua
function M.init_worker()
    local pid = tostring(ngx.worker.pid())
    workers:delete("forgotten|" .. pid)
    workers:set(pid, process_start(pid))
    M.living_workers()
end


-- Requests --------------------------------------------------------------------------------------------------------

-- access_by_lua: nobody is left to ask.
function M.admit(name)
    local pool = follow()[name]
    -- Nil for old workers, when a reload has taken the application away.
    if not pool or pool.active == 0 then
        ngx.header["Retry-After"] = "5"
        return ngx.exit(503)
    end
end

-- Who is to get the same member each time: the sender of the cookie, or else of the address.
local function client_of(pool)
    local cookie = pool.sticky_cookie ~= "" and ngx.var["cookie_" .. pool.sticky_cookie]
    return cookie and cookie ~= "" and cookie or ngx.var.binary_remote_addr
end

local function choose(pool, kind, client, tried, probing)
    follow_marks(pool)
    local members, best, best_score, best_probes = pool.candidates, nil, math.huge, false
    local now, count = ngx.now(), #members
    local hash = client and ngx.crc32_short(client)
    pool.turn = pool.turn + 1
    for offset = 1, count do
        local member = members[(pool.turn + offset) % count + 1]
        local score = hash and mix(bit.bxor(hash, member.seed)) % 4294967296
            or counts:get(member.keys.total[kind]) or 0
        local probes = false
        if member.marked then
            probes = probing and now >= member.marked
            score = probes and score or score + MARKED
        end
        if tried then
            score = score + (tried[member.keys.probe] and TRIED or 0) + (tried[member.address] and SAME_HOST or 0)
        end
        if score < best_score then
            best, best_score, best_probes = member, score, probes
            if score <= 0 and not hash then
                -- No other has fewer.
                break
            end
        end
    end
    if best_probes and not counts:add(best.keys.probe, true, PROBE_SECONDS) then
        return choose(pool, kind, client, tried, false)
    end
    return best
end

local function first_attempt(pool, earlier, websocket_path)
    local upgrade = websocket_path and ngx.var.http_upgrade
    if earlier then
        -- The application answered with an internal redirect, which leads to it again.
        ended(earlier.member, earlier.kind)
    end
    if pool.active > 1 then
        balancer.set_more_tries(math.min(pool.active - 1, RETRIES))
    end
    return {
        client = (websocket_path or pool.balance == "hash") and client_of(pool) or nil,
        kind = upgrade and upgrade ~= "" and WEBSOCKET or HTTP,
    }
end

local function next_attempt(attempt, failure)
    ended(attempt.member, attempt.kind)
    if failure == "failed" then
        note_failure(attempt.pool, attempt.member)
    end
    attempt.tried = attempt.tried or {}
    attempt.tried[attempt.member.keys.probe] = true
    attempt.tried[attempt.member.address] = true
    return attempt
end

-- balancer_by_lua: a member for this try. With a hash, and at paths of websockets, always the same member for the same
-- client as long as it is there; otherwise the one with the fewest requests in flight.
function M.balance(name, websocket_path)
    local pool, id = follow()[name], ngx.var.request_id
    local attempt, failure = attempts[id], balancer.get_last_failure()
    if attempt and failure then
        attempt = next_attempt(attempt, failure)
    else
        attempt = first_attempt(pool, attempt, websocket_path)
    end
    local member = choose(pool, attempt.kind, attempt.client, attempt.tried, true)
    attempt.pool, attempt.member = pool, member
    attempts[id] = attempt
    started(member, attempt.kind)
    local accepted, problem = balancer.set_current_peer(member.host, member.port)
    if not accepted then
        ngx.log(ngx.ERR, "pool ", name, ": ", member.name, ": ", problem)
    end
end

-- The last of the comma-separated values that nginx keeps, one a try.
local function last(list)
    return list and list:match("([^%s,]+)$")
end

local function was_answered()
    return last(ngx.var.upstream_header_time) ~= "-"
end

-- header_filter_by_lua of websockets, whose end may be days away.
function M.answered()
    local attempt = attempts[ngx.var.request_id]
    if attempt and was_answered() then
        note_success(attempt.pool, attempt.member)
    end
end

-- log_by_lua
function M.done()
    local id = ngx.var.request_id
    local attempt = attempts[id]
    if not attempt then
        return
    end
    attempts[id] = nil
    ended(attempt.member, attempt.kind)
    if was_answered() then
        note_success(attempt.pool, attempt.member)
    elseif ngx.status == 502 or ngx.status == 504 then
        note_failure(attempt.pool, attempt.member)
    end
end


-- The admin socket ------------------------------------------------------------------------------------------------

local function in_flight(member, living, kind)
    local suffix = member.keys.total[kind]:match("^total(|.*)")
    local sum = 0
    for _, pid in ipairs(living) do
        sum = sum + (counts:get(pid .. suffix) or 0)
    end
    return sum
end

local function described(member, living)
    return {
        name = member.name,
        address = member.address,
        port = member.port,
        state = member.state,
        owner = member.owner,
        reason = member.reason,
        since = member.since,
        in_flight = in_flight(member, living, HTTP),
        websockets = in_flight(member, living, WEBSOCKET),
        failures = counts:get(member.keys.failures) or 0,
        failing = counts:get(member.keys.marked) ~= nil,
    }
end

-- The members of each pool, and what they have in flight through these workers.
function M.describe(living)
    local pools = {}
    for name, pool in pairs(follow()) do
        local members = {}
        for index, member in ipairs(pool.members) do
            members[index] = described(member, living)
        end
        pools[name] = members
    end
    return pools
end

-- Rises with every change that all workers follow.
function M.generation()
    return shared:get("generation")
end

-- The file of the declared members, when nginx runs an older version of it.
function M.stale()
    local current = files.digest(settings.pools)
    return current and current ~= shared:get("loaded|" .. settings.pools) and { settings.pools } or {}
end

return M
