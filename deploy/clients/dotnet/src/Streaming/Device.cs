using System;
using System.Linq;
using System.Threading.Tasks;
using PowerSync.Common.Client;

namespace Seedbed.Client.Streaming
{
    /// <summary>What a device has of a store, as its database says it: what decides where its next connection goes.</summary>
    internal sealed class Device
    {
        /// <summary>PowerSync's own tables and keys, up to core extension 0.5.</summary>
        private const string State =
            "SELECT EXISTS (SELECT 1 FROM ps_sync_state) AS synced, EXISTS (SELECT 1 FROM ps_crud) AS crud, coalesce(("
            + "SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id') > coalesce(("
            + "SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1), 0) AS uploaded";

        /// <summary>In core extension 0.4 an open write checkpoint is a bucket of its own (<c>can_update_local</c> of its <c>sync_local.rs</c>).</summary>
        private const string OpenBefore = "SELECT 1 AS it FROM ps_buckets WHERE name = '$local' AND target_op > last_op";
        private const string HasTargets = "SELECT 1 AS it FROM pragma_table_info('ps_buckets') WHERE name = 'target_op'";

        private const string Generations =
            "SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) AS generation FROM ps_buckets WHERE last_op > 0 AND name <> '$local'";

        private sealed class StateRow
        {
            public long synced = 0;
            public long crud = 0;
            public long uploaded = 0;
        }

        private sealed class ItRow
        {
            public long it = 0;
        }

        private sealed class GenerationRow
        {
            public string generation = "";
        }

        /// <summary>Whether a sync has completed.</summary>
        public bool Synced { get; private set; }

        /// <summary>Whether there is a local write that the service has not confirmed: then no checkpoint is applied.</summary>
        public bool Writes { get; private set; }

        /// <summary>Whether it has a position in any bucket.</summary>
        public bool Begun { get; private set; }

        /// <summary>The newest of them: the number before the <c>#</c> of their names. Null if one has none.</summary>
        public string Generation { get; private set; }

        public static async Task<Device> Read(PowerSyncDatabase db)
        {
            var state = await db.Get<StateRow>(State).ConfigureAwait(false);
            var older = (await db.GetAll<ItRow>(HasTargets).ConfigureAwait(false)).Length > 0
                && (await db.GetAll<ItRow>(OpenBefore).ConfigureAwait(false)).Length > 0;
            var generations = await db.GetAll<GenerationRow>(Generations).ConfigureAwait(false);
            var numbers = generations.Select(it => long.TryParse(it.generation, out var number) ? number : -1).ToList();
            return new Device
            {
                Synced = state.synced != 0,
                Writes = state.crud != 0 || state.uploaded != 0 || older,
                Begun = numbers.Count > 0,
                Generation = numbers.Count > 0 && numbers.All(it => it >= 0) ? numbers.Max().ToString() : null
            };
        }
    }
}
