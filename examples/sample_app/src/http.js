'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Unavailable } = require('./database');

const MAX_BODY_BYTES = 65536;
const STATIC = path.join(__dirname, '..', 'static');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

class BadRequest extends Error {
  constructor(message, status = 400) {
    super(message);
    this.status = status;
  }
}

/** The files below static/, read once: what is not in this map does not exist. */
function loadStatic() {
  const files = new Map();
  for (const name of fs.readdirSync(STATIC)) {
    const body = fs.readFileSync(path.join(STATIC, name));
    const etag = `"${crypto.createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
    files.set(`/static/${name}`, { body, etag, type: TYPES[path.extname(name)] || 'application/octet-stream' });
  }
  return files;
}

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new BadRequest(`a body has at most ${MAX_BODY_BYTES} bytes`, 413);
    chunks.push(chunk);
  }
  let value = null;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString() || '{}');
  } catch {
    // Refused below, together with JSON that is no object.
  }
  if (value === null || typeof value !== 'object') throw new BadRequest('the body must be a JSON object');
  return value;
}

function cookie(request, name) {
  for (const part of (request.headers.cookie || '').split(';')) {
    const [key, value] = part.trim().split('=', 2);
    if (key === name) return value;
  }
  return undefined;
}

/**
 * The HTTP server. A route is `METHOD /path` and an async function that returns
 * `{status, json | text, type, headers}`; what it throws becomes 400, 413, 503 or 500.
 */
function createServer({ config, log, metrics, routes, isDraining }) {
  const files = loadStatic();
  const requests = metrics.counter('http_requests_total', 'Requests answered');
  const seconds = metrics.histogram('http_request_duration_seconds', 'Time to answer a request');

  async function answer(request, url) {
    const route = routes[`${request.method} ${url.pathname}`];
    if (route) {
      const json = request.method === 'POST' ? await readJson(request) : undefined;
      return { route: url.pathname, ...(await route({ request, json, query: url.searchParams })) };
    }
    const file = request.method === 'GET' || request.method === 'HEAD' ? files.get(url.pathname) : undefined;
    if (file) {
      const headers = { ETag: file.etag, 'Cache-Control': 'public, max-age=300' };
      if (request.headers['if-none-match'] === file.etag) return { route: '/static', status: 304, text: '', headers };
      return { route: '/static', status: 200, text: file.body, type: file.type, headers };
    }
    return { route: 'other', status: 404, json: { error: 'not found' } };
  }

  function failure(error, request) {
    if (error instanceof BadRequest) return { status: error.status, json: { error: error.message } };
    if (error instanceof Unavailable) {
      return { status: 503, json: { error: error.message }, headers: { 'Retry-After': '1' } };
    }
    log.error('request failed', { method: request.method, url: request.url, error: error.message, stack: error.stack });
    return { status: 500, json: { error: 'internal error' } };
  }

  async function handle(request, response) {
    const began = process.hrtime.bigint();
    let result;
    try {
      result = await answer(request, new URL(request.url, 'http://localhost'));
    } catch (error) {
      result = { route: 'failed', ...failure(error, request) };
    }
    const body = result.json === undefined ? result.text : JSON.stringify(result.json);
    response.writeHead(result.status, {
      'Content-Type': result.json === undefined ? result.type || 'text/plain; charset=utf-8' : 'application/json',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Release': config.release,
      'X-Instance': config.instance,
      // While draining, a client that keeps its connection is told to open the next one elsewhere.
      ...(isDraining() || result.status === 413 ? { Connection: 'close' } : {}),
      ...result.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    requests.inc({ method: request.method, route: result.route, status: result.status });
    seconds.observe({ route: result.route }, Number(process.hrtime.bigint() - began) / 1e9);
  }

  const server = http.createServer({ keepAliveTimeout: config.keepAliveMs, requestTimeout: 60000 }, handle);
  // Node closes a kept connection at this time even in the middle of the next request's headers.
  server.headersTimeout = config.keepAliveMs + 1000;
  return server;
}

module.exports = { BadRequest, cookie, createServer };
