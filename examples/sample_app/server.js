'use strict';

const { App } = require('./src/app');
const { ConfigError, load } = require('./src/config');
const { createLog } = require('./src/log');

async function main() {
  const config = load();
  const log = createLog(config.logLevel, { instance: config.instance, release: config.release });
  const app = new App(config, log);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      await app.stop();
      process.exit(0);
    });
  }
  await app.start();
}

main().catch((error) => {
  const message = error instanceof ConfigError ? error.message : error.stack;
  process.stderr.write(`${JSON.stringify({ level: 'error', message: 'cannot start', error: message })}\n`);
  process.exit(1);
});
