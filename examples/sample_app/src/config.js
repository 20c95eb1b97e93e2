'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

class ConfigError extends Error {}

function integer(env, name, fallback, low, high = Number.MAX_SAFE_INTEGER) {
  const raw = env[name];
  if (raw === undefined || raw === '') return fallback;
  const value = Number(raw);
  if (!/^\d+$/.test(raw) || value < low || value > high) {
    throw new ConfigError(`${name} must be a whole number from ${low} to ${high}; got ${JSON.stringify(raw)}`);
  }
  return value;
}

/** The release is the name of the directory that the program was started in, whatever link led there. */
function releaseOf(env, directory) {
  return env.RELEASE || path.basename(fs.realpathSync(directory));
}

function redisFrom(env) {
  if (env.REDIS_NODES) {
    const nodes = env.REDIS_NODES.split(',').map((node) => {
      const [, host, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(node.trim()) || [];
      if (!host) throw new ConfigError(`REDIS_NODES must be host:port,host:port; got ${JSON.stringify(node)}`);
      return { host, port: Number(port) };
    });
    return { nodes, password: env.REDIS_PASSWORD };
  }
  return env.REDIS_URL ? { url: env.REDIS_URL } : null;
}

/** Everything the program is told by its environment. Durations are in milliseconds. */
function load(env = process.env, directory = process.cwd()) {
  const host = env.HOST || '127.0.0.1';
  const port = integer(env, 'PORT', 3000, 0, 65535);
  const name = ['0.0.0.0', '::'].includes(host) ? os.hostname() : host;
  return {
    host,
    port,
    release: releaseOf(env, directory),
    instance: env.INSTANCE || `${name}:${port}`,
    logLevel: env.LOG_LEVEL || 'info',
    databaseUrl: env.DATABASE_URL || null,
    databasePoolMax: integer(env, 'DATABASE_POOL_MAX', 10, 1, 1000),
    redis: redisFrom(env),
    sessionSeconds: integer(env, 'SESSION_SECONDS', 86400, 1),
    faults: env.SAMPLE_FAULTS === '1',
    shutdown: {
      // Time for the edge to see /readyz turn before connections are refused.
      graceMs: integer(env, 'SHUTDOWN_GRACE', 1000, 0),
      // Below the unit's stop timeout (30 s), so that it is the program that ends.
      deadlineMs: integer(env, 'SHUTDOWN_DEADLINE', 25000, 100),
    },
    // Above the time for which the edge keeps idle connections, or a request meets a closing one.
    keepAliveMs: integer(env, 'KEEP_ALIVE_TIMEOUT', 65000, 1),
    websocket: {
      maxConnections: integer(env, 'WS_MAX_CONNECTIONS', 1000, 1),
      pingIntervalMs: integer(env, 'WS_PING_INTERVAL', 30000, 50),
      idleTimeoutMs: integer(env, 'WS_IDLE_TIMEOUT', 86400000, 50),
      maxMessageBytes: integer(env, 'WS_MAX_MESSAGE_BYTES', 65536, 128),
      messagesPerMinute: integer(env, 'WS_MESSAGES_PER_MINUTE', 100, 1),
    },
  };
}

module.exports = { ConfigError, load };
