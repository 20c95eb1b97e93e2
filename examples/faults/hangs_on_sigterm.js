'use strict';

const { App } = require('./src/app');

const forever = () => new Promise(() => {});

// It takes the question whether it is ready and never answers, and never ends when it is told to.
App.prototype.readiness = forever;
App.prototype.stop = forever;

require('./program');
