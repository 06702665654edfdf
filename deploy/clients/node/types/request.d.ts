export function fetchStored(input: string | URL | Request, init?: RequestInit): Promise<Response>;
