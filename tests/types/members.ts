// What the types say that there is, each name once: the compiler refuses a list that lacks one, or has
// one too many. The end-to-end tests compare it with what there is in a browser.

import type { Dcdn, Diagnosis, Stats, Status, UrlStats } from 'dcdn';

export const dcdn: Record<keyof Dcdn, 'function' | 'object'> = {
  ready: 'object',
  stats: 'function',
  on: 'function',
  prefetch: 'function',
  forget: 'function',
  clear: 'function',
  configure: 'function',
  consent: 'function',
  diagnose: 'function',
  unregister: 'function',
};

export const status: Record<keyof Status, 1> = { mode: 1, reason: 1 };

export const stats: Record<keyof Stats, 1> = { urls: 1, totals: 1, peers: 1 };

export const totals: Record<keyof Stats['totals'], 1> = {
  bytes_http: 1,
  bytes_p2p: 1,
  bytes_cache: 1,
  bytes_uploaded: 1,
};

export const url: Record<keyof UrlStats, 1> = {
  url: 1,
  policy: 1,
  length: 1,
  bytes_http: 1,
  bytes_p2p: 1,
  bytes_cache: 1,
  requested_ms: 1,
  ttfb_ms: 1,
  ttlb_ms: 1,
  spans: 1,
};

export const diagnosis: Record<keyof Diagnosis, 1> = {
  mode: 1,
  reason: 1,
  controlled: 1,
  coordination: 1,
  consent: 1,
  not_uploading: 1,
  peers: 1,
  tried: 1,
  failed: 1,
  banned: 1,
  refused: 1,
  urls: 1,
  sentences: 1,
};
