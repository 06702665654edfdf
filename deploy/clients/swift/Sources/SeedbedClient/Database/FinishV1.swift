/// Version 1 of finishing: a copy of Seedbed's `protocol/finish/v1.json`, with which a test compares it. No statement that comes over the
/// network is run.
let finishV1 = #"""
{
  "version": 1,
  "form": "compact",
  "core_versions": ["0.4.11", "0.4.12", "0.4.14", "0.5.1", "0.5.2", "0.5.3", "0.5.4"],
  "steps": [
    {
      "name": "recognise",
      "sql": "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'seedbed_oplog'",
      "returns": 1
    },
    {
      "name": "rename",
      "sql": "ALTER TABLE seedbed_oplog RENAME TO ps_oplog"
    },
    {
      "name": "indexes",
      "of_core": "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'ps_oplog' AND sql IS NOT NULL ORDER BY name",
      "otherwise": [
        "CREATE INDEX ps_oplog_key ON ps_oplog (bucket, key)",
        "CREATE INDEX ps_oplog_opid ON ps_oplog (bucket, op_id)",
        "CREATE INDEX ps_oplog_row ON ps_oplog (row_type, row_id)"
      ]
    },
    {
      "name": "client",
      "sql": "INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())"
    },
    {
      "name": "unapply",
      "sql": "UPDATE ps_buckets SET last_applied_op = 0 WHERE name <> '$local'"
    },
    {
      "name": "start",
      "sql": "SELECT powersync_control('start', json_object('parameters', json('{}'), 'schema', json(?1), 'include_defaults', json('true'), 'active_streams', json('[]')))",
      "parameters": ["schema"]
    },
    {
      "name": "checkpoint",
      "sql": "SELECT powersync_control('line_text', json_object('checkpoint', json_object('last_op_id', CAST((SELECT coalesce(max(last_op), 0) FROM ps_buckets WHERE name <> '$local') AS TEXT), 'buckets', json((SELECT json_group_array(json_object('bucket', name, 'checksum', ((add_checksum + op_checksum) & 4294967295) - iif((add_checksum + op_checksum) & 2147483648, 4294967296, 0), 'count', count_at_last, 'priority', 3)) FROM ps_buckets WHERE name <> '$local')), 'streams', json((SELECT json_group_array(json_object('name', stream_name, 'is_default', json(iif(is_default, 'true', 'false')), 'errors', json('[]'))) FROM (SELECT stream_name, max(is_default) AS is_default FROM ps_stream_subscriptions WHERE active GROUP BY stream_name ORDER BY min(id)))))))"
    },
    {
      "name": "apply",
      "sql": "SELECT powersync_control('line_text', json_object('checkpoint_complete', json_object('last_op_id', CAST((SELECT coalesce(max(last_op), 0) FROM ps_buckets WHERE name <> '$local') AS TEXT))))"
    },
    {
      "name": "stop",
      "sql": "SELECT powersync_control('stop', NULL)"
    },
    {
      "name": "applied",
      "sql": "SELECT (SELECT count(*) FROM ps_sync_state WHERE priority = 2147483647) = 1 AND NOT EXISTS (SELECT 1 FROM ps_buckets WHERE name <> '$local' AND last_applied_op <> last_op)",
      "returns": 1
    },
    {
      "name": "nothing_to_upload",
      "sql": "SELECT count(*) FROM ps_crud",
      "returns": 0
    }
  ]
}
"""#
