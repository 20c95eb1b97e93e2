-- What happens to each request on its way, in the order of nginx's phases. The configuration names only this file.

local limits = require "slipway.limits"
local maintenance = require "slipway.maintenance"
local pool = require "slipway.pool"
local users = require "slipway.users"

local M = {}


-- rewrite_by_lua, before anything is decided about the request.
function M.enter(name)
    maintenance.enter(name)
    users.enter(name)
end

-- access_by_lua: counts the request in the windows of its location, then sees whether anybody is there to answer.
function M.admit(name, windows)
    if windows[1] then
        limits.admit(name, windows)
    end
    return pool.admit(name)
end

-- header_filter_by_lua, where windows or users are counted, or the end of the answer may be days away.
function M.answered(name)
    limits.answered(name)
    pool.answered()
end

-- log_by_lua
function M.done(name)
    pool.done()
end

return M
