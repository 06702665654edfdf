/** Keys of databases, for op-sqlite with SQLCipher: `"op-sqlite": { "sqlcipher": true }` in the app's `package.json`. */

import { isSQLCipher } from '@op-engineering/op-sqlite';
import type { Encryption, Sealed } from 'seedbed-client-core';
import { openBare } from './location.ts';
import type { OpenOptions } from './options.ts';

/** What the SDK opens the database with, once it has the app's key. */
export function keyed(database: OpenOptions, key: string): OpenOptions {
  return { ...database, sqliteOptions: { ...database.sqliteOptions, encryptionKey: key } };
}

/** How sealed files are opened. */
export function sealedBy(database: OpenOptions, { key, format = 'sqlcipher4' }: Encryption): Sealed {
  // Without ciphers it takes the key, and writes plain text.
  if (!isSQLCipher()) throw new Error('op-sqlite encrypts nothing: set "op-sqlite": { "sqlcipher": true } in package.json');
  if (format !== 'sqlcipher4') throw new Error(`op-sqlite opens no file that is encrypted with ${format}`);
  return {
    format,
    open: (path, raw) => openBare(path, keyed(database, `x'${raw}'`)),
    rekey: async (connection) => {
      await connection.query(`PRAGMA rekey = '${key.replaceAll("'", "''")}'`);
    }
  };
}
