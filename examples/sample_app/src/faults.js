'use strict';

const CHUNK_BYTES = 16 * 1048576;

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
      const ms = Math.min(Number(query.get('ms')) || 1000, 60000);
      await new Promise((resolve) => {
        setTimeout(resolve, ms);
      });
      return { status: 200, json: { fault: 'slow', ms } };
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

module.exports = { faultRoutes };
