/** `@capacitor/core`: a native app on iOS. */

export const Capacitor = { getPlatform: () => 'ios', isNativePlatform: () => true };

export class WebPlugin {}

/** Only PowerSync's own is asked for: it registers the core extension, which the stand-in for SQLite has. */
export const registerPlugin = () => ({ registerCore: async () => ({ responseCode: 0 }) });
