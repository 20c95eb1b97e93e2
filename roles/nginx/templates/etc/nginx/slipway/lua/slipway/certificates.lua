-- Certificates that change without a reload.
--
-- The files are the truth: the master reads them at every start and reload. Their keys are not for the workers to read,
-- so after a renewal root hands both to the admin socket, from where all workers follow by a generation number. A name
-- is the path of the certificate's file. Until a pair is there, nginx's own ssl_certificate serves.

local cjson = require "cjson.safe"
local ffi = require "ffi"
local files = require "slipway.files"
local ssl = require "ngx.ssl"

ffi.cdef [[
void *OPENSSL_sk_value(const void *stack, int index);
int X509_check_private_key(const void *certificate, const void *key);
void ERR_clear_error(void);
]]

local shared = ngx.shared.slipway_certificates

local EMPTY_ARRAY = "<empty array>"

local M = {}
local settings
-- Certificates that this worker parsed, by name.
local parsed = {}

local function parse(pair)
    local chain, key, problem
    chain, problem = ssl.parse_pem_cert(pair.certificate)
    if not chain then
        return nil, "the certificate is not PEM (" .. problem .. ")"
    end
    key, problem = ssl.parse_pem_priv_key(pair.key)
    if not key then
        return nil, "the key is not PEM (" .. problem .. ")"
    end
    if ffi.C.X509_check_private_key(ffi.C.OPENSSL_sk_value(chain, 0), key) ~= 1 then
        ffi.C.ERR_clear_error()
        return nil, "the key is not that of the certificate (the server's own certificate comes first, then the others)"
    end
    return { chain = chain, key = key }
end

local function publish(name, pair)
    local stored, problem = shared:safe_set("pair|" .. name, cjson.encode(pair))
    if not stored then
        return nil, "no room for it (" .. problem .. ")"
    end
    shared:set("digest|" .. name, ngx.md5(pair.certificate))
    shared:incr("generation|" .. name, 1, 0)
    return true
end

-- init_by_lua: options.certificates is a dictionary of the certificates' paths, with those of their keys.
function M.init(options)
    settings = options
    for name, key_path in pairs(options.certificates) do
        local pair, usable, problem = {}, nil, nil
        pair.certificate, problem = files.read(name)
        if pair.certificate then
            pair.key, problem = files.read(key_path)
        end
        if pair.key then
            usable, problem = parse(pair)
        end
        if usable then
            usable, problem = publish(name, pair)
        end
        if not usable then
            -- nginx judges the same files next, and refuses to start or reload with them.
            ngx.log(ngx.ERR, "certificate ", name, ": ", problem or "it or its key is missing")
        end
    end
end

local function current(name)
    local generation = shared:get("generation|" .. name)
    if not generation then
        return nil
    end
    local known = parsed[name]
    if not known or known.generation ~= generation then
        local pair, problem = parse(cjson.decode(shared:get("pair|" .. name)))
        if not pair then
            ngx.log(ngx.ERR, "certificate ", name, ": ", problem)
            return known
        end
        pair.generation = generation
        parsed[name] = pair
        known = pair
    end
    return known
end

-- Certificates whose file is not what is served; not those that the workers may not read.
function M.stale()
    local stale = {}
    for name in pairs(settings.certificates) do
        local text = files.read(name)
        if text and ngx.md5(text) ~= shared:get("digest|" .. name) then
            stale[#stale + 1] = name
        end
    end
    return stale
end

-- ssl_certificate_by_lua
function M.present(name)
    local pair = current(name)
    if not pair then
        return
    end
    local done, problem = ssl.clear_certs()
    if done then
        done, problem = ssl.set_cert(pair.chain)
    end
    if done then
        done, problem = ssl.set_priv_key(pair.key)
    end
    if not done then
        ngx.log(ngx.ERR, "certificate ", name, ": ", problem)
        return ngx.exit(ngx.ERROR)
    end
end


-- The admin socket ------------------------------------------------------------------------------------------------

local function answer(status, body)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.say((cjson.encode(body):gsub('"' .. EMPTY_ARRAY .. '"', "[]")))
end

local function judge(pairs_by_name)
    local problems = {}
    for name, pair in pairs(pairs_by_name) do
        local problem
        if not settings.certificates[name] then
            problem = "nginx serves no such certificate"
        elseif type(pair) ~= "table" or type(pair.certificate) ~= "string" or type(pair.key) ~= "string" then
            problem = "expected an object with certificate and key, both PEM"
        else
            local usable
            usable, problem = parse(pair)
        end
        if problem then
            problems[#problems + 1] = name .. ": " .. problem
        end
    end
    return problems
end

-- Takes all of the pairs or none: {"<path>": {"certificate": "<PEM>", "key": "<PEM>"}}
local function replace()
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local given = cjson.decode(body or "")
    if type(given) ~= "table" then
        return answer(400, { error = "expected a JSON object of certificates in the request's body" })
    end
    local problems = judge(given)
    if #problems > 0 then
        return answer(500, { error = table.concat(problems, "; ") })
    end
    for name, pair in pairs(given) do
        local done, problem = publish(name, { certificate = pair.certificate, key = pair.key })
        if not done then
            return answer(500, { error = name .. ": " .. problem })
        end
    end
    return M.report()
end

-- Names, keys' paths, how often each pair was published, and the names whose files changed since.
function M.report()
    local certificates = {}
    for name, key_path in pairs(settings.certificates) do
        certificates[name] = { key = key_path, generation = shared:get("generation|" .. name) or 0 }
    end
    local stale = M.stale()
    -- Debian's lua-cjson writes every empty table as an object.
    return answer(200, { certificates = certificates, stale = #stale > 0 and stale or EMPTY_ARRAY })
end

function M.serve()
    local method = ngx.req.get_method()
    if method == "GET" then
        return M.report()
    elseif method == "POST" then
        return replace()
    end
    ngx.header["Allow"] = "GET, POST"
    return answer(405, { error = "expected GET or POST" })
end

return M
