-- Files that Lua reads: settings that the role nginx wrote, and states that others change while nginx runs.

local cjson = require "cjson.safe"

local TRIES = 5

local M = {}


-- Nil without a problem, when there is no such file.
function M.read(path)
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

function M.read_json(path)
    local text, problem = M.read(path)
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

-- Nil for what this process may not read: the master may read more than the workers.
function M.digest(path)
    local text, problem = M.read(path)
    if problem then
        return nil
    end
    return text and ngx.md5(text) or "missing"
end

local function fingerprint(paths)
    local digests = {}
    for index, path in ipairs(paths) do
        digests[index] = M.digest(path) or "unreadable"
    end
    return table.concat(digests, " ")
end

-- Calls `read`, which reads the files and publishes what they say, until they stayed the same meanwhile. Processes do
-- so at the same time (two syncs, or one and a reload); whoever publishes last has then read the files as they are.
function M.settled(paths, read)
    local before, result, problem
    for _ = 1, TRIES do
        before = fingerprint(paths)
        result, problem = read()
        if fingerprint(paths) == before then
            break
        end
    end
    return result, problem
end

return M
