/** Where bytes came from: the site's server, another visitor, this browser's store. */
export type Source = 'http' | 'p2p' | 'cache';

export type Policy = 'http' | 'basic' | 'prefetch' | 'head-start' | 'mixed' | 'adaptive';

/** How this page is served. */
export interface Status {
  /** `p2p`: through the worker, with peers; `cache`: through the worker, without; `http`: without DCDN. */
  mode: 'p2p' | 'cache' | 'http';
  /** Why it is not `p2p`. */
  reason: string | null;
}

/** One resource as this page saw it; sizes in bytes, times in milliseconds from navigationStart. */
export interface UrlStats {
  /** Path and query. */
  url: string;
  policy: Policy;
  /** Of the whole resource, once known. */
  length: number | null;
  bytes_http: number;
  bytes_p2p: number;
  bytes_cache: number;
  requested_ms: number;
  /** First byte delivered. */
  ttfb_ms: number | null;
  /** Last byte delivered. */
  ttlb_ms: number | null;
  /** Which bytes were delivered, from `start` to before `end`, and where each first came from. */
  spans: [start: number, end: number, source: Source][];
}

export interface Stats {
  /** In the order of their first request. */
  urls: UrlStats[];
  totals: { bytes_http: number; bytes_p2p: number; bytes_cache: number; bytes_uploaded: number };
  /** Open connections. */
  peers: number;
}

/** What `on` hears of. */
export interface Events {
  progress: { url: string; loaded: number; total: number; source: Source };
  done: { url: string };
  error: { url: string; message: string };
  peer: { peer: string; state: 'up' | 'down'; peers: number };
}

/** What of this page's settings may be changed; `undefined` is the site's own. */
export interface Settings {
  policy?: Policy;
  /** How much later than over plain HTTP something may come. */
  slack_ms?: number;
  /** The same in percent of the time that plain HTTP takes, up to 1000; both add up. */
  slack_percent?: number;
  /** With `mixed`, the percentage of chunks that come from the server. */
  mixed_http_percent?: number;
  /** Base URL of another coordination server. */
  coord?: string;
  /** Join token, where the site asks for one; a new one counts from the next socket on. */
  token?: string;
}

export interface Done {
  ok: boolean;
  /** Why it is not done, for people. */
  error?: string;
}

export interface Outcome extends Done {
  bytes: number;
}

export interface PrefetchOptions {
  onprogress?: (progress: { url: string; loaded: number; total: number }) => void;
  signal?: AbortSignal;
}

export interface Diagnosis extends Status {
  /** Whether the service worker controls this page. */
  controlled: boolean;
  /** The signalling socket. */
  coordination: 'connecting' | 'open' | 'closed';
  /** Why the coordination server has refused this page, if it has. */
  refused: string | null;
  /** Whether the page may have peers. */
  consent: boolean;
  /** Why nothing is uploaded, if nothing is. */
  not_uploading: 'save-data' | 'cellular' | 'battery' | 'background' | 'budget' | null;
  peers: {
    peer: string;
    state: 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';
    bytes_in: number;
    bytes_out: number;
    rtt_ms?: number | null;
  }[];
  /** Connections that were tried, and of these those that failed. */
  tried: number;
  failed: number;
  /** Peers that sent wrong bytes. */
  banned: number;
  /** The media of this page's elements that did not come through DCDN, and why. */
  urls: { url: string; shared: boolean; reason: string }[];
  /** All of it in plain English, what matters most first. */
  sentences: string[];
}

export interface Dcdn {
  /** Resolves, and never rejects, once it is known how this page is served. */
  readonly ready: Promise<Status>;
  stats(): Promise<Stats>;
  /** Returns a function that stops it. */
  on<E extends keyof Events>(event: E, fn: (detail: Events[E]) => void): () => void;
  /** Fetches resources of this site into the store; one result for each, in their order. */
  prefetch(
    urls: string | URL | Iterable<string | URL>,
    options?: PrefetchOptions,
  ): Promise<(Outcome & { url: string })[]>;
  /** Removes a resource from the store. */
  forget(url: string | URL): Promise<Outcome & { url: string }>;
  /** Removes everything from the store. */
  clear(): Promise<Outcome>;
  /** Other settings for this page from now on; what is not named stays. */
  configure(changes: Settings): Promise<Done>;
  /** Whether the visitor consents to connections with other visitors; remembered. */
  consent(given: boolean): Promise<Done>;
  diagnose(): Promise<Diagnosis>;
  /** Removes everything of DCDN from this browser. */
  unregister(): Promise<Done>;
}

export const dcdn: Dcdn;

declare global {
  interface Window {
    dcdn: Dcdn;
  }
}
