-- What root asks at the admin socket: how the pools and the limits are, and to read the states again.

local certificates = require "slipway.certificates"
local cjson = require "cjson.safe"
local files = require "slipway.files"
local limits = require "slipway.limits"
local maintenance = require "slipway.maintenance"
local pool = require "slipway.pool"

local shared = ngx.shared.slipway_pool

local EMPTY_ARRAY = "<empty array>"

local M = {}
local settings
local loaded = {}


-- init_by_lua: options are files (paths that only a reload makes effective) and keepalive_timeout_seconds.
function M.init(options)
    settings = options
    for _, path in ipairs(options.files) do
        loaded[path] = files.digest(path)
    end
end

-- init_worker_by_lua. Only now: a reload that fails has run init_by_lua, too.
function M.init_worker()
    for path, value in pairs(loaded) do
        shared:set("loaded|" .. path, value)
    end
end

local function stale_files()
    local stale = pool.stale()
    for _, path in ipairs(settings.files) do
        local current = files.digest(path)
        if current and current ~= shared:get("loaded|" .. path) then
            stale[#stale + 1] = path
        end
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

function M.pools()
    local living = pool.living_workers()
    local pools = {}
    for name, members in pairs(pool.describe(living)) do
        pools[name] = { members = array(members) }
    end
    return answer(200, {
        generation = pool.generation(),
        keepalive_timeout_seconds = settings.keepalive_timeout_seconds,
        pools = pools,
        stale_files = array(stale_files()),
        workers = #living,
    })
end

function M.limits()
    return answer(200, { applications = limits.describe() })
end

-- A file that is not understood leaves what it is about as it was; the others are taken, and the answer names it.
function M.sync()
    if ngx.req.get_method() ~= "POST" then
        ngx.header["Allow"] = "POST"
        return answer(405, { error = "expected POST" })
    end
    local problems = maintenance.read()
    local problems_of_pools, problem = pool.read()
    for _, found in ipairs(problems_of_pools or { problem }) do
        problems[#problems + 1] = found
    end
    if #problems > 0 then
        return answer(500, { error = table.concat(problems, "; ") })
    end
    return M.pools()
end

return M
