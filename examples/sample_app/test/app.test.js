'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');
const { App } = require('../src/app');
const { ConfigError, load } = require('../src/config');
const { poolOptions } = require('../src/database');
const { formatMemory, formatUptime } = require('../src/format');
const { createLog } = require('../src/log');
const { takeToken } = require('../src/rooms');

const silent = createLog('error', {}, () => {});
let app;
let base;

before(async () => {
  app = new App(load({ PORT: '0', RELEASE: 'r1', SHUTDOWN_GRACE: '50', WS_MAX_CONNECTIONS: '2' }), silent);
  base = `127.0.0.1:${await app.start()}`;
});

after(() => app.stop());

const get = (path, options) => fetch(`http://${base}${path}`, options);

function open() {
  const socket = new WebSocket(`ws://${base}/ws`);
  return new Promise((resolve, reject) => {
    socket.once('message', () => resolve(socket));
    socket.once('error', reject);
  });
}

const next = (socket) =>
  new Promise((resolve) => {
    socket.once('message', (data) => resolve(JSON.parse(data)));
  });

test('alive without its dependencies, but not ready', async () => {
  const alive = await get('/livez');
  assert.equal(alive.status, 200);
  assert.equal(alive.headers.get('x-release'), 'r1');
  assert.equal((await get('/readyz')).status, 503);
  assert.equal((await get('/api/notes')).status, 503);
});

test('static files, unknown paths and bad bodies', async () => {
  const style = await get('/static/style.css');
  assert.equal(style.status, 200);
  const again = await get('/static/style.css', { headers: { 'If-None-Match': style.headers.get('etag') } });
  assert.equal(again.status, 304);
  assert.equal((await get('/static/../server.js')).status, 404);
  assert.equal((await get('/fault/error')).status, 404);
  for (const body of ['{', 'null', '{"text":""}']) {
    assert.equal((await get('/api/notes', { method: 'POST', body })).status, 400);
  }
  assert.equal((await get('/api/notes', { method: 'POST', body: 'x'.repeat(70000) })).status, 413);
});

test('metrics count what was answered', async () => {
  assert.match(await (await get('/metrics')).text(), /http_requests_total\{method="GET",route="\/livez",status="200"\} \d/);
});

test('rooms: joined, delivered, refused when full', async () => {
  const first = await open();
  first.send(JSON.stringify({ type: 'join', room: 'lobby' }));
  assert.equal((await next(first)).type, 'joined');
  app.rooms.deliver({ room: 'elsewhere', text: 'no' });
  app.rooms.deliver({ room: 'lobby', text: 'hello' });
  assert.equal((await next(first)).text, 'hello');
  const second = await open();
  await assert.rejects(open(), /503/);
  assert.deepEqual(app.rooms.stats(), { connectedClients: 2, activeRooms: 1, authenticatedClients: 0 });
  first.terminate();
  second.terminate();
});

test('a stop finishes what is in flight and says goodbye to websockets', async () => {
  const stopping = new App(load({ PORT: '0', SHUTDOWN_GRACE: '100', SAMPLE_FAULTS: '1' }), silent);
  const port = await stopping.start();
  const agent = new http.Agent({ keepAlive: true });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await new Promise((resolve) => {
    socket.once('message', resolve);
  });
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  const slow = new Promise((resolve, reject) => {
    http.get({ port, path: '/fault/slow?ms=400', agent }, (response) => resolve(response.resume())).on('error', reject);
  });
  await new Promise((resolve) => {
    setTimeout(resolve, 50);
  });
  const stopped = stopping.stop();
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
  assert.equal(ready.status, 503);
  assert.equal(ready.headers.get('connection'), 'close');
  assert.equal((await slow).statusCode, 200);
  assert.equal(await closed, 1001);
  await stopped;
  agent.destroy();
});

test('health answers change where faults are allowed, and change back', async () => {
  const spoilt = new App(load({ PORT: '0', SHUTDOWN_GRACE: '0', SAMPLE_FAULTS: '1' }), silent);
  const url = `http://127.0.0.1:${await spoilt.start()}`;
  const change = (json) => fetch(`${url}/fault/health`, { method: 'POST', body: JSON.stringify(json) });
  await change({ delay_ms: 100, status: 500, json: { memoryUsage: '990MB' } });
  const begun = Date.now();
  const answer = await fetch(`${url}/api/health/websocket`);
  assert.ok(Date.now() - begun >= 99);
  assert.equal(answer.status, 500);
  assert.equal((await answer.json()).memoryUsage, '990MB');
  await change({});
  assert.equal((await fetch(`${url}/api/health/websocket`)).status, 200);
  await spoilt.stop();
});

test('configuration: forms are checked by name', () => {
  assert.throws(() => load({ PORT: '80x' }), ConfigError);
  assert.throws(() => load({ REDIS_NODES: 'nowhere' }), /REDIS_NODES/);
  assert.deepEqual(load({ REDIS_NODES: '10.0.0.1:7001,[fd00::1]:7002' }).redis.nodes, [
    { host: '10.0.0.1', port: 7001 },
    { host: 'fd00::1', port: 7002 },
  ]);
});

test('a database URL with an escaped password', () => {
  const options = poolOptions('postgresql://shop:p%40ss%3Aw%2F1@10.0.0.3:5433/shop', 5);
  assert.equal(options.password, 'p@ss:w/1');
  assert.equal(options.port, 5433);
  assert.equal(options.ssl, false);
});

test('a rate is a bucket that fills evenly', () => {
  const client = { tokens: 2, filledAt: 0 };
  assert.deepEqual([0, 0, 0].map((now) => takeToken(client, 2, now)), [true, true, false]);
  assert.equal(takeToken(client, 2, 30000), true);
  assert.equal(takeToken(client, 2, 30001), false);
});

test('figures as people read them', () => {
  assert.equal(formatMemory(245 * 1048576), '245MB');
  assert.equal(formatUptime(8100), '2h 15m');
  assert.equal(formatUptime(59), '59s');
});
