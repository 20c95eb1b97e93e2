'use strict';

const { WebSocketServer } = require('ws');

const CLOSE_GOING_AWAY = 1001;
const CLOSE_IDLE = 4408;
const MAX_BUFFERED_BYTES = 1048576;
const MAX_ROOMS_PER_CLIENT = 20;
const MINUTE_MS = 60000;
const NAME = /^[\w.-]{1,64}$/;

/** Whether a client may send one more message: a bucket that fills evenly over a minute. */
function takeToken(client, perMinute, now) {
  const filled = ((now - client.filledAt) * perMinute) / MINUTE_MS;
  client.tokens = Math.min(perMinute, client.tokens + filled);
  client.filledAt = now;
  if (client.tokens < 1) return false;
  client.tokens -= 1;
  return true;
}

/**
 * Chat rooms over websockets. A message goes to `publish`, and what comes back through `deliver`
 * (from this instance or another) goes to this instance's clients of the room.
 */
class Rooms {
  constructor({ config, log, metrics, publish, sessionOf }) {
    this.limits = config.websocket;
    this.identity = { instance: config.instance, release: config.release };
    this.log = log;
    this.publish = publish;
    this.sessionOf = sessionOf;
    this.clients = new Map();
    this.rooms = new Map();
    this.draining = false;
    this.received = metrics.counter('websocket_messages_received_total', 'Messages received from clients');
    this.sent = metrics.counter('websocket_messages_sent_total', 'Messages sent to clients');
    this.refused = metrics.counter('websocket_refused_total', 'Connections and messages refused, by reason');
    metrics.gauge('websocket_connections', 'Open websockets', () => this.clients.size);
    metrics.gauge('websocket_rooms', 'Rooms with at least one client', () => this.rooms.size);
    this.server = new WebSocketServer({ noServer: true, maxPayload: this.limits.maxMessageBytes });
    this.timer = setInterval(() => this.heartbeat(Date.now()), this.limits.pingIntervalMs);
    this.timer.unref();
  }

  stats() {
    let authenticated = 0;
    for (const client of this.clients.values()) if (client.user) authenticated += 1;
    return { connectedClients: this.clients.size, activeRooms: this.rooms.size, authenticatedClients: authenticated };
  }

  /** Answers an upgrade request: 101, or the status that says why not. */
  upgrade(request, socket, head, sessionId) {
    socket.on('error', () => socket.destroy());
    const reason = this.refusal(request);
    if (reason) {
      this.refused.inc({ reason: reason.label });
      socket.end(
        `HTTP/1.1 ${reason.status}\r\nConnection: close\r\nContent-Length: 0\r\n` +
          `X-Instance: ${this.identity.instance}\r\nX-Release: ${this.identity.release}\r\n\r\n`,
      );
      return;
    }
    this.server.handleUpgrade(request, socket, head, (websocket) => this.accept(websocket, sessionId));
  }

  refusal(request) {
    if (this.draining) return { label: 'draining', status: '503 Service Unavailable' };
    if (this.clients.size >= this.limits.maxConnections) return { label: 'full', status: '503 Service Unavailable' };
    const { origin, host } = request.headers;
    if (origin) {
      // Cookies travel with a websocket from any page, so only pages of this host may open one.
      const own = URL.canParse ? URL.canParse(origin) : /^https?:\/\//.test(origin);
      if (!own || new URL(origin).hostname !== new URL(`http://${host}`).hostname) {
        return { label: 'origin', status: '403 Forbidden' };
      }
    }
    return null;
  }

  accept(websocket, sessionId) {
    const now = Date.now();
    const client = {
      rooms: new Set(),
      user: null,
      alive: true,
      activeAt: now,
      tokens: this.limits.messagesPerMinute,
      filledAt: now,
    };
    this.clients.set(websocket, client);
    websocket.on('pong', () => {
      client.alive = true;
    });
    websocket.on('close', () => this.forget(websocket, client));
    websocket.on('error', (error) => this.log.debug('websocket error', { error: error.message }));
    websocket.on('message', (data, isBinary) => this.receive(websocket, client, data, isBinary));
    this.send(websocket, { type: 'welcome', ...this.identity });
    if (sessionId) {
      this.sessionOf(sessionId).then(
        (session) => {
          if (session) client.user = session.user;
        },
        (error) => this.log.warning('session of a websocket unknown', { error: error.message }),
      );
    }
  }

  receive(websocket, client, data, isBinary) {
    const now = Date.now();
    client.activeAt = now;
    this.received.inc();
    if (!takeToken(client, this.limits.messagesPerMinute, now)) {
      this.refused.inc({ reason: 'rate' });
      this.send(websocket, { type: 'error', reason: `more than ${this.limits.messagesPerMinute} messages a minute` });
      return;
    }
    let message = null;
    try {
      message = isBinary ? null : JSON.parse(data.toString());
    } catch {
      // Answered below, like any other message that makes no sense.
    }
    const handler = message && Object.hasOwn(this.handlers, message.type) && this.handlers[message.type];
    if (!handler) {
      this.send(websocket, { type: 'error', reason: `expected JSON with a type of ${Object.keys(this.handlers)}` });
      return;
    }
    handler.call(this, websocket, client, message);
  }

  get handlers() {
    return Rooms.HANDLERS;
  }

  deliver(message) {
    const text = JSON.stringify({ type: 'message', ...message });
    for (const websocket of this.rooms.get(message.room) || []) {
      if (websocket.bufferedAmount > MAX_BUFFERED_BYTES) {
        this.refused.inc({ reason: 'slow' });
        websocket.terminate();
      } else {
        this.sent.inc();
        websocket.send(text);
      }
    }
  }

  send(websocket, message) {
    if (websocket.readyState !== websocket.OPEN) return;
    this.sent.inc();
    websocket.send(JSON.stringify(message));
  }

  leave(websocket, client, room) {
    const members = this.rooms.get(room);
    if (members) {
      members.delete(websocket);
      if (members.size === 0) this.rooms.delete(room);
    }
    client.rooms.delete(room);
  }

  forget(websocket, client) {
    for (const room of client.rooms) this.leave(websocket, client, room);
    this.clients.delete(websocket);
  }

  heartbeat(now) {
    for (const [websocket, client] of this.clients) {
      if (!client.alive) websocket.terminate();
      else if (now - client.activeAt > this.limits.idleTimeoutMs) websocket.close(CLOSE_IDLE, 'idle');
      else {
        client.alive = false;
        websocket.ping();
      }
    }
  }

  /** Tells every client to go elsewhere; those that do not answer within the time are cut off. */
  async close(timeoutMs) {
    this.draining = true;
    clearInterval(this.timer);
    for (const websocket of this.clients.keys()) websocket.close(CLOSE_GOING_AWAY, 'going away');
    const until = Date.now() + timeoutMs;
    while (this.clients.size > 0 && Date.now() < until) {
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    for (const websocket of this.clients.keys()) websocket.terminate();
  }
}

Rooms.HANDLERS = {
  join(websocket, client, { room }) {
    if (!NAME.test(room || '') || client.rooms.size >= MAX_ROOMS_PER_CLIENT) {
      this.send(websocket, { type: 'error', reason: 'a room is 1 to 64 letters, digits, _, . or -, at most 20 of them' });
      return;
    }
    if (!this.rooms.has(room)) this.rooms.set(room, new Set());
    this.rooms.get(room).add(websocket);
    client.rooms.add(room);
    this.send(websocket, { type: 'joined', room, ...this.identity });
  },

  leave(websocket, client, { room }) {
    this.leave(websocket, client, room);
    this.send(websocket, { type: 'left', room });
  },

  message(websocket, client, { room, text }) {
    if (!client.rooms.has(room) || typeof text !== 'string' || text === '') {
      this.send(websocket, { type: 'error', reason: 'a message needs a text, and a room that you joined' });
      return;
    }
    const message = { room, text, from: client.user || 'guest', at: new Date().toISOString(), ...this.identity };
    this.publish(message).catch((error) => {
      this.log.warning('message not published', { error: error.message });
      this.send(websocket, { type: 'error', reason: 'other instances are out of reach; try again' });
    });
  },

  echo(websocket, client, { text }) {
    this.send(websocket, { type: 'echo', text, ...this.identity });
  },
};

module.exports = { Rooms, takeToken };
