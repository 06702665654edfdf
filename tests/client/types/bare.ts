/** Checked, not run: what the package asks of a library for files is what the library has. */

import * as fs from '@dr.pogodin/react-native-fs';
import { Gunzip } from 'fflate';
import type { FileFunctions } from '../../../deploy/clients/react-native/bare.ts';
import type { Gunzip as Asked } from '../../../deploy/clients/react-native/unpack.ts';

export const files: FileFunctions = fs;
export const gunzip: Asked = Gunzip;
