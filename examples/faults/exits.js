'use strict';

process.stderr.write('fault: exits at once\n');
process.exit(1);
