'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { performance, monitorEventLoopDelay } = require('node:perf_hooks');
const { Database } = require('./database');
const { withFaults } = require('./faults');
const { formatMemory, formatUptime } = require('./format');
const { BadRequest, cookie, createServer } = require('./http');
const { Metrics } = require('./metrics');
const { Store } = require('./redis');
const { Rooms } = require('./rooms');

const PAGE = fs.readFileSync(path.join(__dirname, 'page.html'), 'utf8');
const WEBSOCKET_CLOSE_MS = 3000;
const NOTES_SHOWN = 50;

function text(value, name, max) {
  if (typeof value !== 'string' || value.trim() === '' || value.length > max) {
    throw new BadRequest(`${name} must be a text of 1 to ${max} characters`);
  }
  return value.trim();
}

function escapeHtml(value) {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The program: what it holds, its routes, and how it starts and ends. */
class App {
  constructor(config, log) {
    this.config = config;
    this.log = log;
    this.draining = false;
    this.metrics = new Metrics();
    this.database = new Database(config, log);
    this.store = new Store(config, log);
    this.rooms = new Rooms({
      config,
      log,
      metrics: this.metrics,
      publish: (message) => this.store.publish(message),
      sessionOf: (id) => this.store.session(id),
    });
    this.server = createServer({
      config,
      log,
      metrics: this.metrics,
      routes: config.faults ? withFaults(this.routes(), log) : this.routes(),
      isDraining: () => this.draining,
    });
    this.server.on('upgrade', (request, socket, head) => {
      if (new URL(request.url, 'http://localhost').pathname === '/ws') {
        this.rooms.upgrade(request, socket, head, cookie(request, 'sid'));
      } else {
        socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      }
    });
    this.gauges();
  }

  gauges() {
    const { metrics } = this;
    const lag = monitorEventLoopDelay({ resolution: 20 });
    lag.enable();
    metrics.gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
    metrics.gauge('process_uptime_seconds', 'Time since the start', () => performance.now() / 1000);
    metrics.gauge('nodejs_heap_used_bytes', 'Heap in use', () => process.memoryUsage().heapUsed);
    metrics.gauge('nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop, 99th percentile since last asked', () => {
      const p99 = lag.percentile(99) / 1e9;
      lag.reset();
      return Number.isFinite(p99) ? p99 : 0;
    });
    metrics.gauge('app_draining', '1 while the program is shutting down', () => Number(this.draining));
  }

  routes() {
    const { config, database, store } = this;
    return {
      'GET /': async () => this.page(),
      'GET /livez': async () => ({ status: 200, json: { status: 'alive' } }),
      'GET /readyz': async () => this.readiness(),
      'GET /api/health': async () => this.health(),
      'GET /api/health/websocket': async () => ({
        status: 200,
        json: {
          ...this.rooms.stats(),
          uptime: formatUptime(process.uptime()),
          memoryUsage: formatMemory(process.memoryUsage.rss()),
        },
      }),
      'GET /metrics': async () => ({
        status: 200,
        text: this.metrics.render(),
        type: 'text/plain; version=0.0.4; charset=utf-8',
      }),
      'GET /api/notes': async () => ({ status: 200, json: { notes: await database.notes(NOTES_SHOWN) } }),
      'POST /api/notes': async ({ json }) => {
        const note = await database.addNote(text(json.text, 'text', 2000), config.instance);
        await store.queueMail(note.id).catch((error) => this.log.warning('mail not queued', { error: error.message }));
        return { status: 201, json: note };
      },
      'GET /api/mail': async () => ({ status: 200, json: await store.mail() }),
      'POST /api/session': async ({ request, json }) => {
        const session = {
          user: text(json.user, 'user', 64),
          createdAt: new Date().toISOString(),
          createdBy: config.instance,
        };
        const id = await store.createSession(session);
        const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
        const header = `sid=${id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${config.sessionSeconds}${secure}`;
        return { status: 201, json: session, headers: { 'Set-Cookie': header } };
      },
      'GET /api/session': async ({ request }) => {
        const session = await store.session(cookie(request, 'sid'));
        if (!session) return { status: 401, json: { error: 'no session' } };
        return { status: 200, json: { ...session, servedBy: config.instance } };
      },
    };
  }

  page() {
    const fill = { release: this.config.release, instance: this.config.instance };
    const body = PAGE.replace(/\{\{(\w+)\}\}/g, (_, name) => escapeHtml(fill[name]));
    return { status: 200, text: body, type: 'text/html; charset=utf-8' };
  }

  async dependencies() {
    const [database, redis] = await Promise.all([this.database.health(), this.store.health()]);
    return { database, redis };
  }

  async readiness() {
    if (this.draining) return { status: 503, json: { ready: false, reason: 'draining' } };
    const { database, redis } = await this.dependencies();
    const ready = database.ok && redis.ok;
    return { status: ready ? 200 : 503, json: { ready, database, redis } };
  }

  async health() {
    const { database, redis } = await this.dependencies();
    const ok = database.ok && redis.ok && !this.draining;
    return {
      status: ok ? 200 : 503,
      json: {
        status: this.draining ? 'draining' : ok ? 'ok' : 'degraded',
        release: this.config.release,
        instance: this.config.instance,
        database,
        redis,
        memoryUsage: formatMemory(process.memoryUsage.rss()),
        uptime: formatUptime(process.uptime()),
      },
    };
  }

  async start() {
    this.store.start((message) => this.rooms.deliver(message));
    this.database.start();
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.config.port, this.config.host, resolve);
    });
    const { address, port } = this.server.address();
    this.log.info('listening', { address, port });
    return port;
  }

  /** Ready turns to no, then nothing new is accepted, then what is in flight ends. */
  async stop() {
    const { graceMs, deadlineMs } = this.config.shutdown;
    this.draining = true;
    this.log.info('draining', { websockets: this.rooms.clients.size });
    const forced = setTimeout(() => {
      this.log.error('requests still in flight at the deadline', { deadlineMs });
      this.server.closeAllConnections();
    }, deadlineMs);
    await new Promise((resolve) => {
      setTimeout(resolve, graceMs);
    });
    const closed = new Promise((resolve) => {
      this.server.close(resolve);
    });
    const idle = setInterval(() => this.server.closeIdleConnections(), 50);
    this.server.closeIdleConnections();
    await this.rooms.close(WEBSOCKET_CLOSE_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(forced);
    this.store.close();
    await this.database.close();
    this.log.info('stopped');
  }
}

module.exports = { App };
