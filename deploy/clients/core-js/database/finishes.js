/**
 * How to finish a compact file, by version: the statements of Seedbed's `protocol`, with which a test compares them. A
 * package runs no statement that comes over the network.
 *
 * `:schema` is the app's schema as JSON.
 *
 * @type {Record<number, string[]>}
 */
export const FINISHES = {
  1: [
    `ALTER TABLE ps_oplog_unfinished RENAME TO ps_oplog`,
    `CREATE INDEX ps_oplog_row ON ps_oplog (row_type, row_id)`,
    `CREATE INDEX ps_oplog_opid ON ps_oplog (bucket, op_id)`,
    `CREATE INDEX ps_oplog_key ON ps_oplog (bucket, key)`,
    `UPDATE ps_buckets SET last_applied_op = 0`,
    `SELECT powersync_control('start', json_object('parameters', json('{}'), 'schema', json(:schema), 'include_defaults', json('true'), 'active_streams', json('[]')))`,
    `SELECT powersync_control('line_text', (SELECT json_object('checkpoint', json_object('last_op_id', CAST(COALESCE(max(last_op), 0) AS TEXT), 'buckets', json_group_array(json_object('bucket', name, 'checksum', (add_checksum + op_checksum + 2147483648) % 4294967296 - 2147483648, 'count', (SELECT count(*) FROM ps_oplog WHERE bucket = ps_buckets.id), 'priority', 3)), 'streams', json('[]'))) FROM ps_buckets WHERE name <> '$local'))`,
    `SELECT powersync_control('line_text', (SELECT json_object('checkpoint_complete', json_object('last_op_id', CAST(COALESCE(max(last_op), 0) AS TEXT))) FROM ps_buckets WHERE name <> '$local'))`,
    `SELECT powersync_control('stop', NULL)`
  ]
};

/** The newest. */
export const FINISH = 1;
