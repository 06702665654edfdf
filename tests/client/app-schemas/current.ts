/** A schema as apps write it today: names in constants, options, types, raw tables. */

import { Schema, Table, column } from '@powersync/common';

export const LISTS_TABLE = 'lists';
const shared = { created_at: column.text, owner_id: column.text } as const;

// It's a comment with a quote, and { a brace.
const todos = new Table(
  {
    ...shared,
    list_id: column.text,
    'completed_at': column.text,
    completed: column.integer,
    price: column.real
  },
  {
    indexes: { list: ['list_id'], newest: ['-created_at', 'completed'] },
    trackPrevious: { columns: ['completed'], onlyWhenChanged: true },
    trackMetadata: true,
    ignoreEmptyUpdates: true
  }
);

const lists = new Table({ ...shared, name: column.text }, { viewName: 'all_lists' });

const pattern: RegExp = /["']\{/;
export const matches = (text: string): boolean => pattern.test(text) || text === `${LISTS_TABLE}s`;

export const schema = new Schema({
  todos,
  [LISTS_TABLE]: lists,
  drafts: new Table({ text: column.text }, { localOnly: true }),
  drawings: Table.createLocalOnly({ points: column.text }),
  logs: new Table({ line: column.text }, { insertOnly: true, trackPrevious: true }),
  events: Table.createInsertOnly({ what: column.text })
});

schema.withRawTables({
  products: {
    put: { sql: 'INSERT OR REPLACE INTO products (id, name) VALUES (?, ?)', params: ['Id', { Column: 'name' }] },
    delete: { sql: "DELETE FROM products WHERE id = ?", params: ['Id'] },
    clear: 'DELETE FROM products'
  },
  stock: { schema: { tableName: 'local_stock', syncedColumns: ['amount'], trackMetadata: true } }
});

export type Database = (typeof schema)['types'];
export type TodoRecord = Database['todos'];
