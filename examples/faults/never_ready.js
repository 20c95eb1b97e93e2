'use strict';

const { App } = require('./src/app');

App.prototype.readiness = async () => ({ status: 503, json: { ready: false, reason: 'fault: never ready' } });

require('./program');
