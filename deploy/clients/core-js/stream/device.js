/** What a device has of a store, as its database says it: what decides where its next connection goes. */

/**
 * What is needed of the SDK's database object.
 *
 * @typedef {object} Reader
 * @property {(sql: string, parameters?: any[]) => Promise<any[]>} getAll Rows as objects.
 */

/**
 * @typedef {object} Device
 * @property {boolean} synced Whether a sync has completed.
 * @property {boolean} writes Whether there is a local write that the service has not confirmed: then no checkpoint is applied.
 * @property {boolean} begun Whether it has a position in any bucket.
 * @property {string | undefined} generation The newest of them: the number before the `#` of their names. Undefined if one has none.
 */

/** PowerSync's own tables and keys, up to core extension 0.5. */
const STATE = `SELECT EXISTS (SELECT 1 FROM ps_sync_state) AS synced,
         EXISTS (SELECT 1 FROM ps_crud) AS crud,
         (SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id')
           > coalesce((SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1) AS uploaded`;

/** In core extension 0.4 an open write checkpoint is a bucket of its own (`can_update_local` of its `sync_local.rs`). */
const OPEN_BEFORE = "SELECT 1 AS open FROM ps_buckets WHERE name = '$local' AND target_op > last_op";
const HAS_TARGETS = "SELECT 1 AS it FROM pragma_table_info('ps_buckets') WHERE name = 'target_op'";

const GENERATIONS = `SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) AS generation FROM ps_buckets WHERE last_op > 0 AND name <> '$local'`;

/**
 * @param {Reader} database
 * @returns {Promise<Device>}
 */
export async function read(database) {
  const [{ synced, crud, uploaded }] = await database.getAll(STATE);
  const older = (await database.getAll(HAS_TARGETS)).length > 0 && (await database.getAll(OPEN_BEFORE)).length > 0;
  const generations = (await database.getAll(GENERATIONS)).map(({ generation }) => generation);
  return {
    synced: Boolean(synced),
    writes: Boolean(crud) || Boolean(uploaded) || older,
    begun: generations.length > 0,
    generation: generations.every((it) => /^\d+$/.test(it)) ? generations.sort((a, b) => Number(b) - Number(a))[0] : undefined
  };
}
