-- Pools of application instances that change without a reload.
--
-- Two files are the truth and are read at every start, reload and sync: the members that the topology declares
-- (pools.json, written by the role nginx) and, one file a pool, the state of its members (written by deploys).
-- What they say together lies in a shared dictionary, which all workers follow by its generation number.

local balancer = require "ngx.balancer"
local bit = require "bit"
local certificates = require "slipway.certificates"
local cjson = require "cjson.safe"

local shared = ngx.shared.slipway_pool
local counts = ngx.shared.slipway_pool_counts
local workers = ngx.shared.slipway_workers

local HTTP, WEBSOCKET = "http", "websocket"
local STATES = { active = true, draining = true, out = true }
-- One request at a time finds out whether a member that failed is back; if nobody hears of it again, the next one.
local PROBE_SECONDS = 5
local RETRIES = 3
local EMPTY_ARRAY = "<empty array>"
-- A member with a penalty is chosen only when none without it is left: so no failure ever empties a pool.
local SAME_HOST, MARKED, TRIED, NOT_ACTIVE = 1e10, 1e11, 1e13, 1e15

local M = {}
local settings
local loaded = {}
local cache = { generation = -1, pools = {} }


-- Files --------------------------------------------------------------------------------------------------------

local function read_file(path)
    local file, problem, code = io.open(path, "r")
    if not file then
        -- 2: no such file
        return nil, code ~= 2 and problem or nil
    end
    local text = file:read("*a")
    file:close()
    if not text then
        return nil, path .. ": cannot be read"
    end
    return text
end

local function read_json(path)
    local text, problem = read_file(path)
    if not text then
        return nil, problem
    end
    local value
    value, problem = cjson.decode(text)
    if type(value) ~= "table" then
        return nil, path .. ": is not a JSON object" .. (problem and " (" .. problem .. ")" or "")
    end
    return value
end

local function read_states(pool)
    local path = settings.states .. "/" .. pool .. ".json"
    local file, problem = read_json(path)
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

-- Returns the pools, members with their states, and the problems found in state files. A pool whose state file
-- cannot be understood keeps the states that it had.
local function read_pools()
    local declared, problem = read_json(settings.pools)
    if not declared then
        return nil, { problem or settings.pools .. ": is missing" }
    end
    local before = cjson.decode(shared:get("pools") or "{}") or {}
    local problems = {}
    for name, pool in pairs(declared) do
        local states
        states, problem = read_states(name)
        if not states then
            problems[#problems + 1] = problem
            states = {}
            for _, member in ipairs(before[name] and before[name].members or {}) do
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
    end
    return declared, problems, before
end


-- The pools as a worker holds them --------------------------------------------------------------------------------

local function mix(value)
    -- The finaliser of MurmurHash3. Products are made of halves: a double holds 53 bits.
    local function product(a, b)
        return bit.tobit(bit.band(a, 0xffff) * b + bit.lshift(bit.tobit(bit.rshift(a, 16) * b), 16))
    end
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
        probe = "probe" .. suffix,
        failures = "failures" .. suffix,
    }
end

local function follow()
    local generation = shared:get("generation")
    if generation == cache.generation then
        return cache.pools
    end
    local pools = cjson.decode(shared:get("pools") or "{}") or {}
    for name, pool in pairs(pools) do
        pool.name, pool.active, pool.by_address, pool.turn = name, 0, {}, ngx.worker.pid()
        for _, member in ipairs(pool.members) do
            member.host = member.address:find(":", 1, true) and "[" .. member.address .. "]" or member.address
            member.keys = keys_of(name, member.name)
            member.seed = ngx.crc32_short(member.name)
            pool.by_address[member.host .. ":" .. member.port] = member
            if member.state == "active" then
                pool.active = pool.active + 1
            end
        end
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
    counts:set(keys.marked, ngx.now() + pool.fail_timeout_seconds)
    counts:delete(keys.recent)
    counts:delete(keys.probe)
end

local function clear_marks(keys)
    counts:delete(keys.marked)
    counts:delete(keys.recent)
    counts:delete(keys.probe)
end

local function note_success(pool, member)
    if counts:get(member.keys.marked) then
        clear_marks(member.keys)
        ngx.log(ngx.WARN, "pool ", pool.name, ": ", member.name, " answers again")
    end
end

local function process_start(pid)
    local text = read_file("/proc/" .. pid .. "/stat")
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

local function living_workers()
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

-- Nil for what this process may not read: the master may read more than the workers.
local function digest(path)
    local text, problem = read_file(path)
    if problem then
        return nil
    end
    return text and ngx.md5(text) or "missing"
end

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
    shared:set("loaded|" .. settings.pools, digest(settings.pools))
    shared:set("pools", cjson.encode(pools))
    shared:incr("generation", 1, 0)
end

-- init_by_lua: options are pools (path), states (directory), files (paths that only a reload makes effective).
function M.init(options)
    settings = options
    local pools, problems, before = read_pools()
    if not pools then
        error(problems[1])
    end
    for _, problem in ipairs(problems) do
        ngx.log(ngx.ERR, problem)
    end
    publish(pools, before)
    for _, path in ipairs(options.files) do
        loaded[path] = digest(path)
    end
end

-- init_worker_by_lua
function M.init_worker()
    local pid = tostring(ngx.worker.pid())
    workers:delete("forgotten|" .. pid)
    workers:set(pid, process_start(pid))
    -- Only now: a reload that fails has run init_by_lua, too.
    for path, value in pairs(loaded) do
        shared:set("loaded|" .. path, value)
    end
    living_workers()
end


-- Requests --------------------------------------------------------------------------------------------------------

-- access_by_lua: nobody is left to ask.
function M.admit(name)
    if follow()[name].active == 0 then
        ngx.header["Retry-After"] = "5"
        return ngx.exit(503)
    end
end

local function choose(pool, kind, client, tried, probing)
    local members, best, best_score, best_probes = pool.members, nil, math.huge, false
    local now, count = ngx.now(), #members
    local hash = client and ngx.crc32_short(client)
    pool.turn = pool.turn + 1
    for offset = 1, count do
        local member = members[(pool.turn + offset) % count + 1]
        local score = hash and mix(bit.bxor(hash, member.seed)) % 4294967296
            or counts:get(member.keys.total[kind]) or 0
        local marked, probes = counts:get(member.keys.marked), false
        if marked then
            probes = probing and now >= marked
            score = probes and score or score + MARKED
        end
        if member.state ~= "active" then
            score = score + NOT_ACTIVE
        end
        if tried then
            score = score + (tried[member.keys.probe] and TRIED or 0) + (tried[member.address] and SAME_HOST or 0)
        end
        if score < best_score then
            best, best_score, best_probes = member, score, probes
        end
    end
    if best_probes and not counts:add(best.keys.probe, true, PROBE_SECONDS) then
        return choose(pool, kind, client, tried, false)
    end
    return best
end

-- balancer_by_lua: a member for this try. With a client, always the same member for the same client as long as it
-- is there; without, the one with the fewest requests in flight.
function M.balance(name, client, is_websocket)
    local pool = follow()[name]
    local attempt = ngx.ctx.slipway_attempt
    if attempt then
        ended(attempt.member, attempt.kind)
        if balancer.get_last_failure() == "failed" then
            note_failure(attempt.pool, attempt.member)
        end
        attempt.tried = attempt.tried or {}
        attempt.tried[attempt.member.keys.probe] = true
        attempt.tried[attempt.member.address] = true
    else
        attempt = { kind = is_websocket and WEBSOCKET or HTTP }
        ngx.ctx.slipway_attempt = attempt
        if pool.active > 1 then
            balancer.set_more_tries(math.min(pool.active - 1, RETRIES))
        end
    end
    local member = choose(pool, attempt.kind, client, attempt.tried, true)
    attempt.pool, attempt.member = pool, member
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

-- header_filter_by_lua of websockets, whose end may be days away.
function M.answered()
    local attempt = ngx.ctx.slipway_attempt
    if attempt and last(ngx.var.upstream_header_time) ~= "-" then
        note_success(attempt.pool, attempt.member)
    end
end

-- log_by_lua
function M.done(name)
    local attempt = ngx.ctx.slipway_attempt
    local addresses = ngx.var.upstream_addr
    if attempt then
        ended(attempt.member, attempt.kind)
        if (ngx.status == 502 or ngx.status == 504) and last(ngx.var.upstream_header_time) == "-" then
            note_failure(attempt.pool, attempt.member)
        elseif counts:get(attempt.member.keys.marked) and last(ngx.var.upstream_header_time) ~= "-" then
            note_success(attempt.pool, attempt.member)
        end
    end
    -- An internal redirect loses the context, but not the addresses: of each pass before it, the last one counts.
    if addresses and (not attempt or addresses:find(" : ", 1, true)) then
        local passes = {}
        for pass in (addresses .. " : "):gmatch("(.-) : ") do
            passes[#passes + 1] = pass
        end
        for index = 1, #passes - (attempt and 1 or 0) do
            local member = follow()[name].by_address[last(passes[index])]
            if member then
                ended(member, HTTP)
            end
        end
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

local function describe(member, living)
    local marked = counts:get(member.keys.marked)
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
        failing = marked ~= nil,
    }
end

local function stale_files()
    local stale = {}
    local function compare(path)
        local current = digest(path)
        if current and current ~= shared:get("loaded|" .. path) then
            stale[#stale + 1] = path
        end
    end
    compare(settings.pools)
    for _, path in ipairs(settings.files) do
        compare(path)
    end
    for _, path in ipairs(certificates.stale()) do
        stale[#stale + 1] = path
    end
    return stale
end

local function array(list)
    -- Debian's lua-cjson writes every empty table as an object.
    return #list > 0 and list or EMPTY_ARRAY
end

local function answer(status, body)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.say((cjson.encode(body):gsub('"' .. EMPTY_ARRAY .. '"', "[]")))
end

function M.report()
    local living = living_workers()
    local pools = {}
    for name, pool in pairs(follow()) do
        local members = {}
        for index, member in ipairs(pool.members) do
            members[index] = describe(member, living)
        end
        pools[name] = { members = array(members) }
    end
    return answer(200, {
        generation = shared:get("generation"),
        keepalive_timeout_seconds = settings.keepalive_timeout_seconds,
        pools = pools,
        stale_files = array(stale_files()),
        workers = #living,
    })
end

function M.sync()
    if ngx.req.get_method() ~= "POST" then
        ngx.header["Allow"] = "POST"
        return answer(405, { error = "expected POST" })
    end
    local pools, problems, before = read_pools()
    if not pools or #problems > 0 then
        return answer(500, { error = table.concat(problems, "; ") })
    end
    publish(pools, before)
    return M.report()
end

return M
