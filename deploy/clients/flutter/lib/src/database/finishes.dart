import 'dart:convert';

import 'finish_v1.dart';

/// The newest version of finishing that this package has.
const newestFinish = 1;

/// A way to finish a compact file.
final class FinishVersion {
  /// Those of the core extension with which it was tested.
  final Set<String> coreVersions;

  /// In order, in one transaction.
  final List<FinishStep> steps;

  FinishVersion._(Map<String, dynamic> fields)
      : coreVersions = {...(fields['core_versions'] as List).cast<String>()},
        steps = [for (final step in fields['steps'] as List) FinishStep(step as Map<String, dynamic>)];

  static final Map<int, FinishVersion> all = {1: FinishVersion._(jsonDecode(finishV1) as Map<String, dynamic>)};
}

final class FinishStep {
  final String name;
  final String? sql;

  /// Whether the app's schema is its parameter, as JSON.
  final bool takesSchema;

  /// What the statement has to return.
  final int? returns;

  /// In place of [sql]: asks a fresh database of the same core for the statements to run.
  final String? ofCore;

  FinishStep(Map<String, dynamic> fields)
      : name = fields['name'] as String,
        sql = fields['sql'] as String?,
        takesSchema = (fields['parameters'] as List?)?.contains('schema') ?? false,
        returns = fields['returns'] as int?,
        ofCore = fields['of_core'] as String?;
}
