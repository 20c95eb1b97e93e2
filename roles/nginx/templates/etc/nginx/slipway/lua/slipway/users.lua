-- Who a request is from: a user and a tier, as far as something that clients cannot forge says so.
--
-- Either the application names both in headers of its answers, and the edge remembers for a while which credential
-- (a cookie, the header Authorization) they belong to; or a token says it, whose signature is checked here.
-- What clients say of themselves is never believed. Neither credentials nor tokens are kept, only their digests.

local base64 = require "ngx.base64"
local cjson = require "cjson.safe"

local known = ngx.shared.slipway_users

local KEYS = "/etc/slipway/nginx/"
-- Clocks differ.
local LEEWAY_SECONDS = 5
local KEY_TYPES = { RS256 = "rsaEncryption", ES256 = "id-ecPublicKey" }
local TIER = "^[%w][%w_.-]*$"
local TIER_LENGTH = 64
local OTHER = "other"

local M = {}
local applications
local digest, hmac, pkey


local function sha256(text)
    return digest.new("sha256"):final(text)
end

-- Start -----------------------------------------------------------------------------------------------------------

local function secrets(text)
    local found = {}
    for line in text:gmatch("[^\r\n]+") do
        found[#found + 1] = line
    end
    return found
end

local function public_keys(text, algorithm)
    local found = {}
    for block in text:gmatch("%-%-%-%-%-BEGIN PUBLIC KEY%-%-%-%-%-.-%-%-%-%-%-END PUBLIC KEY%-%-%-%-%-") do
        local key = pkey.new(block)
        if key:type() ~= KEY_TYPES[algorithm] then
            error("a key is not for " .. algorithm)
        end
        found[#found + 1] = key
    end
    return found
end

-- Without keys no token is good, and everybody anonymous: no reason for the edge not to start.
local function read_keys(name, algorithm)
    local path = KEYS .. name .. ".key"
    local file, problem = io.open(path, "r")
    if not file then
        ngx.log(ngx.ERR, problem, "; every token of ", name, " counts as anonymous")
        return {}
    end
    local text = file:read("*a") or ""
    file:close()
    local read = algorithm == "HS256" and secrets or public_keys
    local understood, keys = pcall(read, text, algorithm)
    if not understood or #keys == 0 then
        ngx.log(ngx.ERR, path, ": no key for ", algorithm, "; every token of ", name, " counts as anonymous")
        return {}
    end
    return keys
end

local function variable(header)
    return "upstream_http_" .. header:lower():gsub("-", "_")
end

-- init_by_lua, as root: only then can the keys be read.
function M.init(settings)
    applications = {}
    for name, application in pairs(settings) do
        local users = application.users
        if type(users) == "table" then
            if not digest then
                digest, hmac, pkey = require "openssl.digest", require "openssl.hmac", require "openssl.pkey"
            end
            users.prefix = name .. "|"
            users.is_tier = {}
            for _, tier in ipairs(users.tiers) do
                users.is_tier[tier] = true
            end
            if users.source == "token" then
                users.keys = read_keys(name, users.algorithm)
            else
                users.user_variable = variable(users.user_header)
                users.tier_variable = variable(users.tier_header)
            end
            applications[name] = users
        end
    end
end


-- Users -----------------------------------------------------------------------------------------------------------

local function tier_of(users, tier)
    if type(tier) == "table" then
        -- Of several roles, the first that a limit knows.
        for _, one in ipairs(tier) do
            if type(one) == "string" and users.is_tier[one:lower()] then
                return one:lower()
            end
        end
        return OTHER
    end
    if type(tier) ~= "string" or #tier > TIER_LENGTH or not tier:find(TIER) then
        return OTHER
    end
    return tier:lower()
end

local function new_user(users, id, tier)
    if type(id) == "number" then
        id = ("%.0f"):format(id)
    end
    if type(id) ~= "string" or id == "" then
        return nil
    end
    -- Of one length, whatever users are called; and not that of an address.
    return { key = base64.encode_base64url(sha256(id):sub(1, 18)), tier = tier_of(users, tier), id = id }
end

local function remember(users, credential, who, seconds)
    known:set(users.prefix .. credential, who.key .. who.tier .. "\n" .. (users.logged and who.id or ""), seconds)
end

local function recall(users, credential)
    local text = known:get(users.prefix .. credential)
    if not text then
        return nil
    end
    local tier, id = text:sub(25):match("^([^\n]*)\n(.*)$")
    return { key = text:sub(1, 24), tier = tier, id = id }
end


-- Named by the application's answers ------------------------------------------------------------------------------

local function credential(users, cookie)
    local authorization = ngx.var.http_authorization
    if not cookie and users.credential_cookie ~= "" then
        cookie = ngx.var["cookie_" .. users.credential_cookie]
    end
    if (cookie == nil or cookie == "") and authorization == nil then
        return nil
    end
    return sha256((cookie or "") .. "\n" .. (authorization or ""))
end

-- The value that an answer gives the cookie, which is empty when it takes it away; nil if it leaves it alone.
local function cookie_given(users)
    if users.credential_cookie == "" then
        return nil
    end
    local headers = ngx.header["Set-Cookie"]
    local given
    for _, header in ipairs(type(headers) == "table" and headers or { headers }) do
        local name, value = header:match("^%s*([^=;%s]+)%s*=%s*([^;]*)")
        if name and name:lower() == users.credential_cookie:lower() then
            given = value:match("^(.-)%s*$")
        end
    end
    return given
end

-- header_filter_by_lua: returns the user whom the answer names, if it does.
function M.answered(name)
    local users = applications[name]
    if not users or users.source ~= "response_header" or not ngx.var.upstream_status then
        return nil
    end
    local id = ngx.var[users.user_variable]
    local given = cookie_given(users)
    if id == nil or id == "" then
        -- An answer that says nothing leaves what is known; these say that the credential is no longer good.
        if id == "" or given == "" or ngx.status == 401 then
            local old = credential(users)
            if old then
                known:delete(users.prefix .. old)
            end
        end
        return nil
    end
    local who = new_user(users, id, ngx.var[users.tier_variable])
    local current = credential(users, given ~= "" and given or nil)
    if who and current then
        remember(users, current, who, users.remember_seconds)
    end
    return who
end


-- Named by a token ------------------------------------------------------------------------------------------------

local function decode(part)
    local text = base64.decode_base64url(part)
    local value = text and cjson.decode(text)
    return type(value) == "table" and value or nil
end

-- An integer of DER: without leading zeros, but one where it would be taken for negative.
local function der_integer(bytes)
    bytes = bytes:gsub("^%z+", "")
    if bytes == "" or bytes:byte(1) >= 128 then
        bytes = "\0" .. bytes
    end
    return "\2" .. string.char(#bytes) .. bytes
end

local function is_signed(users, signed, signature)
    for _, key in ipairs(users.keys) do
        if users.algorithm == "HS256" then
            -- Digests of both, so that the time that it takes to compare them tells nothing.
            if sha256(hmac.new(key, "sha256"):final(signed)) == sha256(signature) then
                return true
            end
        else
            local hash = digest.new("sha256")
            hash:update(signed)
            local understood, good = pcall(key.verify, key, signature, hash)
            if understood and good then
                return true
            end
        end
    end
    return false
end

local function is_for(audience, wanted)
    if type(audience) ~= "table" then
        return audience == wanted
    end
    for _, one in ipairs(audience) do
        if one == wanted then
            return true
        end
    end
    return false
end

local function is_number_or_nil(value)
    return value == nil or type(value) == "number"
end

-- The claims of a token that is signed with one of the keys, whenever it is good.
local function claims_of(users, token)
    local signed, head, body, signature = token:match("^(([%w_-]+)%.([%w_-]+))%.([%w_-]+)$")
    local header = head and decode(head)
    -- The algorithm is what the operator said, never what the token says.
    if not header or header.alg ~= users.algorithm or header.crit ~= nil then
        return nil
    end
    signature = base64.decode_base64url(signature)
    if not signature then
        return nil
    end
    if users.algorithm == "ES256" then
        if #signature ~= 64 then
            return nil
        end
        local numbers = der_integer(signature:sub(1, 32)) .. der_integer(signature:sub(33))
        signature = "\48" .. string.char(#numbers) .. numbers
    end
    if not is_signed(users, signed, signature) then
        return nil
    end
    local claims = decode(body)
    if not claims or not is_number_or_nil(claims.exp) or not is_number_or_nil(claims.nbf)
        or users.issuer ~= "" and claims.iss ~= users.issuer
        or users.audience ~= "" and not is_for(claims.aud, users.audience) then
        return nil
    end
    return claims
end

local function bearer()
    local authorization = ngx.var.http_authorization
    return authorization and authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+) *$")
end

local function token_user(users)
    local token = bearer() or users.cookie ~= "" and ngx.var["cookie_" .. users.cookie]
    if not token or token == "" then
        return nil
    end
    local hash = sha256(token)
    local who = recall(users, hash)
    if who then
        return who
    end
    local claims = claims_of(users, token)
    local now = ngx.now()
    if not claims or claims.nbf and claims.nbf > now + LEEWAY_SECONDS then
        return nil
    end
    local left = claims.exp and claims.exp + LEEWAY_SECONDS - now or users.remember_seconds
    if left <= 0 then
        return nil
    end
    who = new_user(users, claims[users.user_claim], claims[users.tier_claim])
    if who then
        remember(users, hash, who, math.max(0.001, math.min(left, users.remember_seconds)))
    end
    return who
end


-- Requests --------------------------------------------------------------------------------------------------------

-- rewrite_by_lua, before nginx's own limits are asked.
function M.enter(name)
    local users = applications[name]
    if not users then
        return
    end
    local who
    if users.source == "token" then
        who = token_user(users)
    else
        local mine = credential(users)
        who = mine and recall(users, mine)
    end
    ngx.ctx.slipway_who = who
    if who then
        ngx.var.slipway_user = who.key
        ngx.var.slipway_tier = who.tier
        if users.logged then
            ngx.var.slipway_user_logged = who.id
        end
    else
        ngx.var.slipway_tier = "anonymous"
    end
end

-- The user that this request is from: key and tier; nil if nobody known.
function M.who()
    return ngx.ctx.slipway_who
end

return M
