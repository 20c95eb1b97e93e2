'use strict';

const { randomBytes } = require('node:crypto');
const Redis = require('ioredis');
const { Unavailable } = require('./database');

const COMMAND_TIMEOUT_MS = 2000;
const MAIL_STREAM = 'mail';
const MAIL_STREAM_LENGTH = 10000;
const MAIL_DONE = 'mail:processed';
const CHANNEL = 'rooms';
const BEAT_MS = 2000;
const SILENCE_MS = 7000;

/** A connection to one server or to a cluster; both retry for ever and never queue while away. */
function connect(settings, subscriber) {
  const retry = (attempt) => Math.min(attempt * 200, 2000);
  const common = { maxRetriesPerRequest: 1, connectTimeout: 2000, enableReadyCheck: true };
  // A subscriber remembers its channels while away; commands should rather fail at once.
  if (!subscriber) Object.assign(common, { commandTimeout: COMMAND_TIMEOUT_MS });
  if (settings.nodes) {
    return new Redis.Cluster(settings.nodes, {
      redisOptions: { ...common, password: settings.password },
      clusterRetryStrategy: retry,
      enableOfflineQueue: subscriber,
      slotsRefreshTimeout: 2000,
      slotsRefreshInterval: 10000,
    });
  }
  return new Redis(settings.url, { ...common, enableOfflineQueue: subscriber, retryStrategy: retry });
}

/** Sessions, messages between instances and the queue of mail, in Redis. */
class Store {
  constructor(config, log) {
    this.config = config;
    this.log = log;
    this.commands = null;
    this.subscriber = null;
    this.lastError = config.redis ? 'not connected yet' : 'neither REDIS_NODES nor REDIS_URL is set';
  }

  start(onMessage) {
    if (!this.config.redis) return;
    this.onMessage = onMessage;
    this.beatChannel = `beat:${this.config.instance}`;
    this.commands = this.open('commands', false);
    this.subscribe();
    this.timer = setInterval(() => this.beat(), BEAT_MS);
    this.timer.unref();
  }

  subscribe() {
    this.heardAt = 0;
    this.openedAt = Date.now();
    this.subscriber = this.open('subscriber', true);
    this.subscriber.on('message', (channel, text) => {
      this.heardAt = Date.now();
      if (channel === CHANNEL) this.onMessage(JSON.parse(text));
    });
    this.subscriber.subscribe(CHANNEL, this.beatChannel).then(
      () => {
        this.heardAt = Date.now();
      },
      (error) => this.log.warning('subscribe failed', { error: error.message }),
    );
  }

  /** A server that is cut off closes nothing: only hearing oneself tells that a subscription is alive. */
  beat() {
    if (Date.now() - Math.max(this.heardAt, this.openedAt) > SILENCE_MS) {
      this.log.warning('subscription silent, opening another');
      this.subscriber.disconnect();
      this.subscribe();
    }
    this.commands.publish(this.beatChannel, '').catch((error) => this.log.debug('no beat', { error: error.message }));
  }

  open(role, subscriber) {
    const connection = connect(this.config.redis, subscriber);
    let said = '';
    connection.on('error', (error) => {
      this.lastError = error.message;
      // The same failure comes back with every retry; it is news only once.
      if (said !== error.message) this.log.warning('redis not ready', { role, error: error.message });
      said = error.message;
    });
    connection.on('ready', () => {
      said = '';
      this.log.info('redis ready', { role });
    });
    return connection;
  }

  async call(run) {
    if (!this.commands) throw new Unavailable(`redis: ${this.lastError}`);
    try {
      return await run(this.commands);
    } catch (error) {
      throw new Unavailable(`redis: ${error.message}`);
    }
  }

  async createSession(data) {
    const id = randomBytes(24).toString('base64url');
    await this.call((redis) => redis.set(`session:${id}`, JSON.stringify(data), 'EX', this.config.sessionSeconds));
    return id;
  }

  async session(id) {
    if (!/^[A-Za-z0-9_-]{32}$/.test(id || '')) return null;
    const text = await this.call((redis) => redis.get(`session:${id}`));
    return text ? JSON.parse(text) : null;
  }

  async publish(message) {
    await this.call((redis) => redis.publish(CHANNEL, JSON.stringify(message)));
  }

  async queueMail(noteId) {
    await this.call((redis) => redis.xadd(MAIL_STREAM, 'MAXLEN', '~', MAIL_STREAM_LENGTH, '*', 'note', noteId));
  }

  async mail() {
    const [queued, processed] = await Promise.all([
      this.call((redis) => redis.xlen(MAIL_STREAM)),
      this.call((redis) => redis.get(MAIL_DONE)),
    ]);
    return { queued, processed: Number(processed || 0) };
  }

  async health() {
    try {
      // A key, not PING: a cluster that has lost slots still answers PING.
      await this.call((redis) => redis.get('health'));
      return { ok: Date.now() - this.heardAt < SILENCE_MS, mode: this.config.redis.nodes ? 'cluster' : 'single' };
    } catch (error) {
      return { ok: false, error: error.message };
    }
  }

  close() {
    clearInterval(this.timer);
    for (const connection of [this.commands, this.subscriber]) if (connection) connection.disconnect();
    this.commands = null;
    this.lastError = 'closed';
  }
}

module.exports = { Store };
