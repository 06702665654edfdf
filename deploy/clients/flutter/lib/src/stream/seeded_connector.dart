import 'dart:async';

import 'package:powersync/powersync.dart';

import 'device.dart';
import 'start.dart';
import 'watch.dart';

/// What a [SeededConnector] needs beside the app's own connector.
final class StreamSource {
  /// The SDK's, which is connected with the connector.
  final PowerSyncDatabase database;

  /// Where `seedbed serve` answers, as for the other forms.
  final String url;
  final String storeId;

  /// The user's token for Seedbed. The one for PowerSync by default.
  final Future<String> Function()? getToken;

  /// Connections to Seedbed that bring nothing, before it is PowerSync's turn.
  final int tries;

  /// In which Seedbed's stream brings nothing, after which it is PowerSync's turn.
  final Duration silenceLimit;

  /// For the question.
  final Duration startLimit;

  /// What the app connects with, for a connection that is made anew.
  final SyncOptions? options;

  /// Called whenever the SDK asks: `seedbed` or `powersync`, and why.
  final void Function(String endpoint, String reason)? onChoice;

  const StreamSource({
    required this.database,
    required this.url,
    required this.storeId,
    this.getToken,
    this.tries = 3,
    this.silenceLimit = const Duration(seconds: 30),
    this.startLimit = const Duration(seconds: 5),
    this.options,
    this.onChoice,
  });
}

/// The stream form: the app's connector with other credentials. They are Seedbed's while the database has never synced and has no local
/// write, and PowerSync's in every other case. Rule 14 of CONTRACT.md.
PowerSyncBackendConnector seededConnector(PowerSyncBackendConnector connector, StreamSource source) => SeededConnector(connector, source);

/// As [seededConnector] returns it.
class SeededConnector extends PowerSyncBackendConnector {
  final PowerSyncBackendConnector _connector;
  final StreamSource _source;

  /// Times that Seedbed was named since the last sync.
  var _tried = 0;
  Watch? _watch;
  DateTime? _quietUntil;

  SeededConnector(this._connector, this._source);

  /// For which a Seedbed that has nothing, or does not answer, is not asked by a device that has synced.
  static const _remembered = Duration(minutes: 1);

  @override
  Future<void> uploadData(PowerSyncDatabase database) => _connector.uploadData(database);

  /// Also after a 401, and at the end of Seedbed's stream: then there is no more for this device.
  @override
  void invalidateCredentials() {
    if (_watch != null) _refused();
    super.invalidateCredentials();
    _connector.invalidateCredentials();
  }

  @override
  Future<PowerSyncCredentials?> fetchCredentials() async {
    final own = await _connector.fetchCredentials();
    // Signed out.
    if (own == null) return null;
    ({String reason, PowerSyncCredentials? seedbeds}) choice;
    try {
      choice = await _choose(own);
    } catch (error) {
      choice = (reason: '$error', seedbeds: null);
    }
    _watch?.end();
    final seedbeds = choice.seedbeds;
    _watch = seedbeds == null ? null : Watch(_source.database, _source.silenceLimit, () => unawaited(_again()));
    _source.onChoice?.call(seedbeds == null ? 'powersync' : 'seedbed', choice.reason);
    return seedbeds ?? own;
  }

  void _refused() {
    _tried = _source.tries;
    _quietUntil = DateTime.now().add(_remembered);
  }

  /// Unless the app has disconnected. Positions stay: what has arrived is not downloaded again.
  Future<void> _again() async {
    _refused();
    final status = _source.database.currentStatus;
    if (!status.connected && !status.connecting && status.downloadError == null) return;
    super.invalidateCredentials();
    await _source.database.connect(connector: this, options: _source.options);
  }

  Future<({String reason, PowerSyncCredentials? seedbeds})> _choose(PowerSyncCredentials own) async {
    final device = await readDevice(_source.database);
    final quiet = _quietUntil;
    // What comes after a clear is another first sync.
    if (device.synced) _tried = 0;
    if (device.writes) return (reason: 'local_writes', seedbeds: null);
    if (device.synced && !device.begun) return (reason: 'synced', seedbeds: null);
    if (_tried >= _source.tries) return (reason: 'tried', seedbeds: null);
    if (device.synced && quiet != null && DateTime.now().isBefore(quiet)) return (reason: 'synced', seedbeds: null);
    // It goes on where it is, at the service: a stream of Seedbed's begins at the start.
    if (device.begun && device.generation == null) return (reason: 'own_positions', seedbeds: null);
    final token = await _source.getToken?.call() ?? own.token;
    final start = await askStart(
      _source.url,
      storeId: _source.storeId,
      token: token,
      generation: device.generation,
      limit: _source.startLimit,
    );
    final endpoint = start.endpoint;
    if (endpoint == null) {
      // A device that goes on at the service does not ask before each of its connections.
      _quietUntil = DateTime.now().add(_remembered);
      return (reason: start.why, seedbeds: null);
    }
    _tried++;
    return (reason: start.why, seedbeds: PowerSyncCredentials(endpoint: '$endpoint', token: token));
  }
}
