/**
 * Puts stand-ins below the real JavaScript of `@powersync/react-native`: only what is native on a phone is not there, SQLite
 * apart, which is Node's with the same core extension.
 */

import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const STAND_INS = {
  'react-native': './native.js',
  '@op-engineering/op-sqlite': './op-sqlite.js',
  'expo-file-system': './expo-file-system.js',
  'expo/fetch': './expo-fetch.js'
};

registerHooks({
  resolve(specifier, context, next) {
    const standIn = STAND_INS[specifier];
    if (standIn) return { url: new URL(standIn, import.meta.url).href, shortCircuit: true };
    // Metro finds files without their extension, Node does not.
    if (specifier.startsWith('.') && context.parentURL?.includes('/@powersync/react-native/')) {
      const file = new URL(`${specifier}.js`, context.parentURL);
      if (existsSync(fileURLToPath(file))) return { url: file.href, shortCircuit: true };
    }
    return next(specifier, context);
  }
});
