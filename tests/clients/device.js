/** A device with the app on it: a folder, and the driver of a package as its process. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { STORE, driver, service, setUp } from './service.js';
import { orders, products } from './schema.js';

/** Processes without an open database: starting one takes longer than most launches. */
const idle = [];

after(async () => {
  for (const app of idle) await app.kill();
});

/** A device that is removed at the end of the test; in `parent`, if it is to be on a disk of its own. */
export async function device(t, parent = tmpdir()) {
  const directory = await mkdtemp(join(parent, 'seedbed-device-'));
  const apps = [];
  t.after(async () => {
    for (const app of apps) await app.giveBack();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    directory,
    file: join(directory, 'app.db'),
    /** Starts the app, which does nothing yet. */
    async app() {
      const app = idle.pop() ?? (await App.start());
      app.use(directory);
      apps.push(app);
      return app;
    },
    /** What there is but for the database itself and SQLite's files of it. */
    async leftovers() {
      const files = async () => (await apps.at(-1).tell('files')).files.filter((name) => !name.startsWith('.'));
      if (apps.at(-1)?.about.files) return (await files()).filter((name) => !/^app\.db(-journal|-wal|-wa0|-wa1)?$/.test(name)).sort();
      return (await readdir(directory)).filter((name) => !/^(app\.db(-wal|-shm)?|files)$/.test(name)).sort();
    }
  };
}

/** A process of the app. */
class App {
  static async start() {
    const app = new App();
    app.about = await app.tell('hello');
    return app;
  }

  constructor() {
    this.waiting = new Map();
    this.next = 1;
    this.use(undefined);
    const [program, ...parameters] = driver;
    this.child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.exited = once(this.child, 'exit');
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', (line) => this.hear(JSON.parse(line)));
    this.exited.then(() => {
      for (const { reject } of this.waiting.values()) reject(new Error('the app has ended'));
    });
  }

  /** Becomes the app of a device. */
  use(directory) {
    this.directory = directory;
    this.progress = [];
    this.watching = new Set();
    this.isOpen = false;
  }

  hear(line) {
    if (line.progress) {
      this.progress.push(line.progress);
      for (const watch of this.watching) watch(line.progress);
      return;
    }
    this.waiting.get(line.id)?.resolve(line);
    this.waiting.delete(line.id);
  }

  /** The answer to a command, whatever it is. */
  ask(what, more = {}) {
    const id = this.next++;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.child.stdin.write(`${JSON.stringify({ id, do: what, ...more })}\n`);
    return answer;
  }

  /** The answer to a command that must succeed. */
  async tell(what, more) {
    const answer = await this.ask(what, more);
    assert.ok(answer.ok, `${what}: ${answer.code} ${answer.message}`);
    return answer;
  }

  /** Launches: the outcome, or an answer with the `code` of the error. */
  async open(source) {
    const answer = await this.tryToOpen(source);
    assert.ok(answer.ok, `open: ${answer.code} ${answer.message}`);
    return answer.outcome;
  }

  async tryToOpen({ url, ...source }) {
    const token = await service.token(STORE);
    this.isOpen = undefined;
    const answer = await this.ask('open', {
      directory: this.directory,
      url,
      storeId: STORE,
      token,
      progress: true,
      silenceLimit: 2000,
      form: 'file',
      ...source
    });
    this.isOpen = answer.ok;
    return answer;
  }

  /** Settles when the launch has come as far as `when` says. */
  until(when) {
    return new Promise((resolve) => {
      const watch = (progress) => {
        if (!when(progress)) return;
        this.watching.delete(watch);
        resolve();
      };
      this.watching.add(watch);
      this.progress.some((progress) => (when(progress) ? (watch(progress), true) : false));
    });
  }

  /** Everything that the app sees, in a fixed order. */
  async rows() {
    const lines = [];
    for (const [table, columns] of Object.entries({ products, orders })) {
      const names = ['id', ...columns.map(([name]) => name)];
      const { rows } = await this.tell('query', { sql: `SELECT * FROM ${table}` });
      for (const row of rows) lines.push([table, ...names.map((name) => row[name])].join('|'));
    }
    return lines.sort();
  }

  /** Connects to the service, and syncs: the number of operations that were downloaded from it. */
  async sync(more = {}) {
    const before = await service.counters(STORE);
    await this.tell('connect', { endpoint: setUp.endpoint, token: await service.token(STORE), ...more });
    return (await service.counters(STORE)).operations - before.operations;
  }

  /** Where the SDK was sent since it connected, and why. */
  async choices() {
    return (await this.tell('choices')).choices;
  }

  /** Waits until a query has a row. */
  async untilRow(sql) {
    while ((await this.tell('query', { sql })).rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Waits until it was sent somewhere for the last of these reasons: all of them, in order. */
  async untilChoices(...expected) {
    for (;;) {
      const choices = await this.choices();
      if (choices.at(-1) === expected.at(-1) && choices.length >= expected.length) return assert.deepEqual(choices, expected);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends the process at once, as the system does with an app. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
    this.killed = true;
  }

  /** Ends the app in an orderly way. */
  async quit() {
    await this.tell('close');
    this.isOpen = false;
    // An SDK that still has a closed database open counts as an open connection.
    if (!this.about.holds) return;
    this.child.stdin.end();
    await this.exited;
    this.killed = true;
  }

  /** At the end of a test: the process may serve another one, unless it is in the middle of something. */
  async giveBack() {
    if (this.killed || idle.includes(this)) return;
    if (this.isOpen === undefined) return this.kill();
    // Ends with its device, whose files nobody needs any more.
    if (this.isOpen) await this.tell('close');
    idle.push(this);
  }
}
