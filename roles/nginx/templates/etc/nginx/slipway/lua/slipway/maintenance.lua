-- The maintenance page of each application, and its announcement.
--
-- One file an application is the truth (written by the module maintenance_page) and is read at every start, reload
-- and sync. What the files say together lies in a shared dictionary, which all workers follow by its generation number.

local bit = require "bit"
local cjson = require "cjson.safe"
local files = require "slipway.files"

local shared = ngx.shared.slipway_maintenance

local OFF, ANNOUNCED, ON = "off", "announced", "on"
local STATES = { [OFF] = true, [ANNOUNCED] = true, [ON] = true }
local DEFAULT_MESSAGE = "We are working on this service. Please try again later."
local MONTHS = {
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
}
local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local MAPPED = ("\0"):rep(10) .. "\255\255"
local PLACEHOLDERS = {
    ends = true, ends_text = true, host = true, message = true, method = true, nonce = true, overdue = true,
    request_id = true, starts = true, starts_text = true, status_path = true,
}
local PAGE_POLICY = "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; "
    .. "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

local M = {}
local settings, applications, page, script
local cache = { generation = -1, states = {} }


-- Times and addresses -------------------------------------------------------------------------------------------

-- The only form that the files have: 2026-11-24T22:00:00Z.
local function parse_time(text)
    local year, month, day, hour, minute, second = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)Z$")
    if not year then
        return nil
    end
    year, month, day = tonumber(year), tonumber(month), tonumber(day)
    if month < 1 or month > 12 or day < 1 or day > 31 then
        return nil
    end
    -- Days since 1970, of years that begin in March, so that the leap day comes last.
    local shifted = month <= 2 and year - 1 or year
    local days = 365 * shifted + math.floor(shifted / 4) - math.floor(shifted / 100) + math.floor(shifted / 400)
        + math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 719469
    return {
        epoch = days * 86400 + hour * 3600 + minute * 60 + second,
        text = day .. " " .. MONTHS[month] .. " " .. year .. ", " .. hour .. ":" .. minute .. " UTC",
    }
end

local function parse_ipv4(text)
    local bytes = {}
    for part in (text .. "."):gmatch("(%d+)%.") do
        bytes[#bytes + 1] = tonumber(part)
    end
    if #bytes ~= 4 or not text:find("^%d+%.%d+%.%d+%.%d+$") then
        return nil
    end
    for _, byte in ipairs(bytes) do
        if byte > 255 then
            return nil
        end
    end
    return string.char(unpack(bytes))
end

local function parse_groups(text)
    local bytes = {}
    if text == "" then
        return bytes
    end
    for group in (text .. ":"):gmatch("([^:]*):") do
        if not group:find("^%x%x?%x?%x?$") then
            return nil
        end
        local value = tonumber(group, 16)
        bytes[#bytes + 1] = math.floor(value / 256)
        bytes[#bytes + 1] = value % 256
    end
    return bytes
end

local function parse_ipv6(text)
    local before, dotted = text:match("^(.*:)(%d+%.%d+%.%d+%.%d+)$")
    if before then
        local four = parse_ipv4(dotted)
        if not four then
            return nil
        end
        text = before .. ("%02x%02x:%02x%02x"):format(four:byte(1, 4))
    end
    local left, right = text:match("^(.-)::(.*)$")
    local head, tail = parse_groups(left or text), parse_groups(right or "")
    if not head or not tail then
        return nil
    end
    local missing = 16 - #head - #tail
    if left and missing < 2 or not left and missing ~= 0 then
        return nil
    end
    return string.char(unpack(head)) .. ("\0"):rep(missing) .. string.char(unpack(tail))
end

-- A network as its first whole bytes, and what the byte after them is under a mask.
local function parse_network(text)
    local address, bits = text:match("^([^/]+)/(%d+)$")
    address = address or text
    local bytes = parse_ipv4(address) or address:find(":", 1, true) and parse_ipv6(address)
    if not bytes then
        return nil
    end
    local length = #bytes * 8
    bits = tonumber(bits) or length
    if bits > length then
        return nil
    end
    local whole, rest = math.floor(bits / 8), bits % 8
    local mask = rest > 0 and bit.band(bit.lshift(0xff, 8 - rest), 0xff) or 0
    return {
        length = #bytes,
        whole = whole,
        prefix = bytes:sub(1, whole),
        mask = mask,
        value = mask > 0 and bit.band(bytes:byte(whole + 1), mask) or 0,
    }
end

local function contains(network, address)
    return #address == network.length
        and address:sub(1, network.whole) == network.prefix
        and (network.mask == 0 or bit.band(address:byte(network.whole + 1), network.mask) == network.value)
end


-- Files -----------------------------------------------------------------------------------------------------------

local function required(path)
    local text, problem = files.read(path)
    if not text then
        error(problem or path .. ": is missing")
    end
    return text
end

local function state_file(name)
    return settings.states .. "/" .. name .. ".json"
end

local function text_or_nil(value)
    return type(value) == "string" and value ~= "" and value or nil
end

-- Nil and what is wrong, when the file cannot be understood. No file: off.
local function read_state(name)
    local path = state_file(name)
    local file, problem = files.read_json(path)
    if problem then
        return nil, problem
    end
    if not file then
        return { state = OFF }
    end
    if not STATES[file.state] then
        return nil, path .. ": state is none of off, announced, on"
    end
    local state = { state = file.state, allow = {} }
    for _, key in ipairs { "message", "starts", "ends", "owner", "reason", "since" } do
        state[key] = text_or_nil(file[key])
    end
    for _, key in ipairs { "starts", "ends" } do
        if state[key] and not parse_time(state[key]) then
            return nil, path .. ": " .. key .. " is " .. state[key] .. "; expected a time such as 2026-11-24T22:00:00Z"
        end
    end
    local allow = file.allow
    if allow == nil or allow == cjson.null then
        allow = {}
    end
    if type(allow) ~= "table" or next(allow) ~= nil and allow[1] == nil then
        return nil, path .. ": allow is not a list"
    end
    for index, item in ipairs(allow) do
        if type(item) ~= "string" or not parse_network(item) then
            return nil, path .. ": allow: " .. tostring(item) .. " is neither an address nor a network"
        end
        state.allow[index] = item
    end
    return state
end

local function read_once()
    local before = cjson.decode(shared:get("states") or "{}") or {}
    local states, problems = {}, {}
    for name in pairs(applications) do
        local state, problem = read_state(name)
        if not state then
            problems[#problems + 1] = problem
            state = before[name]
        end
        if state and state.state ~= OFF then
            states[name] = state
        end
    end
    local stored, problem, forced = shared:set("states", cjson.encode(states))
    if not stored or forced then
        problems[#problems + 1] = "the maintenance states of all applications together are too large: "
            .. (problem or "others were evicted")
    end
    shared:incr("generation", 1, 0)
    return problems
end

-- Reads the files and publishes what they say to all workers. Returns the problems found; a file that cannot be
-- understood leaves its application as it was.
function M.read()
    local paths = {}
    for name in pairs(applications) do
        paths[#paths + 1] = state_file(name)
    end
    return files.settled(paths, read_once)
end

-- A page as constant parts and names of values in turn.
local function parse_page(text)
    local parts, from, look = {}, 1, 1
    while true do
        local first, last, name = text:find("@([a-z_]+)@", look)
        if not first then
            break
        end
        if PLACEHOLDERS[name] then
            parts[#parts + 1] = text:sub(from, first - 1)
            parts[#parts + 1] = name
            from, look = last + 1, last + 1
        else
            look = first + 1
        end
    end
    parts[#parts + 1] = text:sub(from)
    return { parts = parts, has_nonce = text:find("@nonce@", 1, true) ~= nil }
end

-- init_by_lua: options are settings, page, script (paths of files) and states (a directory).
function M.init(options)
    settings = options
    local declared, problem = files.read_json(options.settings)
    if not declared then
        error(problem or options.settings .. ": is missing")
    end
    applications = declared.applications
    settings.retry_after_seconds = declared.retry_after_seconds
    page = parse_page(required(options.page))
    script = required(options.script)
    for _, found in ipairs(M.read()) do
        ngx.log(ngx.ERR, found)
    end
end


-- The states as a worker holds them -------------------------------------------------------------------------------

local function follow()
    local generation = shared:get("generation")
    if generation == cache.generation then
        return cache.states
    end
    local states = cjson.decode(shared:get("states") or "{}") or {}
    for _, state in pairs(states) do
        state.networks = {}
        for index, item in ipairs(state.allow) do
            state.networks[index] = parse_network(item)
        end
        state.starts_time = state.starts and parse_time(state.starts)
        state.ends_time = state.ends and parse_time(state.ends)
        -- An interval as ISO 8601 has them; ".." for an end that nobody knows.
        state.announcement = (state.starts or "..") .. "/" .. (state.ends or "..")
    end
    cache = { generation = generation, states = states }
    return states
end

local function is_overdue(state)
    return state.ends_time ~= nil and ngx.time() >= state.ends_time.epoch
end

local function is_allowed(state)
    local address = ngx.var.binary_remote_addr
    -- An IPv4 address in the clothes of an IPv6 one is judged as what it is.
    if #address == 16 and address:sub(1, 12) == MAPPED then
        address = address:sub(13)
    end
    for _, network in ipairs(state.networks) do
        if contains(network, address) then
            return true
        end
    end
    return false
end


-- Answers ---------------------------------------------------------------------------------------------------------

-- How much the client wants each kind, of those that it names: browsers name HTML when a person looks.
local function wants_page()
    local accept = ngx.var.http_accept
    if not accept then
        return false
    end
    local html, json = 0, 0
    for range in accept:lower():gmatch("[^,]+") do
        local kind = range:match("^%s*([^;%s]+)")
        local quality = tonumber(range:match(";%s*q%s*=%s*([%d.]+)") or 1) or 0
        if kind == "text/html" or kind == "application/xhtml+xml" then
            html = math.max(html, quality)
        elseif kind == "application/json" or kind and kind:find("^application/[^;]*%+json$") then
            json = math.max(json, quality)
        end
    end
    return html > 0 and html >= json
end

local function is_for_programs()
    local kind, upgrade = ngx.var.slipway_kind, ngx.var.http_upgrade
    return kind == "api" or kind == "auth" or upgrade and upgrade:lower() == "websocket" or not wants_page()
end

local function escape(text)
    return (text:gsub("[&<>\"']", ESCAPES))
end

local function render(name, state, request_id)
    local values = {
        ends = state.ends or "",
        ends_text = state.ends_time and state.ends_time.text or "",
        host = ngx.var.host,
        message = state.message or DEFAULT_MESSAGE,
        method = ngx.req.get_method(),
        nonce = request_id,
        overdue = tostring(is_overdue(state)),
        request_id = request_id,
        starts = state.starts or "",
        starts_text = state.starts_time and state.starts_time.text or "",
        status_path = applications[name].path,
    }
    local parts = page.parts
    local written = {}
    for index = 1, #parts, 2 do
        written[index] = parts[index]
        local name_of_value = parts[index + 1]
        written[index + 1] = name_of_value and escape(values[name_of_value])
    end
    return table.concat(written)
end

local function send(status, content_type, body)
    ngx.status = status
    ngx.header["Content-Type"] = content_type
    ngx.header["Content-Length"] = #body
    ngx.print(body)
    return ngx.exit(ngx.HTTP_OK)
end

local function refuse(name, state)
    local request_id = ngx.var.request_id
    local wait = state.ends_time and state.ends_time.epoch - ngx.time() or 0
    ngx.header["Retry-After"] = wait > 0 and wait or settings.retry_after_seconds
    ngx.header["Cache-Control"] = "no-store"
    -- What the location would say of caches is not about this answer.
    ngx.var.slipway_cache = ""
    ngx.header["Vary"] = "Accept"
    -- What the client still sends would be taken for its next request.
    ngx.req.discard_body()
    if is_for_programs() then
        return send(503, "application/json", cjson.encode {
            error = "maintenance",
            message = state.message or DEFAULT_MESSAGE,
            ends = state.ends or cjson.null,
            request_id = request_id,
        })
    end
    if page.has_nonce then
        ngx.header["Content-Security-Policy"] = PAGE_POLICY:format(request_id, request_id)
    end
    return send(503, "text/html; charset=utf-8", render(name, state, request_id))
end


-- Requests --------------------------------------------------------------------------------------------------------

-- rewrite_by_lua: before everything else that costs the application or this host something.
function M.enter(name)
    local state = follow()[name]
    if not state then
        return
    end
    if state.state == ANNOUNCED then
        ngx.header["Maintenance-Announcement"] = state.announcement
    elseif is_allowed(state) then
        -- So that nobody who may pass takes this for what everybody gets.
        ngx.header["Maintenance"] = "on"
    else
        return refuse(name, state)
    end
end

local function only_reading()
    local method = ngx.req.get_method()
    if method ~= "GET" and method ~= "HEAD" then
        ngx.header["Allow"] = "GET, HEAD"
        ngx.req.discard_body()
        return send(405, "application/json", '{"error":"method not allowed"}')
    end
end

-- content_by_lua: what programs and maintenance.js ask.
function M.status(name)
    only_reading()
    local state = follow()[name] or { state = OFF }
    ngx.header["Cache-Control"] = "no-store"
    return send(200, "application/json", cjson.encode {
        state = state.state,
        message = state.message or (state.state == ON and DEFAULT_MESSAGE) or "",
        starts = state.starts or cjson.null,
        ends = state.ends or cjson.null,
        overdue = is_overdue(state),
    })
end

-- content_by_lua: a script that pages of the application may include.
function M.script()
    only_reading()
    ngx.header["Cache-Control"] = "public, max-age=3600"
    return send(200, "text/javascript; charset=utf-8", script)
end


-- The admin socket ------------------------------------------------------------------------------------------------

function M.report()
    local found, states = {}, follow()
    for name in pairs(applications) do
        local state = states[name] or { state = OFF }
        found[name] = {
            state = state.state,
            message = state.message,
            starts = state.starts,
            ends = state.ends,
            overdue = is_overdue(state),
            allow = state.allow and state.allow[1] and state.allow or nil,
            owner = state.owner,
            reason = state.reason,
            since = state.since,
        }
    end
    return send(200, "application/json", cjson.encode {
        applications = found,
        generation = shared:get("generation"),
    })
end

return M
