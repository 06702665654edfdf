/**
 * Puts stand-ins below the real JavaScript of `@powersync/capacitor`: Capacitor itself, and its plugin for SQLite, which is Node's
 * with the same core extension.
 */

import { registerHooks } from 'node:module';

const STAND_INS = { '@capacitor/core': './core.js', '@capacitor-community/sqlite': './sqlite.js' };

/**
 * The newest that `@powersync/capacitor` 0.8.2 fits: with 2.3, which its `package.json` allows as well, it uploads nothing
 * (`this.options.remote.get is not a function`).
 */
const INSTEAD = { '@powersync/web': 'powersync-web-2.2' };

// A web view has one, and the SDK looks for it.
globalThis.window = globalThis;

registerHooks({
  resolve(specifier, context, next) {
    const standIn = STAND_INS[specifier];
    return standIn ? { url: new URL(standIn, import.meta.url).href, shortCircuit: true } : next(INSTEAD[specifier] ?? specifier, context);
  }
});
