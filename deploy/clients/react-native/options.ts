/** What an app gives. */

import type { ReactNativeDatabaseOptions } from '@powersync/react-native';
import type { Gunzip } from './unpack.ts';

/** The SDK's options of a database: name, directory, key and extensions. */
export type OpenOptions = Extract<ReactNativeDatabaseOptions, { database: unknown }>['database'];

/** What `new PowerSyncDatabase(…)` takes, with the database as options. Each store and account needs a file of its own. */
export type DatabaseOptions = ReactNativeDatabaseOptions & { database: OpenOptions };

export interface Unpacking {
  /** `Gunzip` of fflate: with it, a fraction of the bytes is downloaded. React Native itself unpacks nothing. */
  gunzip?: Gunzip;
}
