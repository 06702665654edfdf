import 'dart:convert';

import 'package:uuid/uuid.dart';

import 'cancellation.dart';
import 'platform/exchange.dart';
import 'reason.dart';
import 'source.dart';

/// Of this package: a test compares it with `pubspec.yaml`.
const version = '0.1.0';

/// Sends an anonymous line about a first launch, if the app wants it. Rule 13 of CONTRACT.md. It never fails: a report is worth nothing
/// to the app.
Future<void> report(SnapshotSource source, LaunchOutcome outcome) async {
  if (!source.report || outcome.result == LaunchResult.kept) return;
  try {
    final url = Uri.parse(source.url.substring(0, source.url.lastIndexOf('/') + 1)).resolve('reports');
    final headers = {'authorization': 'Bearer ${await source.getToken()}', 'content-type': 'application/json'};
    final exchange = await Exchange.send(
      url.replace(queryParameters: {'store_id': source.storeId}),
      headers,
      const Duration(seconds: 5),
      Cancellation(),
      body: _content(outcome),
    );
    exchange.end();
  } catch (_) {
    // Offline, or a server without reports.
  }
}

String _content(LaunchOutcome outcome) => jsonEncode({
      'v': 1,
      // Random (version 4), by which the server knows a report that comes twice.
      'launch': const Uuid().v4(),
      'outcome': outcome.reason == Reason.cancelled ? 'cancelled' : outcome.result.name,
      'form': outcome.form?.name,
      'encoding': outcome.encoding?.name,
      'reason': outcome.reason?.code,
      'bytes': outcome.bytes,
      'resumes': outcome.resumes,
      'seconds': {for (final MapEntry(:key, :value) in outcome.seconds.entries) key.name: value},
      'platform': 'flutter',
      'package': version,
      'core': outcome.core,
    });
