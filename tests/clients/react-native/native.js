/** `react-native`: an Android phone. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { phone } from './phone.js';

export const Platform = { OS: 'android', constants: { reactNativeVersion: { major: 0, minor: 85, patch: 0 } }, Version: 36 };

export const NativeModules = {
  /** As `PowerSyncOpSqlitePackage.kt` of @powersync/react-native 2.1.0. */
  NativePowerSyncHelper: {
    resolveDefaultDatabaseLocation: (name) => (existsSync(join(phone.files, name)) ? phone.files : null)
  }
};
