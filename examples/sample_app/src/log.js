'use strict';

const LEVELS = { debug: 10, info: 20, warning: 30, error: 40 };

/** One JSON object per line on standard output, which the journal keeps. */
function createLog(level, base = {}, write = (line) => process.stdout.write(line)) {
  const threshold = LEVELS[level] || LEVELS.info;
  const at = (name) => (message, fields = {}) => {
    if (LEVELS[name] < threshold) return;
    write(`${JSON.stringify({ time: new Date().toISOString(), level: name, message, ...base, ...fields })}\n`);
  };
  return { debug: at('debug'), info: at('info'), warning: at('warning'), error: at('error') };
}

module.exports = { createLog };
