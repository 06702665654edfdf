import 'package:powersync/powersync.dart';

/// What a device has of a store, as its database says it: what decides where its next connection goes. `writes`: there is a local write
/// that the service has not confirmed, so that no checkpoint is applied. `begun`: it has a position in a bucket. `generation`: the
/// newest of them, the number before the `#` of their names; null if one has none.
typedef Device = ({bool synced, bool writes, bool begun, String? generation});

/// PowerSync's own tables and keys, up to core extension 0.5.
const _state = '''
SELECT EXISTS (SELECT 1 FROM ps_sync_state) AS synced,
       EXISTS (SELECT 1 FROM ps_crud) AS crud,
       (SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id')
         > coalesce((SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1) AS uploaded''';

/// In core extension 0.4 an open write checkpoint is a bucket of its own (`can_update_local` of its `sync_local.rs`).
const _openBefore = r"SELECT 1 FROM ps_buckets WHERE name = '$local' AND target_op > last_op";
const _hasTargets = "SELECT 1 FROM pragma_table_info('ps_buckets') WHERE name = 'target_op'";

const _generations =
    r"SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) AS generation FROM ps_buckets WHERE last_op > 0 AND name <> '$local'";

Future<Device> readDevice(PowerSyncDatabase db) async {
  final state = await db.get(_state);
  final older = (await db.getAll(_hasTargets)).isNotEmpty && (await db.getAll(_openBefore)).isNotEmpty;
  final numbers = [for (final row in await db.getAll(_generations)) int.tryParse(row['generation'] as String? ?? '') ?? -1]..sort();
  return (
    synced: state['synced'] == 1,
    writes: state['crud'] == 1 || state['uploaded'] == 1 || older,
    begun: numbers.isNotEmpty,
    generation: numbers.isEmpty || numbers.first < 0 ? null : '${numbers.last}',
  );
}
