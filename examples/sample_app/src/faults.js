'use strict';

const CHUNK_BYTES = 16 * 1048576;
const LONGEST_MS = 60000;
const HEALTH_PATHS = ['GET /readyz', 'GET /api/health', 'GET /api/health/websocket'];

const pause = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(Number(ms) || 0, LONGEST_MS));
  });

/** Ways to break one instance on purpose; routed only where SAMPLE_FAULTS=1. */
function faultRoutes(log) {
  const held = [];
  return {
    'POST /fault/hog': async () => {
      log.warning('fault: taking memory until killed');
      // Buffers live outside V8's heap, so it is the unit's memory limit that ends this.
      setInterval(() => held.push(Buffer.alloc(CHUNK_BYTES, 1)), 20);
      return { status: 202, json: { fault: 'hog' } };
    },
    'GET /fault/slow': async ({ query }) => {
      const ms = query.get('ms') || 1000;
      await pause(ms);
      return { status: 200, json: { fault: 'slow', ms: Number(ms) } };
    },
    'GET /fault/error': async () => {
      throw new Error('fault: an error on purpose');
    },
    'POST /fault/exit': async () => {
      log.warning('fault: exiting');
      setTimeout(() => process.exit(1), 50);
      return { status: 202, json: { fault: 'exit' } };
    },
  };
}

/** The program's routes, and with them a switch that makes its health paths slow, failing, or answer other values. */
function withFaults(routes, log) {
  let spoiled = {};
  const spoil = (route) => async (request) => {
    await pause(spoiled.delay_ms);
    const answer = await route(request);
    return { ...answer, status: spoiled.status || answer.status, json: { ...answer.json, ...spoiled.json } };
  };
  return {
    ...routes,
    ...Object.fromEntries(HEALTH_PATHS.map((path) => [path, spoil(routes[path])])),
    ...faultRoutes(log),
    'POST /fault/health': async ({ json }) => {
      log.warning('fault: health answers changed', { spoiled: json });
      spoiled = json;
      return { status: 200, json: { fault: 'health', ...json } };
    },
  };
}

module.exports = { withFaults };
