'use strict';

const { App } = require('./src/app');

// It serves as it should, but never ends when it is told to.
App.prototype.stop = () => new Promise(() => {});

require('./program');
