'use strict';

/**
 * Applies the migrations of one kind that the database does not have yet: `node migrate.js expand|contract|seed`.
 * Each file is one transaction with its record in `schema_migrations`; `migration_runs` has a row for each run.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Client } = require('pg');
const { load } = require('./src/config');
const { poolOptions } = require('./src/database');

const FOLDERS = { expand: 'migrations', contract: 'migrations/contract', seed: 'migrations/seed' };
// Any number will do, as long as all runs agree on it: one of them migrates at a time.
const MIGRATION_LOCK = 7305181;

const BOOKS = `
  CREATE TABLE IF NOT EXISTS schema_migrations (
    file text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE IF NOT EXISTS migration_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    release text NOT NULL,
    host text NOT NULL,
    applied text[] NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now()
  )`;

async function inTransaction(client, work) {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Returns whether the file was applied now; false when the database has it already. */
function apply(client, file) {
  return inTransaction(client, async () => {
    const { rowCount } = await client.query(
      'INSERT INTO schema_migrations (file) VALUES ($1) ON CONFLICT DO NOTHING',
      [file],
    );
    if (rowCount > 0) await client.query(fs.readFileSync(path.join(__dirname, file), 'utf8'));
    return rowCount > 0;
  });
}

async function main(kind) {
  const folder = FOLDERS[kind];
  if (!folder) throw new Error(`the kind of migration is one of ${Object.keys(FOLDERS).join(', ')}; got ${kind}`);
  const { databaseUrl, release } = load(process.env, __dirname);
  if (!databaseUrl) throw new Error('DATABASE_URL is not set');
  // PGOPTIONS, with its lock_timeout, is read by pg itself.
  const client = new Client({ ...poolOptions(databaseUrl, 1), application_name: `migrate ${kind}`, query_timeout: 0 });
  await client.connect();
  try {
    await inTransaction(client, () => client.query(BOOKS));
    const applied = [];
    const names = fs.readdirSync(path.join(__dirname, folder)).filter((name) => name.endsWith('.sql'));
    for (const file of names.sort().map((name) => `${folder}/${name}`)) {
      if (await apply(client, file).catch((error) => { throw new Error(`${file}: ${error.message}`); })) {
        applied.push(file);
        process.stdout.write(`applied ${file}\n`);
      }
    }
    await client.query('INSERT INTO migration_runs (kind, release, host, applied) VALUES ($1, $2, $3, $4)', [
      kind,
      release,
      os.hostname(),
      applied,
    ]);
    process.stdout.write(`${kind}: ${applied.length} of ${names.length} applied, the others were there\n`);
  } finally {
    await client.end();
  }
}

main(process.argv[2]).catch((error) => {
  process.stderr.write(`migrate: ${error.message}\n`);
  process.exit(1);
});
