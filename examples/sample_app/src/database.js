'use strict';

const fs = require('node:fs');
const tls = require('node:tls');
const { Pool } = require('pg');

// Any number will do, as long as all instances agree on it: one of them creates the table at a time.
const SCHEMA_LOCK = 7305180;
const RETRY_MS = [500, 1000, 2000, 5000];

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
    instance text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  )`;

/**
 * Options of pg from a URL. pg itself checks the name in a certificate only where the host is a name;
 * here it is checked for addresses too.
 */
function poolOptions(databaseUrl, max) {
  const url = new URL(databaseUrl);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const mode = url.searchParams.get('sslmode') || 'prefer';
  const rootFile = url.searchParams.get('sslrootcert');
  let ssl = false;
  if (['require', 'verify-ca', 'verify-full'].includes(mode)) {
    const verify = mode !== 'require';
    ssl = { rejectUnauthorized: verify, ca: verify && rootFile ? fs.readFileSync(rootFile) : undefined };
    ssl.checkServerIdentity = (_, certificate) =>
      mode === 'verify-full' ? tls.checkServerIdentity(host, certificate) : undefined;
  }
  return {
    host,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ssl,
    max,
    application_name: 'sample_app',
    connectionTimeoutMillis: 2000,
    query_timeout: 5000,
    idleTimeoutMillis: 30000,
  };
}

class Unavailable extends Error {}

/** The notes, in PostgreSQL. Keeps trying when the server is away; meanwhile every call says Unavailable. */
class Database {
  constructor(config, log) {
    this.config = config;
    this.log = log;
    this.pool = null;
    this.closed = false;
    this.lastError = config.databaseUrl ? 'not connected yet' : 'DATABASE_URL is not set';
    this.checking = null;
  }

  async start() {
    if (!this.config.databaseUrl) return;
    for (let attempt = 0; !this.closed; attempt += 1) {
      try {
        await this.connect();
        this.log.info('database ready');
        return;
      } catch (error) {
        this.lastError = error.message;
        this.log.warning('database not ready', { error: error.message, attempt });
        const wait = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
        await new Promise((resolve) => {
          this.retry = setTimeout(resolve, wait);
          this.retry.unref();
        });
      }
    }
  }

  async connect() {
    const pool = new Pool(poolOptions(this.config.databaseUrl, this.config.databasePoolMax));
    pool.on('error', (error) => this.log.warning('database connection lost', { error: error.message }));
    try {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
        await client.query(SCHEMA);
        await client.query('COMMIT');
      } finally {
        client.release(true);
      }
    } catch (error) {
      await pool.end();
      throw error;
    }
    this.pool = pool;
    if (this.closed) await this.close();
  }

  async query(text, values) {
    if (!this.pool) throw new Unavailable(`database: ${this.lastError}`);
    try {
      return await this.pool.query(text, values);
    } catch (error) {
      // Class 22 and 23 are the caller's data; everything else is the server or the way to it.
      if (/^2[23]/.test(error.code || '')) throw error;
      throw new Unavailable(`database: ${error.message}`);
    }
  }

  async addNote(body, instance) {
    const { rows } = await this.query(
      'INSERT INTO notes (body, instance) VALUES ($1, $2) RETURNING id, body, instance, created_at',
      [body, instance],
    );
    return rows[0];
  }

  async notes(limit) {
    const { rows } = await this.query(
      'SELECT id, body, instance, created_at FROM notes ORDER BY id DESC LIMIT $1',
      [limit],
    );
    return rows;
  }

  /** One question at a time, however many ask: a probe must not become a load. */
  health() {
    if (!this.checking) {
      this.checking = this.ask().finally(() => {
        this.checking = null;
      });
    }
    return this.checking;
  }

  async ask() {
    const began = process.hrtime.bigint();
    try {
      await this.query('SELECT 1');
      const latencyMs = Math.round(Number(process.hrtime.bigint() - began) / 1e4) / 100;
      return { ok: true, latencyMs };
    } catch (error) {
      return { ok: false, latencyMs: null, error: error.message };
    }
  }

  async close() {
    this.closed = true;
    const { pool } = this;
    this.pool = null;
    this.lastError = 'closed';
    if (pool) await pool.end();
  }
}

module.exports = { Database, Unavailable, poolOptions };
