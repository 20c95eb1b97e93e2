'use strict';

const { App } = require('./src/app');

const routes = App.prototype.routes;
const SOUND = ['GET /livez', 'GET /readyz', 'GET /metrics'];

// It says that it is ready, and answers everything else with an error.
App.prototype.routes = function broken() {
  const fail = async () => ({ status: 500, json: { error: 'fault: answers 500' } });
  return Object.fromEntries(
    Object.entries(routes.call(this)).map(([path, route]) => [path, SOUND.includes(path) ? route : fail]),
  );
};

require('./program');
