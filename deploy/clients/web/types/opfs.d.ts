/** Files of a launch, by a worker that is there as long as the launch. */
/** @returns {{ files: import('seedbed-client-core').Files, end: () => void }} */
export function opfsFiles(): {
    files: import("seedbed-client-core").Files;
    end: () => void;
};
