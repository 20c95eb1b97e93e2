-- Counted windows: how many requests an address or a user may make in so many seconds.
--
-- A window is a counter in a shared dictionary, which begins with the first request and expires with the window.
-- Each worker adds to it atomically, so exactly as many requests pass as it allows. Buckets and connections are
-- nginx's own limits and have refused what they refuse before these are asked.

local files = require "slipway.files"
local users = require "slipway.users"

local counts = ngx.shared.slipway_windows

local ANONYMOUS = "anonymous"
local MAPPED = ("\0"):rep(10) .. "\255\255"
-- Times that two looks at one expiry may differ by: a counter that ends later than that is of another window.
local SAME_WINDOW_SECONDS = 0.1

local M = {}
local applications

-- init_by_lua: settings is the path of the file that says what each application's windows are and who its users.
function M.init(settings)
    local problem
    applications, problem = files.read_json(settings)
    if not applications then
        error(problem or settings .. ": is missing")
    end
    for name, application in pairs(applications) do
        for limit_name, limit in pairs(application.windows) do
            limit.name = limit_name
            limit.prefix = name .. "|" .. limit_name .. "|"
            limit.by_user = limit.by == "user"
        end
    end
    users.init(applications)
end

-- What nginx was last loaded with, whatever its files say now: limits by name, and the most connections.
function M.describe()
    local described = {}
    for name, application in pairs(applications) do
        local limits = {}
        for _, kind in ipairs({ "buckets", "windows" }) do
            for limit_name, limit in pairs(application[kind]) do
                limits[limit_name] = {
                    requests = limit.requests,
                    seconds = limit.seconds,
                    by = limit.by,
                    tiers = limit.tiers,
                    regions = limit.regions,
                    dry_run = limit.dry_run,
                }
            end
        end
        described[name] = { connections_max = application.connections_max, limits = limits }
    end
    return described
end

-- One client usually has all of a /64.
local function client()
    local address = ngx.var.binary_remote_addr
    if #address == 4 then
        return address
    elseif address:sub(1, 12) == MAPPED then
        return address:sub(13)
    end
    return address:sub(1, 8)
end

local function allowance(limit, who)
    if limit.tiers then
        return limit.tiers[who and who.tier or ANONYMOUS] or limit.requests
    elseif limit.regions then
        return limit.regions[ngx.var.slipway_country] or limit.regions.default or limit.requests
    end
    return limit.requests
end

-- Counts a request, and takes it back if it is one too many. Without a count (no memory): let it pass.
local function take(limit, key, allowed)
    local count, problem = counts:incr(key, 1, 0, limit.seconds)
    if not count then
        ngx.log(ngx.ERR, "limit ", limit.name, ": ", problem)
        return true, 0
    end
    if count > allowed then
        counts:incr(key, -1)
        return false, allowed
    end
    return true, count
end

-- Takes back what was counted, unless the window that it was counted in has ended.
local function give_back(charge)
    local left = counts:ttl(charge.key)
    if left and math.abs(ngx.now() + left - charge.ends) < SAME_WINDOW_SECONDS then
        counts:incr(charge.key, -1)
    end
end

local function left_seconds(key)
    return counts:ttl(key) or 0
end

local function whole_seconds(seconds)
    return math.max(1, math.ceil(seconds))
end

local function note(name, limited)
    local before = ngx.var.slipway_windows_full
    ngx.var.slipway_windows_full = before == "" and limited or before .. " " .. limited
    if before == "" then
        ngx.log(ngx.INFO, name, ": limited by ", limited)
    end
end

local function tell(charge)
    ngx.header["RateLimit-Limit"] = charge.allowed
    ngx.header["RateLimit-Remaining"] = charge.allowed - charge.count
    ngx.header["RateLimit-Reset"] = whole_seconds(charge.ends - ngx.now())
end

local function refuse(charged, refused)
    local longest = refused[1]
    for _, charge in ipairs(refused) do
        if charge.ends > longest.ends then
            longest = charge
        end
    end
    -- What one limit refused is no reason for the others to count it.
    for _, charge in ipairs(charged) do
        give_back(charge)
    end
    tell(longest)
    ngx.var.slipway_window_wait = whole_seconds(longest.ends - ngx.now())
    return ngx.exit(429)
end

-- access_by_lua: counts the request in the windows that its location names, or refuses it.
function M.admit(name, names)
    -- After an internal redirect it is the same request still.
    if ngx.req.is_internal() and ngx.var.slipway_counted ~= "" then
        return
    end
    ngx.var.slipway_counted = "1"
    local windows = applications[name].windows
    local who = users.who()
    local address
    local charged, refused = {}, {}
    for _, limit_name in ipairs(names) do
        local limit = windows[limit_name]
        local key
        if limit.by_user and who then
            key = limit.prefix .. who.key
        else
            address = address or client()
            key = limit.prefix .. address
        end
        local allowed = allowance(limit, who)
        local passes, count = take(limit, key, allowed)
        local charge = {
            limit = limit, key = key, allowed = allowed, count = count, ends = ngx.now() + left_seconds(key),
        }
        if passes then
            charged[#charged + 1] = charge
        elseif limit.dry_run then
            note(name, limit_name .. ":dry_run")
        else
            note(name, limit_name)
            refused[#refused + 1] = charge
        end
    end
    if #refused > 0 then
        return refuse(charged, refused)
    end
    ngx.ctx.slipway_charges = charged
end

-- The answer told whom the request is from: it counts as that user's, if the user has one left. A user who has
-- none keeps what the request was counted as, or else new credentials would be a way around the limit.
local function move(charge, who)
    local limit = charge.limit
    local key = limit.prefix .. who.key
    if not limit.by_user or key == charge.key then
        return
    end
    local allowed = allowance(limit, who)
    local passes, count = take(limit, key, allowed)
    if passes then
        give_back(charge)
        charge.key, charge.allowed, charge.count = key, allowed, count
        charge.ends = ngx.now() + left_seconds(key)
    end
end

-- header_filter_by_lua
function M.answered(name)
    local charges = ngx.ctx.slipway_charges
    local who = users.answered(name)
    if not charges then
        return
    end
    local nearest
    for _, charge in ipairs(charges) do
        if who then
            move(charge, who)
        end
        if not charge.limit.dry_run
            and (not nearest or charge.allowed - charge.count < nearest.allowed - nearest.count) then
            nearest = charge
        end
    end
    -- The application may have limits of its own.
    if nearest and not ngx.header["RateLimit-Limit"] then
        tell(nearest)
    end
end

return M
