-- What happens to each request on its way, in the order of nginx's phases. The configuration names only this file.

local maintenance = require "slipway.maintenance"
local pool = require "slipway.pool"

local M = {}


-- rewrite_by_lua, before anything is decided about the request.
function M.enter(name)
    maintenance.enter(name)
end

-- access_by_lua: counts the request in the windows of its location, then sees whether anybody is there to answer.
function M.admit(name, windows)
    return pool.admit(name)
end

-- header_filter_by_lua, for answers whose end may be days away.
function M.answered(name)
    pool.answered()
end

-- log_by_lua
function M.done(name)
    pool.done()
end

return M
