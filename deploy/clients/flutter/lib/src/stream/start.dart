import 'dart:async';
import 'dart:convert';

import 'package:http/http.dart' as http;

import '../reason.dart';

/// Whether a store's stream can be had from Seedbed now: `endpoint` is for the SDK's credentials; without it, `reason` says why.
typedef Start = ({Uri? endpoint, String why, Reason reason});

/// `GET /start`. Rule 14 of CONTRACT.md. Asks once, and answers whatever happens: without an answer, PowerSync is the place to go.
Future<Start> askStart(String url, {required String storeId, required String token, String? generation, required Duration limit}) async {
  final endpoint = url.replaceFirst(RegExp(r'/+(database/*)?$'), '').replaceFirst(RegExp(r'/database$'), '');
  final asked = Uri.parse('$endpoint/start').replace(queryParameters: {
    'store_id': storeId,
    if (generation != null) 'generation': generation,
  });
  try {
    final answer = await http.get(asked, headers: {'authorization': 'Bearer $token'}).timeout(limit);
    return _of(answer.statusCode, answer.body, endpoint);
  } on TimeoutException {
    return (endpoint: null, why: 'no answer in time', reason: Reason.stalled);
  } catch (error) {
    return (endpoint: null, why: SeedbedException.of(error, Reason.offline, 'no answer').message, reason: Reason.offline);
  }
}

Start _of(int status, String text, String endpoint) {
  Object? body;
  try {
    body = jsonDecode(text);
  } on FormatException {
    body = null;
  }
  final fields = body is Map<String, dynamic> ? body : const <String, dynamic>{};
  if (status != 200) {
    final error = '${fields['error'] ?? ''}';
    return (endpoint: null, why: '$status $error'.trimRight(), reason: _reasonOf(status, error));
  }
  final why = '${fields['why'] ?? 'bad_answer'}';
  if (fields['from'] != 'seedbed') {
    return (endpoint: null, why: why, reason: why == 'snapshot_too_old' ? Reason.tooOld : Reason.noSnapshot);
  }
  final its = '${fields['endpoint'] ?? endpoint}'.replaceFirst(RegExp(r'/+$'), '');
  return (endpoint: Uri.parse(its), why: why, reason: Reason.noSnapshot);
}

Reason _reasonOf(int status, String error) => switch (status) {
      429 || 503 => Reason.busy,
      401 => Reason.unauthorized,
      403 => error == 'downloads_disabled' ? Reason.downloadsDisabled : Reason.wrongStore,
      404 => Reason.noSnapshot,
      _ => Reason.serverError,
    };
