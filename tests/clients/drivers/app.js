/** The drivers' side of the pipe: commands on standard input, answers on standard output, a line each. */

import { createInterface } from 'node:readline';
import { app } from './commands.js';

export { logger, schemaOf } from './commands.js';

export const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Answers commands until there are no more. */
export function answer(command) {
  // Not one after the other: `cancel` comes while `open` is at work.
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => say(await command(JSON.parse(line))));
  lines.on('close', () => process.exit());
}

/** An app in this process, as `app` has it. */
export function run(about, open, seededConnector) {
  answer(app(about, open, seededConnector, say));
}
