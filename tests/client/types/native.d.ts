/**
 * What the package for React Native uses of modules that are too large to install for their types: a whole platform, and 345
 * MB of prebuilt libraries. As in @op-engineering/op-sqlite 17.2.0, react-native 0.85 and expo 58.
 */

declare module '@op-engineering/op-sqlite' {
  type Scalar = string | number | boolean | null | ArrayBuffer | ArrayBufferView;

  export type DB = {
    close: () => void;
    execute: (query: string, params?: Scalar[]) => Promise<{ rowsAffected: number; rows: Record<string, Scalar>[] }>;
    executeRaw: (
      query: string,
      params?: Scalar[]
    ) => Promise<{ rowsAffected: number; rawRows: Scalar[][]; columnNames: string[] }>;
    loadExtension: (path: string, entryPoint?: string) => void;
    getDbPath: (location?: string) => string;
  };

  export const open: (options: {
    name: string;
    location?: string;
    encryptionKey?: string;
    failOnCreate?: boolean;
    readOnly?: boolean;
  }) => DB;

  export const isSQLCipher: () => boolean;

  export const getDylibPath: (bundle: string, name: string) => string;
}

declare module 'react-native' {
  export const Platform: { OS: 'ios' | 'android' | 'macos' | 'windows' | 'web' };
  export const NativeModules: Record<string, any>;
}

declare module 'expo/fetch' {
  export function fetch(
    url: string,
    init?: { body?: BodyInit | null; headers?: HeadersInit; method?: string; signal?: AbortSignal }
  ): Promise<{ readonly body: ReadableStream<Uint8Array> | null; readonly headers: Headers; readonly status: number }>;
}
