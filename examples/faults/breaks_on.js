'use strict';

const os = require('node:os');

if (os.hostname() === '@HOST@') {
  process.stderr.write('fault: exits at once on this host\n');
  process.exit(1);
}

require('./program');
