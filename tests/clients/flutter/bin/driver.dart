/// The package for Flutter as the suite drives it, by Dart alone: commands on standard input, answers on standard output, a line each.
library;

import 'dart:convert';
import 'dart:io';

import 'package:powersync/powersync.dart';
import 'package:seedbed_client/seedbed_client.dart';

const _texts = ['store_id', 'name', 'description', 'price', 'created_at', 'image_url'];

final _schema = Schema([
  Table('products', [for (final name in _texts) Column.text(name), const Column.integer('quantity')]),
  const Table('orders', [Column.text('store_id'), Column.text('status'), Column.integer('total')]),
  const Table.localOnly('drafts', [Column.text('text')]),
]);

typedef _Fields = Map<String, dynamic>;

void main() {
  final app = _App();
  // Not one after the other: `cancel` comes while `open` is at work.
  stdin.transform(utf8.decoder).transform(const LineSplitter()).listen(
        (line) => app.answer(jsonDecode(line) as _Fields),
        onDone: () => exit(0),
      );
}

void _say(_Fields line) => stdout.writeln(jsonEncode(line));

/// The app, and what it does when it is told.
final class _App {
  late PowerSyncDatabase _db;
  Cancellation? _launch;
  LaunchOutcome? _outcome;
  SyncStreamSubscription? _subscription;
  var _choices = <String>[];

  Future<void> answer(_Fields fields) async {
    final command = fields['do'] as String;
    try {
      _say({'id': fields['id'], 'ok': true, ...await _run(command, fields)});
    } catch (error) {
      final code = error is SeedbedException ? error.reason.code : null;
      final outcome = command == 'open' ? {'outcome': _outcomeAsJson()} : const <String, dynamic>{};
      _say({'id': fields['id'], 'ok': false, 'code': code, 'message': '$error', ...outcome});
    }
  }

  Future<_Fields> _run(String command, _Fields fields) async {
    switch (command) {
      case 'hello':
        return {
          'platform': 'flutter',
          'forms': ['file', 'compact'],
          'encodings': ['gzip', 'identity'],
          // The SDK has none.
          'softClear': false,
        };
      case 'open':
        return _open(fields);
      case 'cancel':
        _launch?.cancel();
      case 'query':
        final rows = await _db.getAll(fields['sql'] as String, _parameters(fields));
        return {
          'rows': [for (final row in rows) {...row}],
        };
      case 'execute':
        await _db.execute(fields['sql'] as String, _parameters(fields));
      case 'status':
        return {'hasSynced': _db.currentStatus.hasSynced == true};
      case 'connect':
        await _connect(fields);
      case 'choices':
        return {'choices': _choices};
      case 'disconnect':
        await _db.disconnect();
      case 'clear':
        await _db.disconnectAndClear(clearLocal: true);
      case 'close':
        _subscription?.unsubscribe();
        _subscription = null;
        await _db.close();
      default:
        throw StateError('there is no command $command');
    }
    return {};
  }

  static List<Object?> _parameters(_Fields fields) => fields['parameters'] as List<Object?>? ?? const [];

  Future<_Fields> _open(_Fields fields) async {
    final cancel = _launch = Cancellation();
    _outcome = null;
    _db = await openSeeded(schema: _schema, path: '${fields['directory']}/app.db', source: _source(fields), cancel: cancel);
    return {'outcome': _outcomeAsJson()};
  }

  SnapshotSource _source(_Fields fields) {
    Duration? time(String name) => switch (fields[name]) { final num it => Duration(milliseconds: it.round()), _ => null };
    final maxAge = fields['maxAge'] as num?;
    return SnapshotSource(
      url: fields['url'] as String,
      storeId: fields['storeId'] as String,
      getToken: () async => fields['token'] as String,
      form: SnapshotForm.values.byName(fields['form'] as String? ?? 'file'),
      whenUnavailable: WhenUnavailable.values.byName(fields['whenUnavailable'] as String? ?? 'sync'),
      endpoint: fields['endpoint'] as String?,
      account: fields['account'] as String?,
      generation: fields['generation'] as String?,
      maxAge: maxAge == null ? null : Duration(seconds: maxAge.round()),
      silenceLimit: time('silenceLimit') ?? const Duration(seconds: 30),
      waitLimit: time('waitLimit') ?? const Duration(seconds: 120),
      timeLimit: time('timeLimit'),
      report: fields['report'] == true,
      onProgress: fields['progress'] == true
          ? (now) => _say({
                'progress': {'stage': now.stage.name, 'bytes': now.bytes, 'total': now.total},
              })
          : null,
      onOutcome: (outcome) => _outcome = outcome,
    );
  }

  _Fields? _outcomeAsJson() {
    final outcome = _outcome;
    if (outcome == null) return null;
    return {
      'outcome': outcome.reason == Reason.cancelled ? 'cancelled' : outcome.result.name,
      'reason': outcome.reason?.code,
      'form': outcome.form?.name,
      'encoding': outcome.encoding?.name,
      'bytes': outcome.bytes,
      'resumes': outcome.resumes,
    };
  }

  Future<void> _connect(_Fields fields) async {
    final before = _db.currentStatus.lastSyncedAt;
    _subscription = await _db.syncStream('orders_by_status', {'status': 'open'}).subscribe();
    _choices = [];
    PowerSyncBackendConnector connector = _Connector(fields);
    final options = SyncOptions(retryDelay: Duration(milliseconds: fields['retryDelayMs'] as int? ?? 100));
    if (fields['seeded'] case final _Fields seeded) connector = seededConnector(connector, _streamSource(seeded, options));
    await _db.connect(connector: connector, options: options);
    if (fields['wait'] == false) return;
    bool synced(SyncStatus status) => status.lastSyncedAt != null && status.lastSyncedAt != before;
    if (!synced(_db.currentStatus)) await _db.statusStream.firstWhere(synced);
  }

  StreamSource _streamSource(_Fields seeded, SyncOptions options) {
    Duration time(String name, int otherwise) => Duration(milliseconds: (seeded[name] as num? ?? otherwise).round());
    final token = seeded['token'] as String?;
    return StreamSource(
      database: _db,
      url: seeded['url'] as String,
      storeId: seeded['storeId'] as String,
      getToken: token == null ? null : () async => token,
      tries: seeded['tries'] as int? ?? 3,
      silenceLimit: time('silenceLimit', 30000),
      startLimit: time('startLimit', 5000),
      options: options,
      onChoice: (endpoint, reason) => _choices.add('$endpoint: $reason'),
    );
  }
}

/// The app's own. An upload takes what there is, if it is told to.
class _Connector extends PowerSyncBackendConnector {
  final _Fields _fields;

  _Connector(this._fields);

  @override
  Future<PowerSyncCredentials?> fetchCredentials() async =>
      PowerSyncCredentials(endpoint: _fields['endpoint'] as String, token: _fields['token'] as String);

  @override
  Future<void> uploadData(PowerSyncDatabase database) async {
    if (_fields['uploads'] != true) return;
    for (var it = await database.getNextCrudTransaction(); it != null; it = await database.getNextCrudTransaction()) {
      await it.complete();
    }
  }
}
